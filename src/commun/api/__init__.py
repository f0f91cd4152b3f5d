"""The API for programs: OpenAI's shapes, health and metrics.

Knows JSON and API keys; refuses to call an engine: every answer goes through ``assistant/turn.py``.
Start with ``completions.py``.
"""
