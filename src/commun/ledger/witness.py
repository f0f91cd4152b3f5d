"""What a witness does with a head that it is sent: the rules alone, without files, clock or network.

Specification (C2SP tlog-witness v1.0.0, "add-checkpoint"). The request is ``old N``, at most 63 hashes in base64, an
empty line and a checkpoint, each line with its newline. Decided in this order, and refused with the first that fails:

1. 400: the request has another form;
2. 404: no log of this origin is witnessed here;
3. 403: none of that log's keys has signed, or a line in the name of one of them is not its own. Lines of other keys are
   ignored, and never kept: a stranger may have added them;
4. 400: the old size is above the head's;
5. 409: the old size is not that of the latest head that was cosigned (0: none was); the answer is that size;
6. 422: a head of size 0 with another root than that of no leaves; the same size with another root; a proof that does
   not hold. From size 0 there must be no proof: everything grows from nothing.

Then the head is cosigned (type 0x04, and 0x06 where the witness has that key and the head has no extension lines, which
it would not cover), with the time, which is never zero. Whoever calls keeps the head before the lines are given away:
that is ``witness_state.py``.

Stricter than the specification: a request has MAX_REQUEST_BYTES at most (413), hashes are 32 bytes in canonical base64,
and a head that is signed but is no checkpoint is 400.

Raises the refusals below, each with the status as its own; nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from commun.errors import N_
from commun.ledger.checkpoint import Checkpoint, read_number
from commun.ledger.cosignature import sign_checkpoint, verifier_for
from commun.ledger.errors import BadCheckpoint, BadProof, LedgerError
from commun.ledger.keys import MAX_NAME_BYTES, ML_DSA_44, SignerKey, VerifierKey, from_base64, to_base64
from commun.ledger.merkle import EMPTY_ROOT, HASH_SIZE, check_consistency
from commun.ledger.note import Note, Signature

MAX_PROOF_LINES: Final = 63
MAX_REQUEST_BYTES: Final = 131_072  # 16 signatures of the longest type are 54 KB, the longest proof 3 KB
_OLD: Final = "old "


class WitnessRefusal(LedgerError):
    """A head that is not cosigned. The tree (code, HTTP status)::

    WitnessRefusal            witness_refusal           422
    ├── BadSubmission         witness_bad_submission    400
    ├── SubmissionTooLarge    witness_too_large         413
    ├── NotWitnessed          witness_unknown_log       404
    ├── NotTheLogs            witness_not_signed        403
    ├── OtherSize             witness_other_size        409   (``size``: of the latest cosigned head)
    └── NotConsistent         witness_not_consistent    422
    """

    code = "witness_refusal"
    problem = N_("The witness does not cosign this head.")
    cure = N_("Send the ledger’s own head, with the proof that it has only grown.")


class BadSubmission(WitnessRefusal):
    code = "witness_bad_submission"
    status = 400
    problem = N_("The witness cannot read this request: %(reason)s.")


class SubmissionTooLarge(WitnessRefusal):
    code = "witness_too_large"
    status = 413
    problem = N_("The request to the witness is larger than %(limit)s bytes.")


class NotWitnessed(WitnessRefusal):
    code = "witness_unknown_log"
    status = 404
    problem = N_("This witness does not know a ledger of this name.")
    cure = N_("Ask whoever runs the witness to add the ledger’s public key.")


class NotTheLogs(WitnessRefusal):
    code = "witness_not_signed"
    status = 403
    problem = N_("The head has no valid signature of its ledger’s key.")
    cure = N_("Ask whoever runs the witness whether it has the ledger’s newest key.")


class OtherSize(WitnessRefusal):
    """``details``: ``size``."""

    code = "witness_other_size"
    status = 409
    problem = N_("The latest head that this witness has cosigned has %(size)s entries.")
    cure = N_("Send the proof from that size on.")

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(size=size)


class NotConsistent(WitnessRefusal):
    code = "witness_not_consistent"
    status = 422
    problem = N_("The head does not grow from the one that this witness has cosigned: %(reason)s.")
    cure = N_("A ledger only grows. Restore it from a newer copy.")


@dataclass(frozen=True, slots=True)
class Submission:
    """A request, in its form only. ``head`` None: it says that an empty tree has another root."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    head: Checkpoint | None

    @classmethod
    def from_bytes(cls, data: bytes) -> "Submission":
        if len(data) > MAX_REQUEST_BYTES:
            raise SubmissionTooLarge(limit=MAX_REQUEST_BYTES)
        first, empty, signed = data.partition(b"\n\n")
        lines = first.decode("latin-1").split("\n")
        if not empty or len(lines) > 1 + MAX_PROOF_LINES:
            raise BadSubmission(reason="it is not an old size, at most 63 hashes, an empty line and a head")
        old = read_number(lines[0].removeprefix(_OLD)) if lines[0].startswith(_OLD) else None
        if old is None:
            raise BadSubmission(reason="its first line is not “old” and a size")
        proof = tuple(map(_read_hash, lines[1:]))
        try:
            note = Note.from_bytes(signed)
            return cls(old, proof, note, None if _is_impossible(note.text) else Checkpoint.from_text(note.text))
        except LedgerError as error:
            raise BadSubmission(reason="what follows the empty line is not a signed head") from error

    @classmethod
    def make(cls, old: int, proof: Sequence[bytes], note: Note) -> "Submission":
        return cls(old, tuple(proof), note, Checkpoint.from_text(note.text))

    def data(self) -> bytes:
        lines = (f"{_OLD}{self.old}", *map(to_base64, self.proof), "", "")
        return "\n".join(lines).encode() + self.note.data()

    @property
    def origin(self) -> str:
        return self.note.text.partition("\n")[0]


