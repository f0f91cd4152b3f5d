"""The fields of a statement: which there are, their types and bounds, and what contradicts what.

A table (``_PREDICATE``) gives each field's check; docs/spec/receipt.md gives the same table in words.

Raises ReceiptError: STATEMENT_FIELDS and STATEMENT_CONTRADICTION.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from commun.receipts.commitments import FIELDS, OPTIONAL
from commun.receipts.errors import Reason, ReceiptError
from commun.receipts.seeds import LEAST_NONCE_BYTES, MOST_NONCE_BYTES, derived_receipt_id

MAX_TEXT: Final = 255  # characters of a name, a version
MAX_NOTES: Final = 64
MAX_NOTE: Final = 1000  # characters
MAX_NAMES: Final = 64
MAX_COUNT: Final = 2**31 - 1  # tokens, messages
MAX_EDITION: Final = 100_000
MAX_SEED: Final = 2**32 - 1
MAX_NONCE: Final = 128  # hexadecimal digits, of derived/1
TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"

_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NONCE_BEFORE: Final = re.compile(rf"(?:[0-9a-f]{{2}}){{0,{MAX_NONCE // 2}}}")
_NONCE: Final = re.compile(rf"(?:[0-9a-f]{{2}}){{{LEAST_NONCE_BYTES},{MOST_NONCE_BYTES}}}")
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{0,399}[1-9])?")  # the smallest float has 324
_CODE: Final = re.compile(r"[a-z0-9_]{0,64}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._/-]{0,63}")

Check = Callable[[Any], bool]


def read_time(text: str) -> datetime:
    """Of a checked statement."""
    return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)


def time_text(time: datetime) -> str:
    return time.astimezone(UTC).strftime(TIME_FORMAT)


def check_statement(value: Mapping[str, Any]) -> None:
    """All but the two types, which the caller has compared or written. Raises ReceiptError."""
    _check_object(value, {"_type", "subject", "predicateType", "predicate"}, "the statement")
    _check_table(value["predicate"], _PREDICATE, "predicate")
    subject = [{"name": "answer", "digest": {"hmacSha256": value["predicate"]["commitments"]["answer_text"]}}]
    if value["subject"] != subject:
        raise ReceiptError(Reason.STATEMENT_FIELDS, "the subject is not the answer that is committed to")
    _check_together(value["predicate"])


def _check_together(value: Mapping[str, Any]) -> None:
    commitments, tokens, engine = value["commitments"], value["tokens"], value["engine"]
    for wrong, detail in (
        (value["ended"] < value["began"], "it ended before it began"),
        ((value["state"] == "failed") != bool(value["error"]), "it failed without an error, or has one without"),
        (value["state"] == "complete" and value["finish"] == "cancelled", "a complete answer was not cut off"),
        (value["state"] == "complete" and not engine["name"], "a complete answer has an engine"),
        ((value["model"]["digest"] == "") != (engine["profile"] == "remote"), "only a remote model has no digest"),
        (
            (value["sampler"]["id"] == "remote") != (engine["profile"] == "remote"),
            "only a remote engine samples itself",
        ),
        (
            (value["seed"]["scheme"] == "remote") and engine["profile"] != "remote",
            "only a remote engine samples itself",
        ),
        (not _is_own_id(value), "the receipt's id is not the one that epoch and nonce give"),
        (commitments["logprobs"] is not None and commitments["answer_token_ids"] is None, "figures without tokens"),
        (
            engine["profile"] != "remote" and tokens["answer"] > value["sampler"]["max_tokens"],
            "the answer is longer than it could be",
        ),
    ):
        if wrong:
            raise ReceiptError(Reason.STATEMENT_CONTRADICTION, detail)


def _is_own_id(value: Mapping[str, Any]) -> bool:
    seed = value["seed"]
    if seed["scheme"] != "derived/2":
        return True
    return bool(value["receipt"] == derived_receipt_id(seed["epoch"], bytes.fromhex(seed["nonce"])))


def _check_object(value: Any, names: set[str], what: str) -> None:
    if not isinstance(value, dict) or set(value) != names:
        raise ReceiptError(Reason.STATEMENT_FIELDS, f"{what} has a field missing or unknown")


def _check_table(value: Any, table: Mapping[str, Any], what: str) -> None:
    _check_object(value, set(table), what)
    for name, check in table.items():
        if isinstance(check, dict):
            _check_table(value[name], check, name)
        elif not check(value[name]):
            raise ReceiptError(Reason.STATEMENT_FIELDS, f"the field {name} has another type or is beyond its bound")


def _text(value: Any) -> bool:
    """Printable, so that it can be shown."""
    return isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()


def _filled(value: Any) -> bool:
    return _text(value) and value != ""


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _digest_or_none(value: Any) -> bool:
    return value is None or _digest(value)


def _digest_or_empty(value: Any) -> bool:
    return value == "" or _digest(value)


def _time(value: Any) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        read_time(value)
    except ValueError:  # the 31st of February
        return False
    return True


def _matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _one_of(*values: str) -> Check:
    return lambda value: isinstance(value, str) and value in values


def _number(least: int, most: int) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _names(value: Any) -> bool:
    if not isinstance(value, list) or len(value) > MAX_NAMES or not all(map(_matches(_NAME), value)):
        return False
    return value == sorted(set(value))


def _notes(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) > MAX_NOTES:
        return False
    return all(_filled(name) and isinstance(note, str) and len(note) <= MAX_NOTE for name, note in value.items())


def _seed(value: Any) -> bool:
    if not isinstance(value, dict) or not _one_of(*_SEEDS)(value.get("scheme")):
        return False
    more = _SEEDS[value["scheme"]]
    if set(value) != {"scheme", "value", *more} or not _number(0, MAX_SEED)(value["value"]):
        return False
    return all(check(value[name]) for name, check in more.items())


# By scheme: its fields beside the two that each has.
_SEEDS: Final[Mapping[str, Mapping[str, Check]]] = {
    "caller": {},
    "drawn": {},
    "remote": {},
    "derived/1": {"epoch": _digest, "salt": _digest, "nonce": _matches(_NONCE_BEFORE)},
    "derived/2": {
        "epoch": _digest,
        "salt": _digest,
        "nonce": _matches(_NONCE),
        "nonce_by": _one_of("caller", "server"),
    },
}
_PREDICATE: Final[Mapping[str, Any]] = {
    "receipt": _digest,
    "state": _one_of("complete", "stopped", "failed", "interrupted"),
    "error": _matches(_CODE),
    "finish": _one_of("stop", "length", "cancelled"),
    "began": _time,
    "ended": _time,
    "charter": {
        "edition": _number(1, MAX_EDITION),
        "digest": _digest,
        "first_root": _digest,
        "stale": _flag,
    },
    "model": {"id": _filled, "digest": _digest_or_empty},
    "engine": {
        "name": _text,
        "version": _text,
        "profile": _one_of("exact", "fast", "remote"),
        "notes": _notes,
    },
    "software": _filled,
    "sampler": {
        "id": _matches(_NAME),
        "temperature": _matches(_DECIMAL),
        "top_p": _matches(_DECIMAL),
        "max_tokens": _number(1, MAX_COUNT),
        "ignore_eos": _flag,
    },
    "seed": _seed,
    "context": {
        "kind": _one_of("chat", "text"),
        "policy": _matches(_NAME),
        "kept": _number(0, MAX_COUNT),
        "dropped": _number(0, MAX_COUNT),
    },
    "persona": _text,
    "language": _one_of("en", "fr"),
    "sources": _names,
    "tools": _names,
    "tokens": {"prompt": _number(0, MAX_COUNT), "answer": _number(0, MAX_COUNT)},
    "commitments": {name: _digest_or_none if name in OPTIONAL else _digest for name in FIELDS},
    "ledger": _text,
}
