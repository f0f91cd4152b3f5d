"""Auditing on one's own machine: bundles and weights in, verdicts out. No server, no network, nothing stored.

- ``weights.py``      the weights that a receipt names: found here, checked byte for byte, converted where need be
- ``asking.py``       the model is asked again, one pass an answer; what follows is ``commun.audit``'s business
- ``elsewhere.py``    answers that another server drew: a server (vLLM) is asked for the figures that it lists
- ``again.py``        answers are generated again, each alone: where they first differ, told beside the verdict
- ``calibrating.py``  the figures of one's own honest answers, for others to compare with
- ``shipped.py``      those that come with Commun (``calibrations/``)
- ``telling.py``      in words, each figure in one line, and as JSON

Above the engine and beside the pages, which know nothing of it. docs/spec/audit.md says what is compared.
"""
