"""Receipts: what they commit to, how they are issued, what withholding takes away."""

import base64
import hashlib
import hmac
import json
import math
import re
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.signer import SSlibKey

import world
from commun.charter.repository import Repository
from commun.ledger.entries import ReceiptStatement, read_statement
from commun.receipts.adopted import charter_files, release
from commun.receipts.bundle import Bundle
from commun.receipts.commitments import (
    FIELDS,
    LEAST_LOGPROB,
    SALT_BYTES,
    Values,
    commitment,
    make_salts,
    whole_logprobs,
)
from commun.receipts.dsse import PAYLOAD_TYPE, Envelope, ReceiptSigner
from commun.receipts.errors import STEP_OF, Reason, ReceiptError
from commun.receipts.fields import MAX_NOTE, MAX_NOTES
from commun.receipts.issue import engine_used, issue
from commun.receipts.statement import (
    PREDICATE_TYPE,
    EngineUsed,
    Scheme,
    State,
    Statement,
    decimal_text,
    receipt_id,
)
from commun.receipts.verification import STEPS, Outcome, Verdict, verify
from golden import PINNED

SALT = bytes(range(32))


def hmac_of(data: bytes) -> str:
    return hmac.new(SALT, data, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("field", "value", "encoded"),
    [
        ("prompt_token_ids", (1, 2**32 - 1), "00000001 ffffffff"),
        ("answer_token_ids", (), ""),
        ("answer_text", "é", "c3a9"),
        ("prompt_messages", (("user", "é"),), "00000004 75736572 00000002 c3a9"),
        ("logprobs", (-1, 10_000_000), "ffffffffffffffff 0000000000989680"),
        ("stop", ("", "ab"), "00000000 00000002 6162"),
        ("schema", "{}", "7b7d"),
    ],
)
def test_a_commitment_is_hmac_over_one_encoding(field: str, value: object, encoded: str) -> None:
    assert commitment(field, value, SALT) == hmac_of(bytes.fromhex(encoded))


def test_salts_are_long_and_differ() -> None:
    salts = make_salts()
    assert salts.keys() == FIELDS.keys() == {field.name for field in fields(Values)}
    assert {len(salt) for salt in salts.values()} == {SALT_BYTES}
    assert len({*salts.values(), *make_salts().values()}) == 2 * len(FIELDS)


@given(st.floats())
def test_log_probabilities_are_whole_numbers_and_rounding_before_changes_nothing(value: float) -> None:
    (whole,) = whole_logprobs([value])
    assert abs(whole) <= 2**53 - 1
    if math.isfinite(value):
        assert whole_logprobs([round(value, 7)]) == (whole,)
        if abs(value) < 1e6:
            assert abs(Decimal(value) * 10**7 - whole) <= Decimal("0.50001")
    else:
        assert whole == LEAST_LOGPROB


@given(st.floats(0, 2) | st.decimals(0, 2, places=4))
def test_decimals_have_one_writing(number: float | Decimal) -> None:
    text = decimal_text(number)
    assert Decimal(text) == Decimal(str(number))
    assert "e" not in text.lower() and not (("." in text) and text.endswith("0"))  # noqa: PT018


def test_a_statement_read_back_is_the_same_one() -> None:
    receipt = world.signed(state=State.STOPPED, finish="cancelled")
    assert Statement.from_payload(Envelope.from_bytes(receipt.envelope).payload) == receipt.statement


def test_the_envelope_is_dsse_as_others_read_it() -> None:
    receipt = world.signed()
    other = OtherEnvelope.from_dict(json.loads(receipt.envelope))
    key = SSlibKey(world.SIGNER.key.keyid, "ed25519", "ed25519", {"public": world.SIGNER.key.public.hex()})
    assert other.payload_type == PAYLOAD_TYPE
    assert set(other.verify([key], 1)) == {world.SIGNER.key.keyid}
    assert json.loads(other.payload)["predicateType"] == PREDICATE_TYPE


def test_the_ledgers_entry_tells_the_envelopes_digest_and_nothing_else() -> None:
    receipt = world.signed()
    assert read_statement(receipt.entry) == ReceiptStatement(hashlib.sha256(receipt.envelope).hexdigest())


