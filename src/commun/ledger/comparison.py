"""Two heads of one ledger compared: can both be true? And the evidence, where they cannot.

Rules:

- both heads are verified first: notes that a key of the ledger has signed, under one origin. A head that is not signed
  says nothing about anybody;
- heads of one size agree if their roots are the same bytes. Another root is a SPLIT VIEW: two readers were shown two
  ledgers. The two notes prove it, with nothing else;
- of two sizes, the smaller head must be the beginning of the larger tree. That beginning's root is computed from the
  larger ledger's tiles, and a consistency proof from the same tiles binds it to the larger head. If the proof holds and
  the root is another one than the smaller head has, the notes and the proof show a REWRITTEN HISTORY to anybody;
- tiles that do not lead to the larger head, or are not there, decide nothing: the heads cannot be compared;
- the head of no entries is the beginning of every ledger.

``Evidence`` keeps its signed notes byte by byte and can be checked again by whoever has the ledger's key: ``check``
raises unless it shows what it says. UNPROVEN is what a witness keeps when the proof that it was sent leads nowhere:
both heads are signed, but a stranger may have sent the proof, so it is a hint and never evidence.

Raises CannotCompare, BadEvidence, and what ``open_checkpoint`` raises.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from commun.errors import N_
from commun.ledger.checkpoint import Checkpoint, read_checkpoint
from commun.ledger.cosignature import open_checkpoint
from commun.ledger.errors import BadProof, LedgerError
from commun.ledger.files import LogReader
from commun.ledger.keys import VerifierKey, from_base64, to_base64
from commun.ledger.merkle import HASH_SIZE, check_consistency, node_hash, prove_consistency, root_of_tree
from commun.ledger.note import MAX_NOTE_BYTES
from commun.ledger.tiles import TileReader

FORMAT: Final = "commun-ledger-evidence/1"
MAX_PROOF: Final = 63  # hashes
MAX_EVIDENCE_BYTES: Final = 4 * MAX_NOTE_BYTES  # two notes, their newlines escaped, with room
_FIELDS: Final = frozenset({"format", "fault", "first", "second", "beginning", "proof"})


class CannotCompare(LedgerError):
    """Neither agreement nor a split can be shown from what is here."""

    code = "ledger_cannot_compare"
    problem = N_("The two heads cannot be compared: %(reason)s.")
    cure = N_("Compare with the ledger itself, its folder or its address, instead of a saved head.")


class BadEvidence(LedgerError):
    code = "ledger_bad_evidence"
    problem = N_("This evidence does not show what it says: %(reason)s.")
    cure = N_("Ask whoever handed it out for the file as it was written.")


class Fault(StrEnum):
    OTHER_ROOT = "other-root"
    OTHER_BEGINNING = "other-beginning"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Evidence:
    """``first``: the smaller head, or the one seen first; both as they were signed. ``beginning``: the root that the
    second head's tree had at the first one's size, and ``proof`` from there, for OTHER_BEGINNING.
    """

    fault: Fault
    first: bytes
    second: bytes
    beginning: bytes = b""
    proof: tuple[bytes, ...] = ()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Evidence":
        """In its form only. Raises BadEvidence."""
        try:
            fields = json.loads(data) if len(data) <= MAX_EVIDENCE_BYTES else None
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict) or fields.keys() != _FIELDS or fields["format"] != FORMAT:
            raise BadEvidence(reason="it is not in its format")
        return _from_fields(fields)

    def data(self) -> bytes:
        fields = {
            "format": FORMAT,
            "fault": self.fault.value,
            "first": self.first.decode(),
            "second": self.second.decode(),
            "beginning": to_base64(self.beginning),
            "proof": [to_base64(item) for item in self.proof],
        }
        return f"{json.dumps(fields, ensure_ascii=False, indent=1)}\n".encode()

    def heads(self) -> tuple[Checkpoint, Checkpoint]:
        return read_checkpoint(self.first)[0], read_checkpoint(self.second)[0]

    @property
    def is_proof(self) -> bool:
        """Whether it shows by itself that the ledger's key signed two histories."""
        return self.fault is not Fault.UNPROVEN

    def check(self, keys: Sequence[VerifierKey]) -> None:
        """``keys``: the ledger's. Raises BadEvidence unless they have signed two heads that cannot both be true."""
        first, second = (_signed(data, keys) for data in (self.first, self.second))
        if first.origin != second.origin:
            raise BadEvidence(reason="its heads are those of two ledgers")
        match self.fault:
            case Fault.OTHER_ROOT:
                if first.size != second.size or first.root == second.root:
                    raise BadEvidence(reason="its heads can both be true")
            case Fault.OTHER_BEGINNING:
                if not 0 < first.size < second.size or self.beginning == first.root:
                    raise BadEvidence(reason="its heads can both be true")
                if not _leads(self.beginning, first.size, second, self.proof):
                    raise BadEvidence(reason="its proof does not hold")
            case Fault.UNPROVEN:
                raise BadEvidence(reason="anybody may have sent the proof that failed")


