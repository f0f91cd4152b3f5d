"""Each wish meets its clause: granted within, refused beyond, never cut."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charters import CHARTER, bounds
from commun.assistant.bounds import check_wishes, refusals
from commun.assistant.question import Question
from commun.charter.clauses import Callers, Temporary, TemporaryRule
from commun.charter.errors import OutsideCharter
from commun.engine.base import Message, Prompt

ASKED = Question(messages=(Message("user", "Hello"),))
STRICT = replace(
    CHARTER,
    sampling=replace(
        CHARTER.sampling,
        caller_seed=False,
        temperature=bounds("0.3", "0.1", "0.7"),
        top_p=bounds("0.9", "0.5", "0.95"),
        max_tokens=bounds("100", "10", "200"),
    ),
    callers=Callers(
        system_messages=False, plain_completions=False, structured_output=False, stop_strings=False, ignore_eos=False
    ),
    temporary=Temporary(TemporaryRule.ONLY),
)
BEYOND = [
    ({"temperature": 0.71}, "temperature", "sampling.temperature", "0.1–0.7"),
    ({"temperature": 0.0}, "temperature", "sampling.temperature", "0.1–0.7"),
    ({"top_p": 0.96}, "top_p", "sampling.top_p", "0.5–0.95"),
    ({"max_tokens": 201}, "max_tokens", "sampling.max_tokens", "10–200"),
    ({"max_tokens": 9}, "max_tokens", "sampling.max_tokens", "10–200"),
    ({"seed": 0}, "seed", "sampling.caller_seed", "false"),
    ({"messages": (Message("system", "x"), *ASKED.messages)}, "messages", "callers.system_messages", "false"),
    ({"json_schema": "{}"}, "response_format", "callers.structured_output", "false"),
    ({"stop": ("x",)}, "stop", "callers.stop_strings", "false"),
    ({"ignore_eos": True}, "ignore_eos", "callers.ignore_eos", "false"),
    ({"prompt": Prompt((1,))}, "prompt", "callers.plain_completions", "false"),
    ({"persona": "nobody"}, "persona", "personas", "clown"),
    ({"language": "de"}, "language", "prompts", "en, fr"),
]


@pytest.mark.parametrize(("wish", "parameter", "clause", "allowed"), BEYOND, ids=str)
def test_a_wish_beyond_its_clause_is_refused_and_the_clause_named(
    wish: dict[str, Any], parameter: str, clause: str, allowed: str
) -> None:
    with pytest.raises(OutsideCharter) as refused:
        check_wishes(replace(ASKED, **wish), STRICT, stored=False)
    assert refused.value.details == {"parameter": parameter, "clause": clause, "allowed": allowed}
    assert clause in str(refused.value)


def test_the_same_wishes_are_granted_where_the_charter_grants_them() -> None:
    for wish, *_ in BEYOND[:-2]:
        check_wishes(replace(ASKED, **wish), CHARTER, stored=True)


def test_bounds_are_included_and_compared_as_they_are_written() -> None:
    for wish in ({"temperature": 0.7}, {"temperature": 0.1}, {"top_p": 0.95}, {"max_tokens": 200}):
        check_wishes(replace(ASKED, **wish), STRICT, stored=False)


def test_what_nobody_wished_needs_no_permission() -> None:
    check_wishes(ASKED, STRICT, stored=False)
    check_wishes(replace(ASKED, drawn_seed=7, persona="", language="fr"), STRICT, stored=False)


def test_where_chats_are_temporary_only_nothing_is_stored() -> None:
    with pytest.raises(OutsideCharter, match="temporary"):
        check_wishes(ASKED, STRICT, stored=True)


def test_one_token_may_ignore_the_end_because_nothing_is_written_on() -> None:
    charter = replace(STRICT, sampling=CHARTER.sampling)
    check_wishes(replace(ASKED, ignore_eos=True, max_tokens=1), charter, stored=False)


@given(st.floats(-10, 10, allow_nan=False))
def test_no_temperature_beyond_the_bounds_gets_through(temperature: float) -> None:
    found = list(refusals(replace(ASKED, temperature=temperature), STRICT, stored=False))
    assert bool(found) == (not 0.1 <= temperature <= 0.7)