def test_two_receipts_of_the_same_answer_have_nothing_in_common_that_tells() -> None:
    one, two = (issue(world.statement(), world.VALUES, world.SIGNER).statement for _ in range(2))
    assert set(one.commitments.values()) & set(two.commitments.values()) == {None}


def test_nothing_that_was_written_stands_in_an_envelope() -> None:
    values = replace(world.VALUES, answer_text="CANARY-1", stop=("CANARY-2",), schema='{"title":"CANARY-3"}')
    values = replace(values, prompt_messages=(("user", "CANARY-4"),))
    payload = Envelope.from_bytes(world.signed(values).envelope).payload
    assert b"CANARY" not in payload
    assert b"a turn's own id" not in payload
    assert receipt_id("a turn's own id").encode() in payload


def test_no_secret_is_printed() -> None:
    receipt = world.signed()
    for thing in (receipt, receipt.bundle(), world.SIGNER):
        assert "quorum" not in repr(thing).lower() or "answer_text" not in repr(thing)
        assert repr(world.SALTS["answer_text"]) not in repr(thing)
        assert repr(world.SIGNER.seed) not in repr(thing)


def test_what_is_withheld_is_gone_and_the_rest_still_holds() -> None:
    whole = world.bundle()
    passed_on = Bundle.from_bytes(whole.without("answer_text", "answer_token_ids", "logprobs").data())
    assert set(passed_on.disclosed) == {"prompt_messages", "prompt_token_ids"}
    assert "members who must agree" not in passed_on.data().decode()
    for field in ("answer_text", "answer_token_ids", "logprobs"):
        assert base64.b64encode(world.SALTS[field]) not in passed_on.data()
    report = verify(passed_on.data(), PINNED)
    assert report.verdict is Verdict.PARTIAL
    assert len(report.steps[3].missing) == 3
    assert len(report.steps[3].proves) == 2


def test_a_bundle_read_back_is_the_same_one() -> None:
    whole = world.bundle()
    assert Bundle.from_bytes(whole.data()) == whole
    assert Bundle.from_bytes(whole.data()).data() == whole.data()


def test_tokens_are_counted_where_their_ids_are_there() -> None:
    receipt = world.signed(prompt_tokens=99, answer_tokens=99)
    assert (receipt.statement.prompt_tokens, receipt.statement.answer_tokens) == (6, 6)
    unknown = replace(world.VALUES, prompt_token_ids=None)
    assert world.signed(unknown, prompt_tokens=99).statement.prompt_tokens == 99


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ended": world.BEGAN - timedelta(seconds=1)}, Reason.STATEMENT_CONTRADICTION),
        ({"state": State.FAILED}, Reason.STATEMENT_CONTRADICTION),
        ({"persona": "a\nb"}, Reason.STATEMENT_FIELDS),
        ({"software": ""}, Reason.STATEMENT_FIELDS),
    ],
)
def test_what_no_reader_would_accept_is_not_signed(fields: dict[str, object], reason: Reason) -> None:
    with pytest.raises(ReceiptError) as caught:
        world.signed(**fields)
    assert caught.value.reason is reason


def test_no_engine_can_keep_a_receipt_from_being_issued_by_what_it_calls_itself() -> None:
    notes = {f"note {at}": "x" * 5000 for at in range(100)} | {"\x1b[2J": "\ud800", "": "nothing"}
    used = engine_used("evil\n\x1b" + "x" * 999, "\u202e1", "exact", notes)
    assert len(used.notes) <= MAX_NOTES
    assert max(map(len, used.notes.values())) <= MAX_NOTE
    receipt = world.signed(engine=used)
    assert Statement.from_payload(Envelope.from_bytes(receipt.envelope).payload).engine == used
    assert engine_used("openvino-genai", "1", "exact", {"a": "b"}) == EngineUsed(
        "openvino-genai", "1", "exact", {"a": "b"}
    )


def test_the_files_of_an_edition_are_taken_from_the_published_charter(tmp_path: Path) -> None:
    strays = {"metadata/7.root.json": b"{}", "metadata/timestamp.json": b"{}"}
    for name, data in (world.second().documents | world.first().documents | strays).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert charter_files(Repository(tmp_path), 2) == world.second().documents
    assert charter_files(Repository(tmp_path), 1) == world.first().documents


