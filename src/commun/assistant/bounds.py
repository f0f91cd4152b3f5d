"""What a caller may wish for, by the charter. The one place where a wish meets its clause.

- a wish beyond a bound is refused, naming the clause and what it allows; it is never cut to fit: who asks for 2,000
  tokens and silently gets 1,000 would take a bound for an answer;
- what nobody wished is the charter's default, and needs no permission.
"""

from collections.abc import Iterator
from decimal import Decimal

from commun.assistant.question import Question
from commun.charter.clauses import LANGUAGES, PERSONA_NONE, Bounds, Charter, TemporaryRule
from commun.charter.errors import OutsideCharter

Refusal = tuple[str, str, str]  # parameter, clause, what is allowed


def check_wishes(question: Question, charter: Charter, *, stored: bool) -> None:
    """``stored``: the answer is to be kept. Raises OutsideCharter for the first wish that is not granted."""
    for parameter, clause, allowed in refusals(question, charter, stored=stored):
        raise OutsideCharter(parameter=parameter, clause=clause, allowed=allowed)


def check_plain_completions(charter: Charter) -> None:
    """A text without any system prompt, continued or rated. Raises OutsideCharter."""
    if not charter.callers.plain_completions:
        raise OutsideCharter(parameter="prompt", clause="callers.plain_completions", allowed="false")


def refusals(question: Question, charter: Charter, *, stored: bool) -> Iterator[Refusal]:
    """Every wish beyond the charter. ``allowed`` is in the charter's own words: numbers, names, ``false``."""
    if question.prompt is not None:
        check_plain_completions(charter)
    sampling, callers = charter.sampling, charter.callers
    for parameter, wish, bounds in (
        ("temperature", question.temperature, sampling.temperature),
        ("top_p", question.top_p, sampling.top_p),
        ("max_tokens", question.max_tokens, sampling.max_tokens),
    ):
        if wish is not None and not is_within(wish, bounds):
            yield parameter, f"sampling.{parameter}", f"{bounds.least}–{bounds.most}"
    for parameter, wished, clause, granted in (
        ("seed", question.seed is not None, "sampling.caller_seed", sampling.caller_seed),
        ("messages", has_system_message(question), "callers.system_messages", callers.system_messages),
        ("response_format", question.json_schema is not None, "callers.structured_output", callers.structured_output),
        ("stop", bool(question.stop), "callers.stop_strings", callers.stop_strings),
        ("ignore_eos", writes_on(question), "callers.ignore_eos", callers.ignore_eos),
    ):
        if wished and not granted:
            yield parameter, clause, "false"
    if question.persona not in (None, PERSONA_NONE) and charter.persona(question.persona) is None:
        yield "persona", "personas", ", ".join(persona.id for persona in charter.personas)
    if question.language is not None and question.language not in LANGUAGES:
        yield "language", "prompts", ", ".join(LANGUAGES)
    if stored and charter.temporary.rule is TemporaryRule.ONLY:
        yield "store", "temporary", TemporaryRule.ONLY


def is_within(wish: float, bounds: Bounds) -> bool:
    """Compared as the number that was written, not as its nearest binary one."""
    return bounds.least <= Decimal(str(wish)) <= bounds.most


def has_system_message(question: Question) -> bool:
    return any(message.role == "system" for message in question.messages)


def writes_on(question: Question) -> bool:
    """With one token to write there is no end to write on after."""
    return question.ignore_eos and question.max_tokens != 1
