"""What is kept: accounts, sessions, keys and sealed conversations, in SQLite.

Knows tables and seals; refuses to know prompts, engines and pages.
Start with ``schema/``, then ``vault.py``.
"""
