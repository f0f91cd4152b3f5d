"""Audit: could this answer have come from that model, that prompt and that draw? Arithmetic on what was recomputed.

Part of the trust ring: the standard library, ``commun.receipts`` (and what that needs), ``commun.errors``. No model, no
array, no clock, no file: whoever runs the model (``engine/logits.py``) reduces its numbers to one ``Fact`` a token, and
everything that is concluded from facts is here, short enough to be read (ADR 13). docs/spec/audit.md has every formula.

In reading order:

- ``draws.py``        the draws of a seed
- ``facts.py``        what is kept of one position
- ``case.py``         what a verified bundle lets be audited, or why it does not
- ``measures.py``     one answer's figures
- ``calibration.py``  the figures of honest answers, to compare with
- ``verdict.py``      what follows, in words; several answers in one verdict
- ``comparing.py``    which comparison can be made
- ``stated.py``       what no audit can compute: told beside the verdict
- ``replay.py``       an answer, and the same generated again: the first difference

A verdict never says fraud. It says whether figures are those that rounding explains, whether honest answers have such
figures, and how often an honest one would be called inconsistent.
"""
