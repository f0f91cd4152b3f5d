import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charters import CHARTER
from commun.assistant.prompt import PreparedPrompt, Question, prepare, sampling_for
from commun.engine.base import Message, Prompt
from commun.errors import MessageTooLong
from fake_engine import FakeEngine

RESERVE = 10
RULES = replace(CHARTER, context=replace(CHARTER.context, answer_reserve=RESERVE))


def chat(*texts: str) -> tuple[Message, ...]:
    """Alternating user and assistant messages."""
    return tuple(Message("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(texts))


def prepared(question: Question, *, context_length: int = 100) -> PreparedPrompt:
    return asyncio.run(prepare(FakeEngine(context_length=context_length), RULES, question))


def test_the_rules_come_first_and_the_callers_system_text_after_them_in_one_message() -> None:
    result = prepared(Question(messages=(Message("system", "Be brief."), *chat("Hello"))))
    assert result.prompt.messages == (Message("system", "Rule one.\n\nBe brief."), Message("user", "Hello"))


def test_what_fits_is_left_whole() -> None:
    result = prepared(Question(messages=chat("a b", "c", "d")))
    assert result.dropped_messages == 0
    assert result.room == 100 - result.tokens


def test_the_oldest_turns_go_first_question_and_answer_together() -> None:
    result = prepared(Question(messages=chat("old " * 70, "answer " * 30, "new question")))
    assert result.dropped_messages == 2
    assert [m.content for m in result.prompt.messages] == ["Rule one.", "new question"]


def test_a_last_question_that_does_not_fit_alone_is_an_error_and_never_cut() -> None:
    with pytest.raises(MessageTooLong):
        prepared(Question(messages=chat("short", "short", "long " * 200)))


def test_a_plain_prompt_is_passed_on_untouched_or_refused() -> None:
    exact = Prompt(token_ids=(1, 2, 3))
    assert prepared(Question(prompt=exact)).prompt is exact
    with pytest.raises(MessageTooLong):
        prepared(Question(prompt=Prompt(token_ids=tuple(range(100)))))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=15))
def test_whatever_the_lengths_the_prompt_fits_and_ends_with_the_question(lengths: list[int]) -> None:
    texts = ["w " * length for length in lengths[: len(lengths) - (len(lengths) + 1) % 2]]
    messages = chat(*texts)
    result = prepared(Question(messages=messages))
    assert result.tokens + RESERVE <= 100
    kept = result.prompt.messages[1:]
    assert kept == messages[len(messages) - len(kept) :]
    assert kept[0].role == "user"
    assert result.dropped_messages == len(messages) - len(kept)


def test_the_persona_speaks_after_the_charters_prompt_in_the_language_that_was_asked_for() -> None:
    result = prepared(Question(messages=chat("Hello"), persona="clown", language="fr"))
    assert result.prompt.messages[0].content == "Règle une.\n\nSoyez drôle."
    assert prepared(Question(messages=chat("Hello"))).prompt.messages[0].content == "Rule one."


def test_a_persona_of_the_charters_choice_answers_unless_none_is_asked_for() -> None:
    funny = replace(RULES, prompts=replace(RULES.prompts, persona="clown"))
    for asked, text in ((None, "Rule one.\n\nBe funny."), ("", "Rule one.")):
        question = Question(messages=chat("Hello"), persona=asked)
        result = asyncio.run(prepare(FakeEngine(), funny, question))
        assert result.prompt.messages[0].content == text


def test_the_charter_bounds_the_context_below_the_engines() -> None:
    narrow = replace(RULES, context=replace(RULES.context, most_tokens=50))
    question = Question(messages=chat("old " * 45, "answer", "new"))
    result = asyncio.run(prepare(FakeEngine(context_length=1000), narrow, question))
    assert result.dropped_messages == 2
    assert result.tokens + result.room == 50


def test_wishes_are_granted_over_the_rules_and_the_answer_stays_within_the_room() -> None:
    sampling = sampling_for(RULES, Question(temperature=0.0, max_tokens=500, seed=7), room=40, seed=1)
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed) == (0.0, 0.95, 40, 7)


def test_what_nobody_wishes_is_the_charters() -> None:
    sampling = sampling_for(RULES, Question(), room=5000, seed=1)
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed) == (0.3, 0.95, 1024, 1)
    assert sampling_for(RULES, Question(drawn_seed=2), room=1, seed=1).seed == 2
