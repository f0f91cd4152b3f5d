import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charters import CHARTER
from commun.assistant.prompt import PreparedPrompt, Question, prepare, sampling_for
from commun.engine.base import Message, Prompt, Role
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


class Counting(FakeEngine):
    """``renders``: how often it was asked."""

    renders = 0

    async def render(self, messages: Sequence[Message]) -> Prompt:
        self.renders += 1
        return await super().render(messages)


async def one_turn_after_another(question: Question) -> tuple[tuple[Message, ...], int] | MessageTooLong:
    """What the policy says, turn by turn: the messages, and how many were dropped; or the refusal."""
    engine = FakeEngine(context_length=100)
    turns: list[list[Message]] = []
    for message in question.messages:
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    dropped = 0
    while True:
        prompt = await engine.render([Message("system", "Rule one."), *(one for turn in turns for one in turn)])
        tokens = await engine.count(prompt)
        if tokens + RESERVE <= 100:
            return prompt.messages, dropped
        if len(turns) == 1:
            return MessageTooLong(tokens=tokens, limit=100 - RESERVE)
        dropped += len(turns.pop(0))


@given(st.lists(st.tuples(st.sampled_from(("user", "assistant")), st.integers(0, 100)), min_size=1, max_size=40))
def test_what_is_left_out_is_what_leaving_out_turn_by_turn_would(said: list[tuple[Role, int]]) -> None:
    question = Question(messages=tuple(Message(role, "w " * length) for role, length in said))
    wanted = asyncio.run(one_turn_after_another(question))
    if isinstance(wanted, MessageTooLong):
        with pytest.raises(MessageTooLong) as refused:
            prepared(question)
        assert refused.value.details == wanted.details
    else:
        result = prepared(question)
        assert (result.prompt.messages, result.dropped_messages) == wanted
        assert result.room == 100 - result.tokens == 100 - len(result.prompt.token_ids or ())


@pytest.mark.parametrize(("last", "most"), [("new", 11), ("long " * 200, 2)])
def test_a_long_history_is_rendered_a_few_times_only(last: str, most: int) -> None:
    engine = Counting(context_length=100)
    question = Question(messages=(*(Message("user", "some words") for _ in range(400)), Message("user", last)))
    with contextlib.suppress(MessageTooLong):
        asyncio.run(prepare(engine, RULES, question))
    assert 1 < engine.renders <= most


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
