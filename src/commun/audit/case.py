"""What a bundle lets be audited: verified first, then taken apart; or the reason why it cannot be.

- a bundle that ``receipts.verification`` refuses is not audited: nobody has stated what would be compared;
- an audit takes the prompt's and the answer's token ids, the answer's text, and where the receipt commits to them the
  messages, the log-probabilities and the stop strings. What is withheld can still be shown, and audited then. A reader
  who names the charter is told its files are withheld where the bundle has none: the prompt could not be compared;
- only the sampler that is known here is recomputed. An answer that another server drew (sampler ``remote``) is a case
  without a seed, and without the prompt's token ids where that server kept them: it is compared by its figures only,
  with what a server lists (``listed.py``);
- an answer under a JSON Schema can be followed by the engine's own sampler only (``engine/masked.py``): exactly or not
  at all (``comparing.py``);
- settings that the sampler cannot have (``draws.can_draw``), and more stop strings than any server asks for, are in no
  receipt of an honest server: nothing is computed with them;
- a stopped, interrupted or failed answer is audited as far as it goes. One without any token shows nothing.

Raises CannotAudit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from commun.audit.draws import can_draw, draws, share_of
from commun.charter.clauses import Charter
from commun.errors import N_, CommunError
from commun.receipts.adopted import added_by_caller, check_adopted
from commun.receipts.bundle import Bundle
from commun.receipts.commitments import LEAST_LOGPROB, LOGPROB_UNITS
from commun.receipts.statement import OPENVINO_SAMPLER, REMOTE_SAMPLER, Statement
from commun.receipts.verification import Report, Trust, Verdict, verify

MAX_AUDITED_TOKENS: Final = 1 << 17  # prompt and answer: a longest context that anybody serves with this engine
MAX_STOPS: Final = 64  # each is looked for after each token; the API takes four


class Why(StrEnum):
    """Why something cannot be audited. Programs compare these."""

    RECEIPT_REFUSED = "receipt-refused"
    WITHHELD = "withheld"
    NO_TOKENS = "no-tokens"
    UNTOLD = "untold"
    TOO_LONG = "too-long"
    MANY_STOPS = "many-stops"
    OTHER_SAMPLER = "other-sampler"
    OTHER_SERVER = "other-server"
    STRUCTURED = "structured"
    NO_CALIBRATION = "no-calibration"
    FEW_HONEST = "few-honest"


WORDS: Final[Mapping[Why, str]] = {
    Why.RECEIPT_REFUSED: N_("the receipt itself is refused"),
    Why.WITHHELD: N_("what an audit needs is withheld"),
    Why.NO_TOKENS: N_("the answer has no token"),
    Why.UNTOLD: N_("the server that drew it told no token ids"),
    Why.TOO_LONG: N_("the conversation is longer than an audit takes"),
    Why.MANY_STOPS: N_("it has more stop strings than any server takes"),
    Why.OTHER_SAMPLER: N_("a sampler drew it that is not known here"),
    Why.OTHER_SERVER: N_(
        "another server drew it: name one that has the model with --remote, or the model’s file with --model"
    ),
    Why.STRUCTURED: N_("a grammar chose among the words, which only an exact comparison can follow"),
    Why.NO_CALIBRATION: N_("there are no figures of honest answers for this model, engine and machine"),
    Why.FEW_HONEST: N_("there are too few honest answers of this length to compare with"),
}


class CannotAudit(CommunError):
    """``why`` for programs; ``reason``: the same in words; ``detail``: what is withheld, or refused."""

    code = "cannot_audit"
    status = 422
    problem = N_("This answer cannot be audited: %(reason)s.")
    cure = N_("Nothing is thereby said against it. docs/spec/audit.md has what an audit needs.")

    def __init__(self, why: Why, detail: str = "") -> None:
        self.why = why
        super().__init__(reason=WORDS[why], why=why.value, detail=detail)


@dataclass(frozen=True, slots=True)
class Case:
    """One answer. ``seed`` None: nothing was drawn (temperature 0), or by another server. ``prompt``: empty where that
    server kept its tokens. ``recorded``: the log-probabilities that the receipt commits to; None for one that was no
    number. ``messages``: (role, text), or none that were disclosed. ``most_tokens``: of a conversation, as the edition
    has it; None where that is not in the bundle. ``added``: what whoever asked is said to have put after the adopted
    prompt.
    """

    statement: Statement
    prompt: tuple[int, ...] = field(repr=False)
    answer: tuple[int, ...] = field(repr=False)
    text: str = field(repr=False)
    messages: tuple[tuple[str, str], ...] | None = field(repr=False)
    recorded: tuple[float | None, ...] | None = field(repr=False)
    stop: tuple[str, ...] = field(repr=False)
    schema: str | None = field(repr=False)
    temperature: float
    top_p: float
    seed: int | None
    most_tokens: int | None = None
    added: str = field(default="", repr=False)

    @property
    def is_remote(self) -> bool:
        """Another server drew it: its draws are nobody's to recompute."""
        return self.statement.sampler.id == REMOTE_SAMPLER

    def room(self, context_length: int) -> int:
        """How many tokens the answer could have at most. ``context_length``: the model's."""
        context = min(context_length, self.most_tokens or context_length)
        return min(self.statement.sampler.max_tokens, context - len(self.prompt))

    def shares(self) -> tuple[float | None, ...]:
        """Of each token's draw."""
        if self.seed is None:
            return (None,) * len(self.answer)
        return tuple(map(share_of, draws(self.seed, len(self.answer))))


