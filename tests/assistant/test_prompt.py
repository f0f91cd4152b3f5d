import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.assistant.prompt import PreparedPrompt, Question, prepare, sampling_for
from commun.assistant.rules import Rules
from commun.engine.base import Message, Prompt
from commun.errors import MessageTooLong
from fake_engine import FakeEngine

RULES = Rules(system_prompt="Rule one.", answer_reserve=10)


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
    assert result.tokens + RULES.answer_reserve <= 100
    kept = result.prompt.messages[1:]
    assert kept == messages[len(messages) - len(kept) :]
    assert kept[0].role == "user"
    assert result.dropped_messages == len(messages) - len(kept)


def test_wishes_are_granted_over_the_rules_and_the_answer_stays_within_the_room() -> None:
    sampling = sampling_for(RULES, Question(temperature=0.0, max_tokens=500, seed=7), room=40, seed=1)
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed) == (0.0, RULES.top_p, 40, 7)
