"""Checkpoints: the head of a log, as the text of a signed note.

Specification (C2SP tlog-checkpoint v1.0.0, "Note text"):

- the first line is the origin, not empty, which names the log; nothing else is assumed of it;
- the second is the size in decimal digits without leading zeroes, the third the base64 of the root, 32 bytes;
- further lines, not empty, are extensions. This module carries them and Commun writes none: cosigners make no statement
  about them, and an ML-DSA-44 signature does not even cover them.

Refuses a size above 2^63 - 1, an empty tree with another root than that of no leaves, and whatever a note refuses.

Raises BadCheckpoint and BadNote.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from commun.ledger.errors import BadCheckpoint
from commun.ledger.keys import from_base64, to_base64
from commun.ledger.merkle import EMPTY_ROOT, HASH_SIZE, MAX_SIZE
from commun.ledger.note import Note, check_text

MAX_DIGITS: Final = 19  # of 2^63 - 1
REMEMBERED: Final = 8  # notes, a megabyte each at most
_NUMBER: Final = re.compile(r"0|[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``root``: of the tree of ``size`` leaves. Making one checks it."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if type(self.size) is not int or not 0 <= self.size <= MAX_SIZE:
            raise BadCheckpoint(reason="its size is not a whole number from 0 to 2^63 - 1")
        if len(self.root) != HASH_SIZE:
            raise BadCheckpoint(reason="its root is not 32 bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise BadCheckpoint(reason="an empty tree has another root")
        for line in (self.origin, *self.extensions):
            if not line or "\n" in line:
                raise BadCheckpoint(reason="its origin or another line is empty")
        check_text(self.text())

    @classmethod
    def from_text(cls, text: str) -> "Checkpoint":
        if not text.endswith("\n"):
            raise BadCheckpoint(reason="its last line has no end")
        origin, *rest = text[:-1].split("\n")
        if len(rest) < 2:  # noqa: PLR2004  (size and root)
            raise BadCheckpoint(reason="it has fewer than three lines")
        size, root = read_number(rest[0]), from_base64(rest[1])
        if size is None or root is None:
            raise BadCheckpoint(reason="its size is not a whole number, or its root is not base64")
        return cls(origin, size, root, tuple(rest[2:]))

    def text(self) -> str:
        """What is signed."""
        return "\n".join((self.origin, str(self.size), to_base64(self.root), *self.extensions, ""))


@lru_cache(maxsize=REMEMBERED)
def read_checkpoint(data: bytes) -> tuple[Checkpoint, Note]:
    """In their form only; no signature is verified. Remembered: the writer looks at its few heads again and again."""
    note = Note.from_bytes(data)
    return Checkpoint.from_text(note.text), note


def read_number(text: str) -> int | None:
    """Decimal digits without leading zeroes, up to 2^63 - 1; None for anything else."""
    if len(text) > MAX_DIGITS or not _NUMBER.fullmatch(text):
        return None
    number = int(text)
    return number if number <= MAX_SIZE else None