@dataclass(frozen=True, slots=True)
class Seen:
    """A head that somebody was shown; ``reader``: the ledger it came from, where there is more than the head."""

    data: bytes
    reader: LogReader | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The heads, verified. ``evidence`` None: they agree."""

    first: Checkpoint
    second: Checkpoint
    evidence: Evidence | None


def compare(first: Seen, second: Seen, keys: Sequence[VerifierKey], *, origin: str | None = None) -> Comparison:
    """``keys``: the ledger's; ``origin``: where they have other names than it."""
    heads = [open_checkpoint(seen.data, log=keys, origin=origin).checkpoint for seen in (first, second)]
    if heads[0].origin != heads[1].origin:
        raise CannotCompare(reason="they are those of two ledgers")
    small, large = sorted(((heads[0], first), (heads[1], second)), key=lambda item: item[0].size)
    evidence = find_split(small[1].data, large[1].data)
    if evidence is None and 0 < small[0].size < large[0].size:
        evidence = _compare_sizes(small[0], small[1].data, large[0], large[1])
    return Comparison(heads[0], heads[1], evidence)


def find_split(first: bytes, second: bytes) -> Evidence | None:
    """Of two verified heads of one origin: whether they have one size and two roots."""
    one, other = read_checkpoint(first)[0], read_checkpoint(second)[0]
    if one.size != other.size or one.root == other.root:
        return None
    return Evidence(Fault.OTHER_ROOT, first, second)


def find_rewritten(first: bytes, second: bytes, proof: Sequence[bytes]) -> Evidence:
    """Of two verified heads of one origin, the second larger, and the proof between them that failed: what it shows."""
    old, new = read_checkpoint(first)[0], read_checkpoint(second)[0]
    beginning = beginning_of(old.size, new.size, proof)
    if beginning is not None and beginning != old.root and _leads(beginning, old.size, new, proof):
        return Evidence(Fault.OTHER_BEGINNING, first, second, beginning, tuple(proof))
    return Evidence(Fault.UNPROVEN, first, second, proof=tuple(proof))


def beginning_of(old: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root of the first ``old`` leaves that a consistency proof speaks of (RFC 6962 §2.1.2, the other way round).
    None where it has another number of hashes than it should, or leaves that root out, being a node of the tree itself
    (``old`` a power of two). Not verified: ``check_consistency`` does that.
    """
    hashes = list(reversed(proof))

    def walk(old: int, size: int, *, whole: bool) -> bytes | None:
        if old == size:
            return None if whole or not hashes else hashes.pop()
        middle = 1 << ((size - 1).bit_length() - 1)
        left = old <= middle
        root = walk(old, middle, whole=whole) if left else walk(old - middle, size - middle, whole=False)
        if not hashes:
            return None
        sibling = hashes.pop()
        return root if root is None or left else node_hash(sibling, root)

    if not 0 < old < size or any(len(item) != HASH_SIZE for item in proof):
        return None
    root = walk(old, size, whole=True)
    return None if hashes else root


def _compare_sizes(old: Checkpoint, data: bytes, new: Checkpoint, larger: Seen) -> Evidence | None:
    """None: the old head is the beginning of the new one's tree."""
    if larger.reader is None:
        raise CannotCompare(reason="the larger one is a saved head, without its ledger")
    tiles = TileReader(new.size, larger.reader.find)
    try:
        beginning = root_of_tree(old.size, tiles)
        proof = prove_consistency(old.size, new.size, tiles)
    except LedgerError as error:
        raise CannotCompare(reason="the larger ledger’s files are not whole") from error
    if not _leads(beginning, old.size, new, proof):
        raise CannotCompare(reason="the larger ledger’s files do not lead to its head")
    if beginning == old.root:
        return None
    return Evidence(Fault.OTHER_BEGINNING, data, larger.data, beginning, proof)


def _leads(beginning: bytes, old: int, new: Checkpoint, proof: Sequence[bytes]) -> bool:
    try:
        check_consistency(old=old, size=new.size, proof=proof, old_root=beginning, root=new.root)
    except BadProof:
        return False
    return True


def _signed(data: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    try:
        return open_checkpoint(data, log=keys).checkpoint
    except LedgerError as error:
        raise BadEvidence(reason="a head in it is not signed by this ledger’s key") from error


def _from_fields(fields: dict[str, Any]) -> Evidence:
    proof = fields["proof"]
    if not isinstance(proof, list) or len(proof) > MAX_PROOF:
        raise BadEvidence(reason="its proof is not a list of hashes")
    try:
        fault = Fault(fields["fault"])
        first, second = fields["first"].encode(), fields["second"].encode()
        beginning, *hashes = (from_base64(item) for item in (fields["beginning"], *proof))
        read_checkpoint(first)
        read_checkpoint(second)
    except (ValueError, AttributeError, TypeError, LedgerError) as error:
        raise BadEvidence(reason="it is not in its format") from error
    if beginning is None or None in hashes:
        raise BadEvidence(reason="its proof is not a list of hashes")
    return Evidence(fault, first, second, beginning, tuple(item for item in hashes if item is not None))
