"""An answer, and what the engine gives when it generates with the same seed again: where they first differ.

- after one other token everything is another, so only the first difference means anything;
- its margin is the larger of both tokens' shifts: by how much the logits would have to be wrong, at least, for the draw
  to lead to either. Within NEAR of its profile it is a near tie, which what else ran at the time may have decided;
- where something from outside ended the answer (a person, a stop string), what would have come next is not compared.

A replay is told beside a verdict, never in its place: in the fast profile an honest answer that was drawn in company
differs from itself alone, and a dishonest one may begin with the right words.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from commun.audit.verdict import SHIFT_BOUND

NEAR: Final[Mapping[str, float]] = {"exact": SHIFT_BOUND, "fast": 0.1}  # logits; docs/spec/audit.md has the figures


@dataclass(frozen=True, slots=True)
class Replay:
    """``agree``: how many tokens are the same. ``answered``, ``again``: the first that is not, in the answer and
    generated again; None where that one had ended. ``margin``: in logits; None where it is not known.
    """

    agree: int
    answered: int | None = None
    again: int | None = None
    margin: float | None = None

    @property
    def is_same(self) -> bool:
        return self.answered is None and self.again is None

    @property
    def place(self) -> int:
        """Of the first difference, counted from 1."""
        return self.agree + 1

    def is_near(self, profile: str) -> bool:
        return self.margin is not None and self.margin <= NEAR.get(profile, 0.0)


def compare(answer: Sequence[int], again: Iterable[int], *, is_open: bool) -> Replay:
    """``again``: read no farther than is needed. ``is_open``: something from outside ended the answer."""
    agree = 0
    for token in again:
        if agree == len(answer):
            return Replay(agree, None, token)
        if token != answer[agree]:
            return Replay(agree, answer[agree], token)
        agree += 1
        if is_open and agree == len(answer):
            break
    return Replay(agree, answer[agree] if agree < len(answer) else None)
