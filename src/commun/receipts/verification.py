"""Verifying a bundle, in numbered steps, each of which says what it proves.

Pure: bytes in, a ``Report`` out; no clock, no network, no file. Whatever the bytes, a report comes out: what refuses is
a ReceiptError inside, and its ``reason`` stands in the report with the number of the step.

1. the file is a bundle (``bundle.py``, ``dsse.py``);
2. the envelope is signed by the receipt key: one that the reader trusts, or else the one that the bundle names;
3. the statement is a receipt, and the reader's charter is the one that it names (``statement.py``, ``fields.py``);
4. what is disclosed is what was committed to (``commitments.py``);
5. the edition was adopted by its board, by the rules of the charter (``adopted.py``);
6. model, engine and parameters are those that it allows;
7. the receipt and the edition are in the ledger, and witnesses have confirmed its head (``logged.py``);
8. what is not proven: told always, whatever has been.

The first step that refuses ends it. The verdict:

- ``verified``: every step holds, and nothing was missing;
- ``partial``: nothing refuses, and something was missing: a value withheld, a proof pending, a charter that is not in
  the bundle, or nothing of the reader's own to compare with. Each is named;
- ``refused``: by the reason that is named.

Without anything of the reader's own the best verdict is ``partial``: anybody can make a charter, a ledger and a key and
write receipts with them. A pinned first root pins the charter; its policy names the ledger; what that ledger has taken
in under its own key needs no second voucher, so that the receipt key counts as vouched for then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, cast

from commun.errors import N_
from commun.receipts.bundle import PENDING, Bundle
from commun.receipts.commitments import FIELDS, TEXT_ROLE, Message, Value, check_commitment
from commun.receipts.dsse import Envelope, ReceiptKey
from commun.receipts.errors import Reason, ReceiptError
from commun.receipts.seeded import PublishedSecret, SeedStanding, check_derivation, check_shown_seed, standing_of
from commun.receipts.sentences import Sentence, filled
from commun.receipts.statement import Statement

if TYPE_CHECKING:
    from commun.receipts.adopted import Adopted
    from commun.receipts.logged import InLedger

STEPS: Final = (
    N_("The file"),
    N_("Signature"),
    N_("Statement"),
    N_("What was disclosed"),
    N_("Charter"),
    N_("Model and settings"),
    N_("Ledger"),
    N_("Not proven"),
)
NOT_PROVEN: Final = (
    N_("That what the answer says is true."),
    N_("That this model really wrote it: an audit computes that again; a receipt only binds the server to its word."),
    N_("That the token ids are these texts: an audit reads them with the model's own vocabulary."),
    N_("That nobody else has read it."),
    N_("That the edition was still in force at that moment, and not frozen: the ledger's later entries tell."),
    N_("That nobody chose the seed, unless it says above that the published secret gives it."),
    N_("When exactly: the times are the server's own, and a witness's only an upper bound."),
    N_("That there is no second receipt for the same answer."),
)
_COUNTED: Final = {
    "prompt_token_ids": "prompt_tokens",
    "answer_token_ids": "answer_tokens",
    "logprobs": "answer_tokens",
}


class Verdict(StrEnum):
    VERIFIED = "verified"
    PARTIAL = "partial"
    REFUSED = "refused"


class Outcome(StrEnum):
    HOLDS = "holds"
    MISSING = "missing"  # holds as far as it goes; what is missing is named
    REFUSED = "refused"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class Step:
    """``number`` from 1. ``proves``: what holds. ``missing``: what could not be looked at, and why."""

    number: int
    outcome: Outcome
    proves: tuple[Sentence, ...] = ()
    missing: tuple[Sentence, ...] = ()


@dataclass(frozen=True, slots=True)
class Trust:
    """What the reader knows by another way than the bundle. ``charter``: the first root's digest, hex, or "".
    ``keys``: texts of receipt keys; none: any. ``policy``: a C2SP tlog-policy, or None for the charter's own.
    ``secrets``: of seeds, as the reader's own copy of the ledger has them.
    """

    charter: str = ""
    keys: tuple[str, ...] = ()
    policy: bytes | None = None
    secrets: tuple[PublishedSecret, ...] = ()


NOTHING: Final = Trust()


@dataclass(frozen=True, slots=True)
class Report:
    """``reason`` and ``detail``: where it is refused. ``statement`` None: it was refused before it was read. ``seed``:
    of one that is not refused.
    """

    verdict: Verdict
    steps: tuple[Step, ...]
    reason: Reason | None = None
    detail: str = ""
    statement: Statement | None = None
    not_proven: tuple[Sentence, ...] = tuple(map(Sentence, NOT_PROVEN))
    seed: SeedStanding | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data. Sentences in English, filled."""
        return {
            "verdict": self.verdict.value,
            "reason": None if self.reason is None else self.reason.value,
            "step": next((step.number for step in self.steps if step.outcome is Outcome.REFUSED), None),
            "detail": self.detail,
            "seed": None if self.seed is None else self.seed.value,
            "steps": [
                {
                    "step": step.number,
                    "name": STEPS[step.number - 1],
                    "outcome": step.outcome.value,
                    "proves": [filled(sentence) for sentence in step.proves],
                    "missing": [filled(sentence) for sentence in step.missing],
                }
                for step in self.steps
            ],
            "not_proven": [filled(sentence) for sentence in self.not_proven],
            "statement": None if self.statement is None else self.statement.to_json()["predicate"],
        }


