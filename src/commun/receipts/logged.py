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
6. where the seed was derived: the entry of its secret's digest in the same way, also before the receipt; and the one
   that publishes the secret, which may stand after the receipt (``seeded.py`` says what it means if it does not);

Where the receipt's proof is pending, the edition's alone is verified, by its own checkpoint.

Raises ReceiptError.
"""

from dataclasses import dataclass
from typing import Final

from commun.ledger.entries import (
    EditionStatement,
    EpochSecretStatement,
    EpochStatement,
    read_statement,
)
from commun.ledger.entries import Statement as EntryStatement
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
from commun.receipts.bundle import PENDING, Logged, LoggedEntry, ShownSeed
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
    ``opened_index`` and ``secret_index``: of the entries of a derived seed's secret, and ``secret`` itself; None: not
    in the bundle.
    """

    index: int | None
    size: int
    root: bytes
    witnesses: tuple[str, ...]
    times: tuple[int, ...]
    vouched: bool
    edition_index: int | None
    opened_index: int | None = None
    secret_index: int | None = None
    secret: bytes | None = None


def read_policy(data: bytes) -> Policy:
    try:
        return Policy.from_bytes(data)
    except BadPolicy as error:
        detail = f"line {error.details['line']}: {error.details['reason']}"
        raise ReceiptError(Reason.BAD_POLICY, f"the policy cannot be used: {detail}") from error


def check_logged(
    envelope: bytes, statement: Statement, logged: Logged, policy: Policy, seed: ShownSeed | None = None
) -> InLedger | None:
    """Step 7. None: the bundle has no proof at all."""
    return _Check(statement, policy, logged.key).all(envelope, logged, seed)


@dataclass(slots=True)
class _Check:
    """``hint``: the bundle's. ``first``: the proof by whose checkpoint the others must be; ``witnessed``: what it gave.
    ``receipt``: the receipt's own proof.
    """

    statement: Statement
    policy: Policy
    hint: str
    receipt: LogProof | None = None
    first: LogProof | None = None
    witnessed: Witnessed | None = None

    def all(self, envelope: bytes, logged: Logged, seed: ShownSeed | None) -> InLedger | None:
        text = None if logged.receipt in (None, PENDING) else logged.receipt
        self.receipt = None if text is None else _read(text, self.statement)
        edition = self._proof(logged.edition)
        opened, secret = (None, None) if seed is None else (self._proof(seed.opened), self._proof(seed.secret))
        if self.receipt is None and edition is None and opened is None and secret is None:
            return None
        if self.receipt is not None:
            self._check_receipt(self.receipt, envelope)
        if edition is not None and logged.edition is not None:
            _check_adoption(logged.edition.entry, self.statement)
            self._check(edition, logged.edition.entry, Reason.EDITION_NOT_IN_LEDGER)
        if opened is not None and seed is not None and seed.opened is not None:
            _check_opened(seed.opened.entry, self.statement)
            self._check(opened, seed.opened.entry, Reason.EPOCH_NOT_IN_LEDGER)
        published = None
        if secret is not None and seed is not None and seed.secret is not None:
            published = _published(seed.secret.entry, self.statement)
            self._check(secret, seed.secret.entry, Reason.SECRET_NOT_IN_LEDGER, before=False)
        return self._found(edition, opened, secret, published)

    def _proof(self, logged: LoggedEntry | None) -> LogProof | None:
        return None if logged is None else _read(logged.proof, self.statement)

    def _check_receipt(self, proof: LogProof, envelope: bytes) -> None:
        self._use(proof, entry_of(envelope), Reason.NOT_IN_LEDGER)
        ended = self.statement.ended.timestamp()
        if any(ended - time > SKEW_S for time in self._times()):
            raise ReceiptError(Reason.LEDGER_TIME, "a witness confirmed the ledger's head before the answer ended")

    def _check(self, proof: LogProof, entry: bytes, absent: Reason, *, before: bool = True) -> None:
        """``before``: the receipt has to stand after it."""
        first = self.first
        self._use(proof, entry, absent)
        if first is not None and first.checkpoint != proof.checkpoint:
            one, other = first.checkpoint, proof.checkpoint
            if one.size == other.size and one.root != other.root:  # extension lines that differ are no fork
                raise ReceiptError(Reason.FORK, "two roots for one size, both signed: keep this file as evidence")
            raise ReceiptError(Reason.PROOF_FORM, "the proofs are by different checkpoints")
        if before and self.receipt is not None and self.receipt.index <= proof.index:
            raise ReceiptError(absent, "it was logged after the receipt")

    def _use(self, proof: LogProof, entry: bytes, absent: Reason) -> None:
        hint = None if self.policy.logs else _hint(self.hint)
        found = _check(proof, entry, self.policy, hint, absent)
        if self.first is None:
            self.first, self.witnessed = proof, found

    def _times(self) -> tuple[int, ...]:
        """Zero, and a log's own plain signature, state none."""
        assert self.witnessed is not None  # noqa: S101  (a proof was used)
        return tuple(item.time for item in self.witnessed.signed.cosignatures if item.time)

    def _found(
        self, edition: LogProof | None, opened: LogProof | None, secret: LogProof | None, published: bytes | None
    ) -> InLedger:
        assert self.witnessed is not None  # noqa: S101  (one of them is there)
        head, dated = self.witnessed.signed.checkpoint, self.witnessed.signed.dated
        return InLedger(
            index=_index(self.receipt),
            size=head.size,
            root=head.root,
            witnesses=tuple(
                item.name.decode("utf-8", "replace") for item in self.policy.witnesses if item.key in dated
            ),
            times=self._times(),
            vouched=bool(self.policy.logs),
            edition_index=_index(edition),
            opened_index=_index(opened),
            secret_index=_index(secret),
            secret=published,
        )


def _index(proof: LogProof | None) -> int | None:
    return None if proof is None else proof.index


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


def _check_adoption(data: bytes, statement: Statement) -> None:
    entry = _entry(data, Reason.EDITION_NOT_IN_LEDGER)
    if not isinstance(entry, EditionStatement) or entry.event != "adopted":
        raise ReceiptError(Reason.EDITION_NOT_IN_LEDGER, "the entry is no adoption")
    named = statement.charter
    if entry.number != named.edition or entry.digest != named.digest:
        raise ReceiptError(Reason.EDITION_NOT_IN_LEDGER, "the entry is of another edition")


def _check_opened(data: bytes, statement: Statement) -> None:
    entry = _entry(data, Reason.EPOCH_NOT_IN_LEDGER)
    if not isinstance(entry, EpochStatement) or entry.sha256 != statement.seed.epoch:
        raise ReceiptError(Reason.EPOCH_NOT_IN_LEDGER, "the entry is not the one of the seed's secret")


def _published(data: bytes, statement: Statement) -> bytes:
    """The secret."""
    entry = _entry(data, Reason.SECRET_NOT_IN_LEDGER)
    if not isinstance(entry, EpochSecretStatement) or entry.epoch != statement.seed.epoch:
        raise ReceiptError(Reason.SECRET_NOT_IN_LEDGER, "the entry does not publish the seed's secret")
    return bytes.fromhex(entry.secret)


def _entry(data: bytes, absent: Reason) -> EntryStatement:
    try:
        return read_statement(data)
    except LedgerError as error:
        raise ReceiptError(absent, "what is said to be an entry is none") from error


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
