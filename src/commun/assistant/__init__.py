"""How a question becomes an answer.

Knows the rules, the prompt and the conversation's path; refuses to know HTTP and HTML.
Start with ``turn.py``: it is the main path.
"""