def case_of(data: bytes, trust: Trust) -> tuple[Case, Report]:
    """``data``: a bundle. The report says what was verified and what was missing there."""
    report = verify(data, trust)
    statement = report.statement
    if report.verdict is Verdict.REFUSED or statement is None:
        raise CannotAudit(Why.RECEIPT_REFUSED, report.detail)
    bundle = Bundle.from_bytes(data)
    if trust.charter and bundle.charter is None:
        raise CannotAudit(Why.WITHHELD, "charter")
    prompt, answer = _tokens(bundle, statement)
    messages = _optional(bundle, statement, "prompt_messages")
    charter = _charter_of(bundle, statement)
    stop = _optional(bundle, statement, "stop") or ()
    if len(prompt) + len(answer) > MAX_AUDITED_TOKENS:
        raise CannotAudit(Why.TOO_LONG)
    if len(stop) > MAX_STOPS:
        raise CannotAudit(Why.MANY_STOPS, f"{len(stop)} stop strings")
    temperature, top_p = float(statement.sampler.temperature), float(statement.sampler.top_p)
    if not can_draw(temperature, top_p):
        raise CannotAudit(Why.OTHER_SAMPLER, f"temperature {temperature:.3g}, top_p {top_p:.3g}")
    recorded = _optional(bundle, statement, "logprobs")
    case = Case(
        statement=statement,
        prompt=tuple(prompt),
        answer=tuple(answer),
        text=_needed(bundle, statement, "answer_text"),
        messages=messages,
        recorded=None if recorded is None else tuple(map(_logprob, recorded)),
        stop=stop,
        schema=_optional(bundle, statement, "schema"),
        temperature=temperature,
        top_p=top_p,
        seed=statement.seed.value if temperature > 0 and statement.sampler.id != REMOTE_SAMPLER else None,
        most_tokens=None if charter is None else charter.context.most_tokens,
        added="" if charter is None else added_by_caller(charter, statement, messages or ()),
    )
    return case, report


def _charter_of(bundle: Bundle, statement: Statement) -> Charter | None:
    """What the verification has looked at already."""
    return None if bundle.charter is None else check_adopted(bundle.charter, statement).edition.charter


def _tokens(bundle: Bundle, statement: Statement) -> tuple[Any, Any]:
    """Of the prompt and of the answer."""
    if statement.sampler.id == REMOTE_SAMPLER:
        prompt = _optional(bundle, statement, "prompt_token_ids") or ()
        answer = _optional(bundle, statement, "answer_token_ids")
        if not answer or not (prompt or statement.commitments["prompt_messages"]):
            raise CannotAudit(Why.UNTOLD if statement.answer_tokens else Why.NO_TOKENS)
        return prompt, answer
    if statement.sampler.id != OPENVINO_SAMPLER:
        raise CannotAudit(Why.OTHER_SAMPLER, statement.sampler.id)
    prompt, answer = _needed(bundle, statement, "prompt_token_ids"), _needed(bundle, statement, "answer_token_ids")
    if not answer or not prompt:
        raise CannotAudit(Why.NO_TOKENS)
    return prompt, answer


def _needed(bundle: Bundle, statement: Statement, name: str) -> Any:
    value = _optional(bundle, statement, name)
    if value is None:
        raise CannotAudit(Why.WITHHELD if statement.commitments[name] is not None else Why.NO_TOKENS, name)
    return value


def _optional(bundle: Bundle, statement: Statement, name: str) -> Any:
    """None where the receipt commits to none. Withheld values are asked for: without them less would be compared, and
    whoever passed the bundle on would have chosen what.
    """
    disclosed = bundle.disclosed.get(name)
    if disclosed is None:
        if statement.commitments[name] is not None:
            raise CannotAudit(Why.WITHHELD, name)
        return None
    return disclosed.value


def _logprob(units: int) -> float | None:
    return None if units == LEAST_LOGPROB else units / LOGPROB_UNITS


def differing(recorded: Sequence[float | None] | None, recomputed: Sequence[float]) -> tuple[float, ...]:
    """How far each recorded log-probability is from the recomputed one. Nothing where none were recorded."""
    if recorded is None:
        return ()
    return tuple(
        float("inf") if one is None else abs(one - other) for one, other in zip(recorded, recomputed, strict=True)
    )