def check_signed(submission: Submission, keys: Sequence[VerifierKey]) -> Note:
    """The head with the lines of its log's keys alone, each verified. ``keys``: every log's that is witnessed here."""
    own = [key for key in keys if key.name == submission.origin]
    if not own:
        raise NotWitnessed
    try:
        return Note(submission.note.text, submission.note.verified([verifier_for(key) for key in own]))
    except BadCheckpoint as error:  # an empty tree's other root, which a cosignature as the log's own line cannot sign
        raise NotConsistent(reason="an empty tree has another root") from error
    except LedgerError as error:
        raise NotTheLogs from error


def check_growth(submission: Submission, latest: Checkpoint | None) -> Checkpoint:
    """The head, once it is signed (``check_signed``). ``latest``: what was cosigned last for its origin."""
    old, size = submission.old, 0 if submission.head is None else submission.head.size
    if old > size:
        raise BadSubmission(reason="its old size is above the head’s")
    known = 0 if latest is None else latest.size
    if old != known:
        raise OtherSize(known)
    if submission.head is None:
        raise NotConsistent(reason="an empty tree has another root")
    if old == 0 and submission.proof:
        raise NotConsistent(reason="nothing is to be proven where nothing was before")
    if latest is not None and old:
        try:
            check_consistency(
                old=old, size=size, proof=submission.proof, old_root=latest.root, root=submission.head.root
            )
        except BadProof as error:
            raise NotConsistent(reason=error.details["reason"]) from error
    return submission.head


def cosign(head: Checkpoint, keys: Sequence[SignerKey], *, time: int) -> tuple[Signature, ...]:
    """A line of each key that can state it. ``time``: seconds since the Epoch, not 0."""
    if time <= 0:
        raise ValueError("a witness's cosignature has a time")
    return tuple(sign_checkpoint(head, key, time=time) for key in keys if _can_state(key, head))


def _can_state(key: SignerKey, head: Checkpoint) -> bool:
    return key.kind != ML_DSA_44 or not (head.extensions or len(head.origin.encode()) > MAX_NAME_BYTES)


def _read_hash(line: str) -> bytes:
    value = from_base64(line)
    if value is None or len(value) != HASH_SIZE:
        raise BadSubmission(reason="a line of its proof is not the base64 of 32 bytes")
    return value


def _is_impossible(text: str) -> bool:
    """Size 0 with a root of 32 bytes that is another one: the specification has its own answer to it."""
    lines = text.split("\n")
    if len(lines) < 3 or lines[1] != "0":  # noqa: PLR2004  (origin, size, root)
        return False
    root = from_base64(lines[2])
    return bool(lines[0]) and root is not None and len(root) == HASH_SIZE and root != EMPTY_ROOT