def test_the_steps_are_told_in_order_and_what_is_not_proven_always() -> None:
    report = verify(world.bundle().data(), PINNED)
    assert [step.number for step in report.steps] == list(range(1, len(STEPS)))
    assert {step.outcome for step in report.steps} == {Outcome.HOLDS}
    assert report.not_proven
    assert verify(b"").not_proven == report.not_proven
    assert [step.outcome for step in verify(b"").steps[1:]] == [Outcome.NOT_REACHED] * 6


def test_each_reason_belongs_to_one_step() -> None:
    assert STEP_OF.keys() == set(Reason)
    assert set(STEP_OF.values()) == set(range(1, len(STEPS)))
    assert (STEP_OF[Reason.ENVELOPE_FORM], STEP_OF[Reason.BAD_KEY], STEP_OF[Reason.BAD_POLICY]) == (1, 2, 7)
    assert (STEP_OF[Reason.CHARTER_EXPIRED], STEP_OF[Reason.MODEL_NOT_ADOPTED]) == (5, 6)


@pytest.mark.parametrize(("text", "numbers"), [("0.1.0", (0, 1)), ("1.2.3.dev1", (1, 2, 3)), ("2rc1", (2,)), ("x", ())])
def test_versions_are_compared_by_their_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert release(text) == numbers


def test_a_signer_needs_a_whole_seed() -> None:
    with pytest.raises(ValueError):
        ReceiptSigner(b"short")


def test_half_a_surrogate_in_what_a_caller_wrote_keeps_no_receipt_from_being_issued() -> None:
    values = replace(world.VALUES, prompt_messages=(("user", "a\ud800"),), stop=("\udfff",), schema="\ud800")
    receipt = world.signed(values)
    assert receipt.values.prompt_messages == (("user", "a?"),)
    assert verify(receipt.bundle().data()).verdict is Verdict.PARTIAL


SPECIFICATION = (Path(__file__).parents[2] / "docs/spec/receipt.md").read_text()


@pytest.mark.parametrize("reason", list(Reason))
def test_the_specification_has_every_reason(reason: Reason) -> None:
    assert f"`{reason.value}`" in SPECIFICATION


def test_the_specification_has_every_field_and_every_constant() -> None:
    predicate = world.signed().statement.to_json()["predicate"]
    for name, value in predicate.items():
        inner = value if isinstance(value, dict) and name not in ("seed", "commitments") else {}
        assert f"`{name}`" in SPECIFICATION or all(
            f"`{name}.{part}`" in SPECIFICATION or f"`.{part}`" in SPECIFICATION for part in inner
        ), name
    for text in (
        *FIELDS,
        PREDICATE_TYPE,
        PAYLOAD_TYPE,
        "commun-bundle/1",
        "commun-receipt-id/1",
        *(scheme.value for scheme in Scheme),
        *(state.value for state in State),
    ):
        assert text in SPECIFICATION, text


def test_the_specifications_example_is_right() -> None:
    found = re.findall(r"`([0-9a-f ]{4,})`", SPECIFICATION[SPECIFICATION.index("For example, under the salt") :])
    expected = [
        commitment("answer_text", "é", SALT),
        commitment("logprobs", (-1,), SALT),
        commitment("prompt_messages", (("user", "é"),), SALT),
    ]
    assert [hmac_of(bytes.fromhex(text)) for text in found[:3]] == expected


@pytest.mark.parametrize("temperature", [5e-324, 1e-7, 0.1 + 0.2, 1.0, 0.0])
def test_any_temperature_that_a_caller_may_name_can_be_stated(temperature: float) -> None:
    sampler = replace(world.statement().sampler, temperature=decimal_text(temperature))
    assert Decimal(world.signed(sampler=sampler).statement.sampler.temperature) == Decimal(str(temperature))


def test_whoever_pins_nothing_is_told_what_to_compare() -> None:
    missing = [sentence.text for step in verify(world.bundle().data()).steps for sentence in step.missing]
    assert len(missing) == 3
    assert all(text.startswith("Whose ") for text in missing)
