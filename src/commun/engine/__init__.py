"""What runs a model: OpenVINO GenAI in a process of its own, or a remote OpenAI-compatible server.

Knows prompts, tokens and seeds; refuses to know people, conversations and HTTP routes.
Start with ``base.py`` (what an engine is), then ``openvino.py``.

Whoever imports anything of this package can no longer make OpenVINO phone home (``silence.py``): the bar stands before
the first ``import openvino``, wherever that is written.
"""

from commun.engine.silence import forbid_telemetry

forbid_telemetry()
