"""The pages: server-rendered, in French and English, under a strict content security policy.

Knows people and HTML; refuses to call an engine: every answer goes through ``assistant/turn.py``.
Start with ``pages.py`` (what one reads), then ``chat.py`` (what one does).
"""
