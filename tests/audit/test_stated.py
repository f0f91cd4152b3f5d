"""What a receipt only states is told beside the verdict: an operator could say it in the asker's name."""

from dataclasses import replace

from audit.facts import made_case
from commun.audit.case import Case
from commun.audit.stated import WORDS, Stated, stated
from commun.receipts.sentences import filled
from commun.receipts.statement import ContextUsed, Sampler, State
from made_receipt import VALUES

SAMPLER = Sampler("openvino-genai/mt19937-cdf/1", "0.7", "0.95", 64, ignore_eos=False)


def found(case: Case) -> dict[Stated, str]:
    return {what: filled(sentence) for what, sentence in stated(case)}


def whole(**changes: object) -> Case:
    """With its charter, an own end and no wishes."""
    return replace(made_case(values=replace(VALUES, stop=None), **changes), most_tokens=8192)


def test_of_an_answer_to_plain_messages_that_ended_by_itself_nothing_is_only_stated() -> None:
    assert found(whole()) == {}


def test_each_claim_is_told_with_its_number() -> None:
    assert "2 characters" in found(replace(whole(), added="So"))[Stated.ADDED]
    assert found(replace(whole(), stop=("a", "b")))[Stated.STOP_STRINGS].endswith(": 2.")
    dropped = ContextUsed("chat", "oldest-turns-first", kept=1, dropped=7)
    assert found(whole(context=dropped))[Stated.LEFT_OUT].endswith(": 7.")
    assert "3 tokens" in found(whole(finish="length"))[Stated.MOST_TOKENS]
    stopped = found(whole(state=State.STOPPED, finish="cancelled"))
    assert list(stopped) == [Stated.CUT_OFF]
    assert "stopped" in stopped[Stated.CUT_OFF]
    assert list(found(whole(sampler=replace(SAMPLER, ignore_eos=True)))) == [Stated.WRITES_ON]


def test_what_was_not_looked_at_is_told() -> None:
    plain = made_case(
        values=replace(VALUES, stop=None, prompt_messages=None), context=ContextUsed("text", "oldest-turns-first", 0, 0)
    )
    assert list(found(plain)) == [Stated.NO_CHARTER, Stated.NO_MESSAGES, Stated.PLAIN_TEXT]


def test_each_has_words() -> None:
    assert set(WORDS) == set(Stated)
