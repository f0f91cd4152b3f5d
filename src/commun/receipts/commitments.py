"""Commitments: a receipt says which values there were without telling them.

Rules:

- a commitment is HMAC-SHA-256 with the field's own salt, 32 random bytes, as the key, and the value's bytes as the
  message. With the salt the value can be checked; without it, it can neither be checked nor guessed;
- a field whose value does not exist (a remote engine that tells no token ids, an answer without a schema) has no
  commitment. An empty value exists: the text of an answer that failed before its first word is the empty text;
- one value has one encoding (FIELDS names the fields):

  ==================== ==================================================================================
  prompt_token_ids     each id in 4 bytes, unsigned, big-endian, one after the other
  prompt_messages      each message as the model got it: its role, then its content, each of the two after
                       its length; a text that is continued has the one role "text"
  answer_token_ids     as prompt_token_ids, all that the engine gave, the one that ended the answer included
  answer_text          the text in UTF-8
  logprobs             one whole number for each id of the answer, of 10⁻⁷ nats, in 8 bytes, signed (two's
                       complement), big-endian
  stop                 each stop string after its length, in the order in which they were given
  schema               the JSON schema's text in UTF-8
  ==================== ==================================================================================

  A length is that of the UTF-8 text in bytes, in 4 bytes, unsigned, big-endian;
- a log-probability is rounded to the nearest whole number of 10⁻⁷, ties to the even one; what is not finite, and what
  is beyond ±(2^53 - 1), is committed to as -(2^53 - 1): JSON readers of every language hold these numbers exactly.

Nothing here makes a salt but ``make_salts``. Raises ReceiptError for a disclosed value that no field can have.
"""

import hashlib
import hmac
import math
import secrets
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from commun.receipts.errors import Reason, ReceiptError

SALT_BYTES: Final = 32
MAX_TOKEN_ID: Final = 2**32 - 1
LOGPROB_UNITS: Final = 10**7
LOGPROB_DIGITS: Final = 7
LEAST_LOGPROB: Final = -(2**53 - 1)  # also: not finite
TEXT_ROLE: Final = "text"
_SURE: Final = 1e12
_NO_TIE: Final = 0.499

Message = tuple[str, str]
Value = tuple[int, ...] | tuple[str, ...] | tuple[Message, ...] | str


@dataclass(frozen=True, slots=True)
class Values:
    """What one answer is committed to. None: there is no such value. ``logprobs``: whole numbers of 10⁻⁷ nats."""

    prompt_token_ids: tuple[int, ...] | None
    prompt_messages: tuple[Message, ...] | None
    answer_token_ids: tuple[int, ...] | None
    answer_text: str
    logprobs: tuple[int, ...] | None
    stop: tuple[str, ...] | None = None
    schema: str | None = None

    def by_field(self) -> dict[str, Value | None]:
        return {name: cast("Value | None", getattr(self, name)) for name in FIELDS}


def whole_logprobs(logprobs: Iterable[float]) -> tuple[int, ...]:
    """Natural logarithms as they are committed to. Rounding them to seven decimals before changes nothing."""
    return tuple([_whole(value) for value in logprobs])


def make_salts() -> dict[str, bytes]:
    """A new one for each field."""
    drawn = secrets.token_bytes(SALT_BYTES * len(FIELDS))
    return {name: drawn[at * SALT_BYTES : (at + 1) * SALT_BYTES] for at, name in enumerate(FIELDS)}


def commit(values: Values, salts: Mapping[str, bytes]) -> dict[str, str | None]:
    """By field, hex; None where there is no value."""
    return {
        name: None if value is None else commitment(name, value, salts[name])
        for name, value in values.by_field().items()
    }


def commitment(field: str, value: Value, salt: bytes) -> str:
    """Hex. Raises ReceiptError for a value that the field cannot have."""
    try:
        data = FIELDS[field].encode(value)
    except (UnicodeEncodeError, struct.error) as error:
        raise ReceiptError(Reason.BUNDLE_FIELDS, "a value cannot be encoded") from error
    return hmac.digest(salt, data, hashlib.sha256).hex()


