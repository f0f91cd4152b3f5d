"""What runs a model: OpenVINO GenAI in this process, or a remote OpenAI-compatible server.

Knows prompts, tokens and seeds; refuses to know people, conversations and HTTP routes.
Start with ``base.py`` (what an engine is), then ``openvino.py``.
"""