def verify(data: bytes, trust: Trust = NOTHING) -> Report:
    """``data``: a bundle. Raises nothing, for any bytes. A key or a policy in ``trust`` that is none refuses, too."""
    run = _Run(trust)
    try:
        run.all(data)
    except ReceiptError as error:
        return run.refused(error)
    missing = any(step.missing for step in run.steps)
    verdict = Verdict.PARTIAL if missing else Verdict.VERIFIED
    return Report(verdict, tuple(run.steps), statement=run.statement, seed=run.seed)


class _Run:
    """One verification; what it knows so far."""

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        self.steps: list[Step] = []
        self.statement: Statement | None = None
        self.seed: SeedStanding | None = None

    def all(self, data: bytes) -> None:
        bundle, envelope = self._file(data)
        unknown_key = self._signature(bundle, envelope)
        statement = self._statement(envelope)
        self._disclosed(bundle, statement)
        adopted = self._charter(bundle, statement)
        self._allowed(bundle, adopted, statement)
        self._ledger(bundle, statement, adopted, unknown_key)

    def refused(self, error: ReceiptError) -> Report:
        number = len(self.steps) + 1
        rest = (Step(later, Outcome.NOT_REACHED) for later in range(number + 1, len(STEPS)))
        steps = (*self.steps, Step(number, Outcome.REFUSED), *rest)
        return Report(Verdict.REFUSED, steps, error.reason, str(error.details["detail"]), self.statement)

    def _done(self, proves: list[Sentence], missing: list[Sentence] | None = None) -> None:
        outcome = Outcome.MISSING if missing else Outcome.HOLDS
        self.steps.append(Step(len(self.steps) + 1, outcome, tuple(proves), tuple(missing or ())))

    def _file(self, data: bytes) -> tuple[Bundle, Envelope]:
        bundle = Bundle.from_bytes(data)
        envelope = Envelope.from_bytes(bundle.envelope)
        self._done([Sentence(N_("It is a bundle, written in the one way that can be read in one way only."))])
        return bundle, envelope

    def _signature(self, bundle: Bundle, envelope: Envelope) -> Sentence | None:
        """What is to be said where nothing of the reader's own vouches for the key."""
        key = ReceiptKey.from_text(bundle.key)
        trusted = [ReceiptKey.from_text(text) for text in self.trust.keys]
        if trusted and key not in trusted:
            raise ReceiptError(Reason.UNKNOWN_KEY, "the receipt is signed by a key that is not among those you trust")
        envelope.check(key)
        self._done([Sentence(N_("The holder of the key %(key)s has signed this statement."), {"key": bundle.key})])
        if trusted:
            return None
        return Sentence(N_("Whose key that is: compare it with the one that is published."))

    def _statement(self, envelope: Envelope) -> Statement:
        statement = self.statement = Statement.from_payload(envelope.payload)
        proves = [
            Sentence(
                N_("It is the receipt of one answer (%(state)s), from %(began)s to %(ended)s by the server's clock."),
                {
                    "state": statement.state.value,
                    "began": statement.began.isoformat(),
                    "ended": statement.ended.isoformat(),
                },
            )
        ]
        self._done(proves)
        return statement

    def _disclosed(self, bundle: Bundle, statement: Statement) -> None:
        proves, missing = [], []
        for name in FIELDS:
            committed = statement.commitments[name]
            disclosed = bundle.disclosed.get(name)
            if disclosed is not None:
                check_commitment(name, disclosed.value, disclosed.salt, committed)
                _check_count(name, disclosed.value, statement)
                proves.append(Sentence(N_("%(field)s: this is what was committed to."), {"field": name}))
            elif committed is not None:
                missing.append(Sentence(N_("%(field)s: withheld; whoever has it can still show it."), {"field": name}))
        followed, withheld = check_shown_seed(bundle.seed, statement)
        self._done(proves + followed, missing + withheld)

    def _charter(self, bundle: Bundle, statement: Statement) -> "Adopted | None":
        used = statement.charter
        if self.trust.charter and self.trust.charter != used.first_root:
            raise ReceiptError(Reason.CHARTER_UNKNOWN, "the receipt names another charter than the one you trust")
        missing = []
        if not self.trust.charter:
            text = N_("Whose charter that is: compare %(digest)s with the one that is published.")
            missing.append(Sentence(text, {"digest": used.first_root}))
        if bundle.charter is None:
            missing.append(Sentence(N_("The charter's files are not in the bundle.")))
            self._done([], missing)
            return None
        from commun.receipts.adopted import check_adopted  # tuf takes as long to import as all the rest

        adopted = check_adopted(bundle.charter, statement)
        text = N_("Edition %(edition)s of “%(name)s” was adopted by %(signed)s of its board, quorum %(quorum)s.")
        details: dict[str, str | int] = {
            "edition": used.edition,
            "name": shown(adopted.edition.charter.name),
            "signed": len(adopted.edition.signatures),
            "quorum": adopted.edition.charter.board.quorum,
        }
        proves = [Sentence(text, details)]
        if used.stale:
            proves.append(Sentence(N_("The board's mandate had ended, and the receipt says so.")))
        self._done(proves, missing)
        return adopted

    def _allowed(self, bundle: Bundle, adopted: "Adopted | None", statement: Statement) -> None:
        if adopted is None:
            self._done([], [Sentence(N_("What the charter allows: its files are not in the bundle."))])
            return
        from commun.receipts.adopted import added_by_caller, check_allowed, check_has_messages, check_prompt

        commitments = statement.commitments
        model = check_allowed(
            adopted.edition.charter,
            statement,
            stop=commitments["stop"] is not None,
            schema=commitments["schema"] is not None,
        )
        proves = [Sentence(N_("The receipt names the model “%(model)s” and settings that the charter allows."),
                           {"model": shown(model.name)})]  # fmt: skip
        told = bundle.disclosed.get("prompt_messages")
        if commitments["prompt_messages"] is None:
            check_has_messages(statement)
        if told is not None:
            check_prompt(adopted.edition.charter, statement, cast("Sequence[Message]", told.value))
            proves.append(Sentence(N_("What the model was told first is the system prompt that was adopted.")))
            if added_by_caller(adopted.edition.charter, statement, cast("Sequence[Message]", told.value)):
                proves.append(Sentence(N_("After it stands what whoever asked has added, as the charter allows.")))
        if not model.digest:
            proves.append(Sentence(N_("The model runs on another server: nobody can check its files.")))
        self._done(proves)

    def _ledger(
        self, bundle: Bundle, statement: Statement, adopted: "Adopted | None", unknown_key: Sentence | None
    ) -> None:
        from commun.receipts.logged import NO_POLICY, check_logged, read_policy

        charter_policy = adopted.edition.charter.witnesses.policy if adopted is not None else ""
        own = self.trust.policy
        policy = NO_POLICY
        if own is not None:
            policy = read_policy(own)
        elif charter_policy:
            policy = read_policy((charter_policy + "\n").encode())  # a charter's texts have no space around them
        found = check_logged(bundle.envelope, statement, bundle.ledger, policy, bundle.seed)
        proves, missing = _said_of_ledger(bundle, found)
        derived, doubtful = check_derivation(bundle.seed, statement, found, self.trust.secrets)
        proves, missing = proves + derived, missing + doubtful
        self.seed = standing_of(bundle.seed, statement, found, self.trust.secrets)
        anchored = own is not None or bool(self.trust.charter)
        if found is not None and not (found.vouched and anchored):
            missing.append(Sentence(N_("Whose ledger that is: neither you nor a charter that you know names its key.")))
        logged = found is not None and found.index is not None and found.vouched and anchored
        if unknown_key is not None and not logged:
            missing.append(unknown_key)
        if found is not None and not found.witnesses:
            proves.append(Sentence(N_("No witness was asked for: the ledger's own keeper alone stands for its head.")))
        self._done(proves, missing)


