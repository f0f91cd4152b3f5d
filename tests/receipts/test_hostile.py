"""Whatever the bytes, a report comes out of the verification, and only ReceiptError out of the readers."""

import base64
import contextlib
import json
import random
from dataclasses import replace

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

import golden
import world
from commun.receipts.bundle import MAX_BUNDLE_BYTES, Bundle
from commun.receipts.commitments import FIELDS, value_from_json
from commun.receipts.dsse import Envelope, ReceiptKey
from commun.receipts.errors import Reason, ReceiptError
from commun.receipts.statement import Statement
from commun.receipts.verification import Trust, Verdict, verify
from golden import PINNED

WHOLE = world.bundle()
DATA = WHOLE.data()
GOLDEN = [case.data for case in golden.golden()]
PAYLOAD = base64.b64decode(json.loads(WHOLE.envelope)["payload"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        found += places(item, (*path, name))
    return found


def put(value: object, path: tuple[object, ...], new: object) -> object:
    if not path:
        return new
    inner = value
    for part in path[:-1]:
        inner = inner[part]  # type: ignore[index]
    inner[path[-1]] = new  # type: ignore[index]
    return value


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    assert verify(data, PINNED).verdict is Verdict.REFUSED
    for read in (Bundle.from_bytes, Envelope.from_bytes, Statement.from_payload):
        with pytest.raises(ReceiptError):
            read(data)


@given(JSON)
def test_any_json(value: object) -> None:
    data = json.dumps(value).encode()
    assert verify(data).verdict is Verdict.REFUSED
    for field in FIELDS:
        with contextlib.suppress(ReceiptError):
            value_from_json(field, value)


@settings(max_examples=300, deadline=None)
@given(st.data(), JSON)
def test_a_bundle_with_anything_in_any_place(data: st.DataObject, new: object) -> None:
    value = world.value(WHOLE)
    path = data.draw(st.sampled_from(places(value)))
    changed = put(value, path, new)
    report = verify(json.dumps(changed).encode(), PINNED)
    if report.verdict is Verdict.VERIFIED:
        assert world.value(WHOLE) == changed or path == ("ledger", "key")


@settings(max_examples=300, deadline=None)
@given(st.data(), JSON)
def test_a_signed_statement_with_anything_in_any_place(data: st.DataObject, new: object) -> None:
    value = json.loads(PAYLOAD)
    path = data.draw(st.sampled_from(places(value)))
    changed = put(value, path, new)
    try:
        payload = rfc8785.dumps(changed)
    except rfc8785.CanonicalizationError:
        return
    report = verify(world.resigned(payload).data(), PINNED)
    if report.statement is not None:
        assert report.statement.payload() == payload


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(world.second().documents)), st.data(), JSON)
def test_a_charter_with_anything_in_any_place(name: str, data: st.DataObject, new: object) -> None:
    documents = dict(world.second().documents)
    if name.endswith(".json"):
        value = json.loads(documents[name])
        documents[name] = json.dumps(put(value, data.draw(st.sampled_from(places(value))), new)).encode()
    else:
        documents[name] = json.dumps(new).encode()
    verify(replace(WHOLE, charter=documents).data(), PINNED)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_bundle_with_bytes_overwritten_dropped_or_doubled(seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(chance.choice(GOLDEN) if seed % 7 == 0 else DATA)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data))
        match chance.randrange(3):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randint(1, 40)]
            case _:
                data[at:at] = data[at : at + chance.randint(1, 40)]
    verify(bytes(data), PINNED)


@settings(max_examples=200)
@given(st.text(max_size=80), st.text(max_size=80), st.binary(max_size=80))
def test_whatever_the_reader_trusts(charter: str, key: str, policy: bytes) -> None:
    assert verify(DATA, Trust(charter, (key,), policy)).verdict is Verdict.REFUSED
    with contextlib.suppress(ReceiptError):
        ReceiptKey.from_text(key)


def test_a_file_beyond_its_bound_is_not_looked_at() -> None:
    report = verify(b" " * (MAX_BUNDLE_BYTES + 1))
    assert report.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("field", ["receipt", "edition", "key"])
def test_no_part_of_the_ledger_can_be_exchanged_for_another_receipts(field: str) -> None:
    other = world.signed(persona="clown")
    logged = replace(WHOLE.ledger, **{field: getattr(world.logged(other.entry), field)})
    report = verify(replace(WHOLE, ledger=logged).data(), PINNED)
    assert report.verdict is (Verdict.VERIFIED if field == "key" else Verdict.REFUSED)
