"""What goes into a shared answer: never more than its owner chose, and rendered as every answer is."""

from dataclasses import replace

import pytest

from commun.receipts.bundle import Bundle
from commun.receipts.commitments import FIELDS, check_commitment
from commun.store.receipts import StoredReceipt
from commun.web.render import render_markdown, split_reasoning
from commun.web.share_view import ALONE, bundle_to_share, can_be_shared, shared_answer
from made_receipt import VALUES, made_receipt
from web.xss_corpus import CORPUS

WORDS = "canary-question-5e8a"


def stored(written=VALUES, **changes) -> StoredReceipt:
    made = made_receipt("turn", written)
    found = StoredReceipt(
        made.statement.receipt, "", 7, 0.0, made.key, made.envelope, "conversation", "message", made.salts, made.values
    )
    return replace(found, **changes)


ASKED = replace(
    VALUES,
    prompt_messages=(("system", "Be brief."), ("user", "First"), ("assistant", "**One**"), ("user", WORDS)),
    stop=("canary-stop",),
    schema='{"title": "canary-schema"}',
)


def test_without_the_conversation_only_the_answer_goes_along() -> None:
    bundle = bundle_to_share(stored(ASKED), conversation=False)
    assert set(bundle.disclosed) == ALONE == {"answer_text", "answer_token_ids"}
    assert b"canary" not in bundle.data()
    shown = shared_answer(bundle)
    assert shown.question is None
    assert shown.before == ()


def test_with_it_everything_does_and_each_value_opens_its_commitment() -> None:
    bundle = Bundle.from_bytes(bundle_to_share(stored(ASKED), conversation=True).data())
    shown = shared_answer(bundle)
    assert set(bundle.disclosed) == {name for name in FIELDS if ASKED.by_field()[name] is not None}
    for name, item in bundle.disclosed.items():
        check_commitment(name, item.value, item.salt, shown.statement.commitments[name])
    assert shown.question is not None
    assert shown.question.text == WORDS
    assert [(each.role, each.text) for each in shown.before] == list(ASKED.prompt_messages or ())[:-1]
    assert "<strong>One</strong>" in shown.before[2].html
    assert {each.html for each in (shown.before[0], shown.before[1], shown.question)} == {""}


def test_neither_charter_nor_ledger_is_frozen_into_it() -> None:
    bundle = bundle_to_share(stored(), conversation=True)
    assert bundle.charter is None
    assert bundle.ledger.receipt is None


@pytest.mark.parametrize(
    "changes", [{"salts": None, "values": None}, {"conversation_id": None, "message_id": None}, {"values": None}]
)
def test_what_is_not_kept_here_cannot_be_shared(changes) -> None:
    assert can_be_shared(stored())
    assert not can_be_shared(stored(**changes))


def test_reasoning_stands_apart() -> None:
    shown = shared_answer(
        bundle_to_share(stored(replace(VALUES, answer_text="<think>Hm.</think>\n\nBecause.")), conversation=False)
    )
    assert "Hm." in shown.thought
    assert "Hm." not in shown.html
    assert "Because." in shown.html


@pytest.mark.parametrize("hostile", CORPUS)
def test_a_hostile_answer_is_rendered_as_every_answer_is(hostile: str) -> None:
    values = replace(VALUES, answer_text=hostile, prompt_messages=(("assistant", hostile), ("user", hostile)))
    shown = shared_answer(bundle_to_share(stored(values), conversation=True))
    answer = split_reasoning(hostile)[1]
    assert shown.html == shown.before[0].html == render_markdown(answer)
    assert shown.question is not None
    assert shown.question.html == ""