def check_commitment(field: str, value: Value, salt: bytes, committed: str | None) -> None:
    """Raises ReceiptError."""
    if committed is None:
        raise ReceiptError(Reason.COMMITMENT_ABSENT, f"the receipt commits to no {field}")
    if not hmac.compare_digest(commitment(field, value, salt), committed):
        raise ReceiptError(Reason.COMMITMENT_MISMATCH, f"{field} or its salt is another one")


def value_from_json(field: str, value: Any) -> Value:
    """A disclosed value out of JSON data. Raises ReceiptError."""
    read = FIELDS[field].read(value)
    if read is None:
        raise ReceiptError(Reason.BUNDLE_FIELDS, f"the disclosed {field} has another form")
    return read


def value_to_json(value: Value) -> Any:
    if isinstance(value, str):
        return value
    return [{"role": item[0], "content": item[1]} if isinstance(item, tuple) else item for item in value]


def _whole(value: float) -> int:
    """The product is off by less than 0.001 below _SURE; where that could decide, the decimal rounding does (which
    takes five times as long).
    """
    scaled = value * LOGPROB_UNITS
    if -_SURE < scaled < _SURE:
        whole = round(scaled)
        if -_NO_TIE < scaled - whole < _NO_TIE:
            return whole
    if not math.isfinite(value) or abs(value) >= -LEAST_LOGPROB / LOGPROB_UNITS:
        return LEAST_LOGPROB
    return round(round(value, LOGPROB_DIGITS) * LOGPROB_UNITS)


def _encode_ids(value: Any) -> bytes:
    return struct.pack(f">{len(value)}I", *value)


def _encode_logprobs(value: Any) -> bytes:
    return struct.pack(f">{len(value)}q", *value)


def _encode_text(value: Any) -> bytes:
    return cast("str", value).encode()


def _encode_texts(value: Any) -> bytes:
    return b"".join(_after_length(item.encode()) for item in value)


def _encode_messages(value: Any) -> bytes:
    return b"".join(_after_length(part.encode()) for message in value for part in message)


def _after_length(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _read_ids(value: Any) -> Value | None:
    return _numbers(value, 0, MAX_TOKEN_ID)


def _read_logprobs(value: Any) -> Value | None:
    return _numbers(value, LEAST_LOGPROB, -LEAST_LOGPROB)


def _numbers(value: Any, least: int, most: int) -> tuple[int, ...] | None:
    if not isinstance(value, list) or not all(type(item) is int and least <= item <= most for item in value):
        return None
    return tuple(value)


def _read_text(value: Any) -> Value | None:
    return value if isinstance(value, str) else None


def _read_texts(value: Any) -> Value | None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return tuple(value)


def _read_messages(value: Any) -> Value | None:
    if not isinstance(value, list) or not all(map(_is_message, value)):
        return None
    return tuple((item["role"], item["content"]) for item in value)


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"role", "content"}
        and all(isinstance(item, str) for item in value.values())
    )


@dataclass(frozen=True, slots=True)
class Field:
    """``read``: JSON data, or None where it is of another form. ``encode``: the bytes that are committed to."""

    read: Callable[[Any], Value | None]
    encode: Callable[[Any], bytes]


_IDS: Final = Field(_read_ids, _encode_ids)
FIELDS: Final[Mapping[str, Field]] = {
    "prompt_token_ids": _IDS,
    "prompt_messages": Field(_read_messages, _encode_messages),
    "answer_token_ids": _IDS,
    "answer_text": Field(_read_text, _encode_text),
    "logprobs": Field(_read_logprobs, _encode_logprobs),
    "stop": Field(_read_texts, _encode_texts),
    "schema": Field(_read_text, _encode_text),
}
OPTIONAL: Final = frozenset(FIELDS) - {"answer_text"}