def _said_of_ledger(bundle: Bundle, found: "InLedger | None") -> tuple[list[Sentence], list[Sentence]]:
    proves, missing = [], []
    if found is not None and found.index is not None:
        text = N_("The receipt is entry %(index)s of the ledger's %(size)s; witnesses: %(witnesses)s.")
        names = ", ".join(map(shown, found.witnesses)) or "—"
        proves.append(Sentence(text, {"index": found.index, "size": found.size, "witnesses": names}))
    elif bundle.ledger.receipt == PENDING:
        missing.append(Sentence(N_("The ledger's proof is pending: fetch the bundle again in a moment.")))
    else:
        missing.append(Sentence(N_("The bundle has no proof that the receipt is in a ledger.")))
    if found is not None and found.edition_index is not None:
        text = N_("The edition's adoption is entry %(index)s of the same ledger.")
        proves.append(Sentence(text, {"index": found.edition_index}))
    else:
        missing.append(Sentence(N_("The bundle has no proof that the edition is in the ledger.")))
    return proves, missing


def _check_count(name: str, value: Value, statement: Statement) -> None:
    if name == "prompt_messages":
        kept = sum(role not in {"system", TEXT_ROLE} for role, _ in cast("Sequence[Message]", value))
        holds = kept == statement.context.kept
    else:
        holds = name not in _COUNTED or len(value) == getattr(statement, _COUNTED[name])
    if not holds:
        raise ReceiptError(Reason.COUNT_MISMATCH, f"{name} has another length than the receipt counts")


def shown(text: str) -> str:
    """Anybody may have chosen it so that it speaks to a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
