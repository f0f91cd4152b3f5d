"""What goes into the ledger: one writing each, nothing that tells what anybody wrote."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.ledger.entries import (
    KINDS,
    AuditStatement,
    BadStatement,
    EditionStatement,
    EpochSecretStatement,
    EpochStatement,
    ModelStatement,
    ReceiptKeyStatement,
    ReceiptStatement,
    RetentionStatement,
    SoftwareStatement,
    Statement,
    read_statement,
    time_text,
)

DIGEST = "ab" * 32
OF_ZEROS = hashlib.sha256(bytes(32)).hexdigest()
TIME = "2026-11-22T06:00:00Z"
KEY = f"ed25519:{DIGEST}"
EXAMPLES: list[tuple[Statement, str]] = [
    (
        EditionStatement(number=3, digest=DIGEST, event="adopted", time=TIME),
        f'{{"digest":"{DIGEST}","event":"adopted","number":3,"time":"{TIME}","type":"commun/edition/1"}}',
    ),
    (
        ModelStatement(
            model=DIGEST,
            engine="openvino-genai",
            version="2026.4.1.0",
            build="2968-releases/2026/4",
            profile="exact",
            time=TIME,
        ),
        f'{{"build":"2968-releases/2026/4","engine":"openvino-genai","model":"{DIGEST}","profile":"exact","time":"{TIME}","type":"commun/model/1","version":"2026.4.1.0"}}',
    ),
    (
        SoftwareStatement(versions={"python": "3.11.7", "commun": "0.1.0"}, time=TIME),
        f'{{"time":"{TIME}","type":"commun/software/1","versions":{{"commun":"0.1.0","python":"3.11.7"}}}}',
    ),
    (EpochStatement(sha256=DIGEST), f'{{"sha256":"{DIGEST}","type":"commun/epoch/1"}}'),
    (
        EpochSecretStatement.of(bytes(32)),
        f'{{"epoch":"{OF_ZEROS}","secret":"{"0" * 64}","type":"commun/epoch-secret/1"}}',
    ),
    (ReceiptStatement(sha256=DIGEST), f'{{"sha256":"{DIGEST}","type":"commun/receipt/1"}}'),
    (
        RetentionStatement(conversations=0, files=12, days=30, time=TIME),
        f'{{"conversations":0,"days":30,"files":12,"time":"{TIME}","type":"commun/retention/1"}}',
    ),
    (
        ReceiptKeyStatement(key=KEY, event="added", time=TIME),
        f'{{"event":"added","key":"{KEY}","time":"{TIME}","type":"commun/receipt-key/1"}}',
    ),
    (
        AuditStatement(
            audited=3,
            identical=1,
            consistent=1,
            inconsistent=1,
            not_audited=2,
            comparison="both",
            rate="0.02",
            auditor="archives.example.org",
            time=TIME,
        ),
        f'{{"audited":3,"auditor":"archives.example.org","comparison":"both","consistent":1,"identical":1,"inconsistent":1,"not_audited":2,"rate":"0.02","time":"{TIME}","type":"commun/audit/1"}}',
    ),
]


@pytest.mark.parametrize(("statement", "text"), EXAMPLES)
def test_a_statement_has_this_one_writing_and_is_read_back(statement, text) -> None:
    assert statement.data() == text.encode()
    assert read_statement(text.encode()) == statement


def test_every_kind_has_an_example() -> None:
    assert {type(statement) for statement, _ in EXAMPLES} == set(KINDS.values())


def other_writings(text: str) -> dict[str, bytes]:
    value = json.loads(text)
    first = next(iter(value))
    return {
        "spaces": json.dumps(value).encode(),
        "other order": json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode(),
        "a newline after it": text.encode() + b"\n",
        "a name twice": text.replace("{", f'{{"{first}":{json.dumps(value[first])},', 1).encode(),
        "an escape": text.replace("commun/", "commun\\/", 1).encode(),
        "a byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "UTF-16": text.encode("utf-16"),
        "cut": text.encode()[:-1],
        "a field more": json.dumps(value | {"note": "x"}, separators=(",", ":"), sort_keys=True).encode(),
        "a field less": json.dumps(
            {k: v for k, v in value.items() if k != first}, separators=(",", ":"), sort_keys=True
        ).encode(),
        "another type": text.replace("/1", "/2").encode(),
        "no type": json.dumps(
            {k: v for k, v in value.items() if k != "type"}, separators=(",", ":"), sort_keys=True
        ).encode(),
        "a list": f"[{text}]".encode(),
    }


@pytest.mark.parametrize(("_statement", "text"), EXAMPLES)
def test_any_other_writing_is_refused(_statement, text) -> None:
    for data in other_writings(text).values():
        if data == text.encode():
            continue
        with pytest.raises(BadStatement):
            read_statement(data)


def test_a_secret_that_is_not_its_epochs_is_refused() -> None:
    good = EpochSecretStatement.of(bytes(32))
    assert (good.epoch, good.secret) == (OF_ZEROS, "0" * 64)
    for epoch, secret in ((DIGEST, good.secret), (good.epoch, DIGEST), (good.epoch, "0" * 62), (good.epoch, "é")):
        with pytest.raises(BadStatement):
            EpochSecretStatement(epoch, secret)
        entry = f'{{"epoch":"{epoch}","secret":"{secret}","type":"commun/epoch-secret/1"}}'
        with pytest.raises(BadStatement):
            read_statement(entry.encode())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", 0), ("number", -1), ("number", 1.0), ("number", True), ("number", "1"), ("number", 2**53), ("number", 10**400),
        ("digest", DIGEST.upper()), ("digest", DIGEST[:-1]), ("digest", DIGEST + "\n"), ("digest", None), ("digest", 5),
        ("event", "drafted"), ("event", ["adopted"]), ("event", None),
        ("time", "2026-11-22"), ("time", "2026-02-31T06:00:00Z"), ("time", "2026-11-22T06:00:00+00:00"), ("time", "٢026-11-22T06:00:00Z"), ("time", 7),
    ],
)  # fmt: skip
def test_a_field_of_another_kind_is_refused_when_made_and_when_read(name, value) -> None:
    fields: dict[str, Any] = {"number": 3, "digest": DIGEST, "event": "adopted", "time": TIME, name: value}
    with pytest.raises(BadStatement):
        EditionStatement(**fields)
    with pytest.raises(BadStatement):
        read_statement(
            json.dumps(fields | {"type": "commun/edition/1"}, separators=(",", ":"), sort_keys=True).encode()
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", DIGEST), ("key", KEY.upper()), ("key", KEY + "\n"), ("key", "ed448:" + DIGEST), ("key", None),
        ("event", "adopted"), ("event", "revoked"), ("event", ["added"]), ("event", None),
    ],
)  # fmt: skip
def test_a_receipt_key_is_one_and_was_added_or_retired(name, value) -> None:
    fields: dict[str, Any] = {"key": KEY, "event": "retired", "time": TIME, name: value}
    with pytest.raises(BadStatement):
        ReceiptKeyStatement(**fields)
    with pytest.raises(BadStatement):
        EditionStatement(number=1, digest=DIGEST, event="added", time=TIME)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["What Ada asked", "é", "", "x" * 101, "a\nb", " a", "<b>"])
def test_no_sentence_fits_where_a_name_or_a_version_stands(text) -> None:
    with pytest.raises(BadStatement):
        SoftwareStatement(versions={"commun": text}, time=TIME)
    with pytest.raises(BadStatement):
        ModelStatement(model=DIGEST, engine=text, version="1", build="1", profile="exact", time=TIME)


@pytest.mark.parametrize(
    "versions", [{}, {f"n{number}": "1" for number in range(33)}, [("commun", "1")], None, {"commun": None}]
)
def test_versions_are_names_with_versions_and_not_too_many(versions) -> None:
    with pytest.raises(BadStatement):
        SoftwareStatement(versions=versions, time=TIME)


def test_a_statement_does_not_change_with_what_it_was_made_of() -> None:
    versions = {"commun": "0.1.0"}
    statement = SoftwareStatement(versions=versions, time=TIME)
    versions["commun"] = "0.2.0"
    assert read_statement(statement.data()) == SoftwareStatement(versions={"commun": "0.1.0"}, time=TIME)


def test_times_are_written_in_utc() -> None:
    assert time_text(datetime(2026, 11, 22, 6, tzinfo=UTC)) == TIME
    assert time_text(datetime(2026, 11, 22, 8, tzinfo=timezone(timedelta(hours=2)))) == TIME


@given(st.one_of(st.binary(max_size=200), st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_whatever_the_bytes_only_the_one_error_comes_out(data) -> None:
    try:
        statement = read_statement(data)
    except BadStatement:
        return
    assert statement.data() == data


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 8000,
        b'{"type":' * 1000,
        b'{"type":"commun/receipt/1","sha256":"\xff"}',
        b'{"type":"\\ud800"}',
        b"1" * 5000,
        b"x" * 8193,
        b"NaN",
        b"null",
    ],
)
def test_what_is_made_to_break_parsers_is_refused(data) -> None:
    with pytest.raises(BadStatement):
        read_statement(data)
