"""One answer counts once, however often its bundle is given; what is left out is told.

- the same statement under the same receipt's id is the same answer, whatever else the bundles show beside it: the first
  one is audited;
- another statement under an id that was there says that a turn was signed twice, or a nonce served twice. Both are
  counted, and it is said: no verdict is drawn from it, since both may be true to their words;
- what is refused or cannot be audited is left as it is: it brings no verdict that could be counted twice.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from commun.auditing.asking import Audited
from commun.errors import N_
from commun.receipts.sentences import Sentence
from commun.receipts.statement import Statement

SAME: Final = N_("%(file)s: the same answer as %(first)s; it is counted once.")
OTHER: Final = N_(
    "%(file)s: another receipt with the id of %(first)s: a turn was signed twice, or a nonce served twice. Both are "
    "counted."
)


class Repeated(NamedTuple):
    """``file``: it was given after ``first``. ``is_same``: not counted; else another receipt with the same id."""

    file: str
    first: str
    is_same: bool

    def sentence(self) -> Sentence:
        return Sentence(SAME if self.is_same else OTHER, {"file": self.file, "first": self.first})

    def to_json(self) -> dict[str, str | bool]:
        return {"file": self.file, "first": self.first, "counted": not self.is_same}


def once(answers: Sequence[Audited]) -> tuple[list[Audited], list[Repeated]]:
    """In the same order, each once; and what was there again."""
    counted: list[Audited] = []
    repeated: list[Repeated] = []
    seen: dict[str, list[tuple[str, Statement]]] = {}
    for one in answers:
        if one.case is None:
            counted.append(one)
            continue
        statement = one.case.statement
        before = seen.setdefault(statement.receipt, [])
        same = next((name for name, said in before if said == statement), None)
        if same is not None:
            repeated.append(Repeated(one.name, same, is_same=True))
            continue
        if before:
            repeated.append(Repeated(one.name, before[0][0], is_same=False))
        before.append((one.name, statement))
        counted.append(one)
    return counted, repeated
