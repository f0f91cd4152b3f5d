"""Step 7: the receipt is in the ledger, under a head that its log has signed and enough witnesses have confirmed, and
before it the edition's adoption.

In this order:

1. the policy (C2SP tlog-policy) is the reader's own, or else the charter's; where neither names a log, the bundle's
   hint says which key to try, and the result says that nobody vouches for it;
2. the proof's form, its checkpoint's origin (the one that the receipt names), the log's signature, the witnesses';
3. inclusion: the leaf is the one of the entry ``{"sha256":…,"type":"commun/receipt/1"}``, where the SHA-256 is the
   envelope's;
4. no witness confirmed that head more than SKEW_S before the answer ended: the answer could not be in it;
5. the edition: its entry says "adopted" with the receipt's number and digest; its proof has the same checkpoint, and a
   lower index. Another root for the same size, signed as well, is a fork: the evidence of two histories;

Where the receipt's proof is pending, the edition's alone is verified, by its own checkpoint.

Raises ReceiptError.
"""

from dataclasses import dataclass
from typing import Final

from commun.ledger.entries import EditionStatement, read_statement
from commun.ledger.errors import (
    BadCheckpoint,
    BadLogKey,
    BadNote,
    BadPolicy,
    BadProof,
    BadProofFile,
    LedgerError,
    OutOfRange,
    TooFewWitnesses,
)
from commun.ledger.keys import VerifierKey
from commun.ledger.merkle import leaf_hash
from commun.ledger.policy import Policy, Witnessed
from commun.ledger.proof import MAX_PROOF_BYTES, LogProof
from commun.receipts.bundle import PENDING, Logged, LoggedEdition
from commun.receipts.dsse import entry_of
from commun.receipts.errors import Reason, ReceiptError
from commun.receipts.statement import Statement

SKEW_S: Final = 300  # between the clocks of an honest server and an honest witness
NO_POLICY: Final = Policy((), (), (), None)


@dataclass(frozen=True, slots=True)
class InLedger:
    """``index``: of the receipt's entry in the tree of ``size``. ``witnesses``: the names of those in the policy who
    confirmed it at a time. ``vouched``: whether the policy names the log's key; if not it is the bundle's own hint.
    ``times``: of their statements, seconds since the Epoch. ``index`` None: the receipt's proof is not there yet.
    """

    index: int | None
    size: int
    root: bytes
    witnesses: tuple[str, ...]
    times: tuple[int, ...]
    vouched: bool
    edition_index: int | None


def read_policy(data: bytes) -> Policy:
    try:
        return Policy.from_bytes(data)
    except BadPolicy as error:
        detail = f"line {error.details['line']}: {error.details['reason']}"
        raise ReceiptError(Reason.BAD_POLICY, f"the policy cannot be used: {detail}") from error


def check_logged(envelope: bytes, statement: Statement, logged: Logged, policy: Policy) -> InLedger | None:
    """Step 7. None: the bundle has no proof at all."""
    receipt = None
    if logged.receipt not in (None, PENDING):
        receipt = _read(str(logged.receipt), statement)
    edition = None if logged.edition is None else _read(logged.edition.proof, statement)
    if receipt is None and edition is None:
        return None
    hint = None if policy.logs else _hint(logged.key)
    witnessed = None
    if receipt is not None:
        witnessed = _check(receipt, entry_of(envelope), policy, hint, Reason.NOT_IN_LEDGER)
        ended = statement.ended.timestamp()
        if any(ended - time > SKEW_S for time in _times(witnessed)):
            raise ReceiptError(Reason.LEDGER_TIME, "a witness confirmed the ledger's head before the answer ended")
    if logged.edition is not None and edition is not None:
        found = _check_edition(logged.edition, edition, statement, policy, hint=hint, receipt=receipt)
        witnessed = witnessed or found
    assert witnessed is not None  # noqa: S101  (one of the two is there)
    head, dated = witnessed.signed.checkpoint, witnessed.signed.dated
    return InLedger(
        index=None if receipt is None else receipt.index,
        size=head.size,
        root=head.root,
        witnesses=tuple(item.name.decode("utf-8", "replace") for item in policy.witnesses if item.key in dated),
        times=_times(witnessed),
        vouched=hint is None,
        edition_index=None if edition is None else edition.index,
    )


def _hint(text: str) -> VerifierKey:
    try:
        return VerifierKey.from_text(text)
    except BadLogKey as error:
        raise ReceiptError(Reason.CHECKPOINT_UNSIGNED, "no key of the ledger is known") from error


def _read(text: str, statement: Statement) -> LogProof:
    data = text.encode()
    try:
        if len(data) > MAX_PROOF_BYTES:
            raise BadProofFile(reason="it is longer than its bound")
        proof = LogProof.from_bytes(data)
    except LedgerError as error:
        raise ReceiptError(Reason.PROOF_FORM, f"the proof of logging: {error.details['reason']}") from error
    if proof.checkpoint.origin != statement.ledger:
        raise ReceiptError(Reason.OTHER_LEDGER, "the proof is of another ledger than the receipt names")
    return proof


def _check_edition(
    logged: LoggedEdition,
    proof: LogProof,
    statement: Statement,
    policy: Policy,
    *,
    hint: VerifierKey | None,
    receipt: LogProof | None,
) -> Witnessed:
    try:
        entry = read_statement(logged.entry)
    except LedgerError as error:
        raise ReceiptError(Reason.EDITION_NOT_IN_LEDGER, "the edition's entry is no entry") from error
    named = statement.charter
    if not isinstance(entry, EditionStatement) or entry.event != "adopted":
        raise ReceiptError(Reason.EDITION_NOT_IN_LEDGER, "the entry is no adoption")
    if entry.number != named.edition or entry.digest != named.digest:
        raise ReceiptError(Reason.EDITION_NOT_IN_LEDGER, "the entry is of another edition")
    witnessed = _check(proof, logged.entry, policy, hint, Reason.EDITION_NOT_IN_LEDGER)
    if receipt is not None and receipt.checkpoint != proof.checkpoint:
        one, other = receipt.checkpoint, proof.checkpoint
        if one.size == other.size and one.root != other.root:  # extension lines that differ are no fork
            raise ReceiptError(Reason.FORK, "two roots for one size, both signed: keep this file as evidence")
        raise ReceiptError(Reason.PROOF_FORM, "the two proofs are by different checkpoints")
    if receipt is not None and receipt.index <= proof.index:
        raise ReceiptError(Reason.EDITION_NOT_IN_LEDGER, "the edition was logged after the receipt")
    return witnessed


def _check(proof: LogProof, entry: bytes, policy: Policy, hint: VerifierKey | None, absent: Reason) -> Witnessed:
    try:
        return proof.check(leaf_hash(entry), policy, logs=() if hint is None else (hint,))
    except TooFewWitnesses as error:
        raise ReceiptError(
            Reason.TOO_FEW_WITNESSES, "the witnesses that the policy asks for have not all signed"
        ) from error
    except (BadProof, OutOfRange) as error:
        raise ReceiptError(absent, f"the proof of logging: {error.details['reason']}") from error
    except (BadNote, BadCheckpoint) as error:
        raise ReceiptError(Reason.PROOF_FORM, f"the checkpoint: {error.details['reason']}") from error
    except LedgerError as error:
        raise ReceiptError(Reason.CHECKPOINT_UNSIGNED, "the checkpoint is not signed as the known keys sign") from error


def _times(witnessed: Witnessed) -> tuple[int, ...]:
    """Zero, and a log's own plain signature, state none."""
    return tuple(item.time for item in witnessed.signed.cosignatures if item.time)
