"""Proofs of logging: everything that shows, offline, that an entry is in a log whose head witnesses have confirmed.

Specification (C2SP tlog-proof, "Format" and "Verifying a tlog proof"):

- the line ``c2sp.org/tlog-proof@v1``; at most one line ``extra `` and base64; the line ``index N`` in decimal digits
  without leading zeroes; the hashes of the inclusion proof in base64, one a line, the leaf's sibling first; an empty
  line; the checkpoint as it was signed;
- ``extra`` is signed by nobody: it is a hint on where the entry is, never a statement;
- verified are, in this order: the checkpoint's form, the log's signature under its own origin, each known witness's,
  the policy's quorum, and that the hashes lead from the caller's leaf to the checkpoint's root.

Refuses more hashes than a tree of 2^63 - 1 leaves asks for, an ``extra`` line without data (it is left out then), and
any other writing of the same proof.

Raises BadProofFile, and from the checkpoint BadNote and BadCheckpoint; ``check`` also what ``Policy.check`` does, and
BadProof and OutOfRange.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from commun.ledger.checkpoint import Checkpoint, read_checkpoint, read_number
from commun.ledger.errors import BadProofFile
from commun.ledger.keys import VerifierKey, from_base64, to_base64
from commun.ledger.merkle import HASH_SIZE, MAX_SIZE, check_inclusion
from commun.ledger.note import MAX_NOTE_BYTES, Note
from commun.ledger.policy import Policy, Witnessed

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_HASHES: Final = 63  # the height of the largest tree
MAX_EXTRA_BYTES: Final = 65_536
MAX_PROOF_BYTES: Final = MAX_NOTE_BYTES + 2 * MAX_EXTRA_BYTES


@dataclass(frozen=True, slots=True)
class LogProof:
    """``note``: the signed checkpoint; ``checkpoint`` is what it says. Nothing of it is verified before ``check``."""

    index: int
    hashes: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if type(self.index) is not int or not 0 <= self.index <= MAX_SIZE:
            raise BadProofFile(reason="its index is not a whole number from 0 to 2^63 - 1")
        if len(self.hashes) > MAX_HASHES:
            raise BadProofFile(reason="it has too many hashes")
        if any(len(item) != HASH_SIZE for item in self.hashes):
            raise BadProofFile(reason="a hash has another length than 32 bytes")
        if self.extra is not None and not 0 < len(self.extra) <= MAX_EXTRA_BYTES:
            raise BadProofFile(reason="its extra line is empty or too long")
        if self.note.text != self.checkpoint.text():
            raise BadProofFile(reason="its checkpoint is not the one that is signed")

    @classmethod
    def make(cls, *, index: int, hashes: Sequence[bytes], checkpoint: bytes, extra: bytes | None = None) -> "LogProof":
        """``checkpoint``: as it was signed."""
        head, note = read_checkpoint(checkpoint)
        return cls(index, tuple(hashes), note, head, extra)

    @classmethod
    def from_bytes(cls, data: bytes) -> "LogProof":
        if len(data) > MAX_PROOF_BYTES:
            raise BadProofFile(reason="it is longer than its bound")
        top, separator, checkpoint = data.partition(b"\n\n")
        if not separator:
            raise BadProofFile(reason="it has no empty line before its checkpoint")
        try:
            header, *lines = top.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise BadProofFile(reason="it is not ASCII before its checkpoint") from None
        if header != HEADER:
            raise BadProofFile(reason="its first line is another one")
        extra = _read_extra(lines.pop(0)) if lines and lines[0].startswith("extra ") else None
        if not lines or not lines[0].startswith("index "):
            raise BadProofFile(reason="it has no index")
        index = read_number(lines.pop(0).removeprefix("index "))
        if index is None:
            raise BadProofFile(reason="its index is not a whole number from 0 to 2^63 - 1")
        if len(lines) > MAX_HASHES:
            raise BadProofFile(reason="it has too many hashes")
        return cls.make(index=index, hashes=tuple(map(_read_hash, lines)), checkpoint=checkpoint, extra=extra)

    def data(self) -> bytes:
        """What ``from_bytes`` reads."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {to_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines.extend(map(to_base64, self.hashes))
        return "\n".join([*lines, "", ""]).encode() + self.note.data()

    def check(self, leaf: bytes, policy: Policy, *, logs: Sequence[VerifierKey] = ()) -> Witnessed:
        """``leaf``: the entry's leaf hash, which the caller computes from the entry. ``logs``: beside the policy's."""
        witnessed = policy.check(self.note.data(), logs=logs)
        head = witnessed.signed.checkpoint
        check_inclusion(index=self.index, size=head.size, leaf=leaf, proof=self.hashes, root=head.root)
        return witnessed


def _read_extra(line: str) -> bytes:
    extra = from_base64(line.removeprefix("extra "))
    if not extra:
        raise BadProofFile(reason="its extra line is not base64, or empty")
    return extra


def _read_hash(line: str) -> bytes:
    value = from_base64(line)
    if value is None or len(value) != HASH_SIZE:
        raise BadProofFile(reason="a line of its inclusion proof is not the base64 of 32 bytes")
    return value
