"""JSON from outside, read strictly: one meaning or none.

Rules:

- at most ``limit`` bytes, UTF-8, one object at the top;
- refused: a name twice in one object, numbers with a fraction or an exponent, NaN and Infinity, whole numbers of more
  than MAX_DIGITS digits, halves of surrogate pairs, nesting that is too deep to be read;
- whoever reads names the fields: one missing, one unknown, one of another type is refused (``check_fields``).

Every refusal is a NotStrict whose text is of our own words; the caller turns it into an error of its own.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

MAX_DIGITS: Final = 16


class NotStrict(ValueError):
    """Not what may be read; the text says why."""


def read_object(data: bytes, *, limit: int) -> dict[str, Any]:
    """Raises NotStrict, and nothing else."""
    if len(data) > limit:
        raise NotStrict("it is too large")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_whole_number,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except NotStrict:
        raise
    except UnicodeError:
        raise NotStrict("it is not UTF-8 text") from None
    except RecursionError:
        raise NotStrict("it is nested too deeply") from None
    except ValueError:
        raise NotStrict("it is not JSON") from None
    if not isinstance(value, dict):
        raise NotStrict("it is not an object")
    return value


def check_fields(value: Any, types: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """``value``, which has exactly these fields of exactly these types (a boolean is no number)."""
    if not isinstance(value, dict) or set(value) != set(types):
        raise NotStrict("a field is missing or unknown")
    for name, expected in types.items():
        allowed = expected if isinstance(expected, tuple) else (expected,)
        if type(value[name]) not in allowed:
            raise NotStrict(f"the field {name} has another type")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotStrict("a name stands twice in one object")
    return value


def _refuse_number(_text: str) -> NoReturn:
    raise NotStrict("it holds a number that is not whole")


def _whole_number(text: str) -> int:
    if len(text.removeprefix("-")) > MAX_DIGITS:
        raise NotStrict("it holds a number that is too large")
    return int(text)
