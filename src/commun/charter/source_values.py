"""A TOML file of the charter, held against its schema: what is right is kept, everything wrong is told at its line.

Rules:

- the bounds of ``positions.py`` hold before ``tomllib`` reads anything, and numbers are ``Decimal`` from the first;
- every key that the schema does not have is a mistake, every required one that is missing too;
- a value that is wrong is left out of ``values``: what is checked afterwards sees only what is of its kind.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final

from commun.charter.positions import Path, Positions, Unscannable, find_positions
from commun.charter.refused_settings import find_reason
from commun.charter.source_mistakes import (
    EMPTY,
    HIDDEN,
    MISSING_KEY,
    MISSING_TABLE,
    MISTYPED_KEY,
    NOT_A_CHOICE,
    NOT_DATE,
    NOT_NUMBER,
    NOT_ONE_LINE,
    NOT_RECOMPUTABLE,
    NOT_TABLE,
    NOT_TEXT,
    NOT_TEXTS,
    NOT_TOML,
    NOT_WHOLE,
    NOT_YES_NO,
    OUT_OF_RANGE,
    REPEATED,
    TOO_FINE,
    TOO_INVOLVED,
    TOO_LONG,
    TOO_MANY,
    TWICE,
    UNKNOWN_KEY,
    WRONG_FORM,
    Fault,
    Mistakes,
)
from commun.charter.source_schema import (
    FIRST_DAY,
    LAST_DAY,
    MAX_ITEM,
    MAX_PLACES,
    MOST_TABLES,
    OPTIONAL_TABLES,
    VERSION,
    Key,
    Kind,
    Table,
    fits,
)
from commun.charter.source_text import find_hidden, name_of

_NOT_OF_KIND: Final = {
    Kind.LINE: NOT_TEXT,
    Kind.TEXT: NOT_TEXT,
    Kind.TEXTS: NOT_TEXTS,
    Kind.WHOLE: NOT_WHOLE,
    Kind.NUMBER: NOT_NUMBER,
    Kind.YES_NO: NOT_YES_NO,
    Kind.DATE: NOT_DATE,
    Kind.DIGESTS: NOT_TABLE,
}
MAX_NAME: Final = 40  # characters of a name that are compared with those that there are
_TYPES: Final = {
    Kind.LINE: str,
    Kind.TEXT: str,
    Kind.WHOLE: int,
    Kind.NUMBER: int | Decimal,
    Kind.DATE: date,
    Kind.DIGESTS: dict,
}


@dataclass(frozen=True, slots=True)
class Document:
    """One file. ``values``: what was right, tables as dicts and arrays as tuples; an element of an array stands at its
    own place, even when another before it was wrong (a table is empty then, a text None).
    """

    file: str
    values: dict[str, Any]
    positions: Positions
    mistakes: Mistakes

    def add(self, fault: Fault, path: Path, **details: str | int) -> None:
        self.mistakes.add(self.file, self.positions.line_of(path), fault, **details)

    def find(self, *path: str) -> Any:
        """The value there, or None."""
        value: Any = self.values
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return value


def read_document(file: str, text: str, schema: Table, mistakes: Mistakes) -> Document | None:
    """None where it is not TOML, or where mistakes enough have been found; the mistakes say why."""
    if mistakes.is_full:
        return None
    try:
        positions = find_positions(text)
    except Unscannable as error:
        _tell(mistakes, file, error.line, TOO_INVOLVED if error.beyond else NOT_TOML)
        return None
    try:
        data = tomllib.loads(text, parse_float=_number)
    except (ValueError, ArithmeticError, RecursionError) as error:
        if positions.repeated:
            _tell(mistakes, file, positions.repeated[0], REPEATED)
        else:
            _tell(mistakes, file, _line_in(error, text), NOT_TOML)
        return None
    return _Reader(file, text, positions, mistakes).document(data, schema)


def _tell(mistakes: Mistakes, file: str, line: int, fault: Fault) -> None:
    if not mistakes.has(file, line):  # a control character there is told already, and better
        mistakes.add(file, line, fault)


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        return Decimal("NaN")


def _line_in(error: Exception, text: str) -> int:
    found = re.search(r"\(at line ([0-9]+), column [0-9]+\)$", str(error))
    return int(found[1]) if found else text.count("\n") + 1


class _Reader:
    def __init__(self, file: str, text: str, positions: Positions, mistakes: Mistakes) -> None:
        self.file = file
        self.hidden_in_file = set(find_hidden(text))  # told already, each at its line
        self.positions = positions
        self.mistakes = mistakes

    def document(self, data: dict[str, Any], schema: Table) -> Document:
        return Document(self.file, self.table(data, schema, ()), self.positions, self.mistakes)

    def add(self, fault: Fault, path: Path, **details: str | int) -> None:
        self.mistakes.add(self.file, self.positions.line_of(path), fault, **details)

    def table(self, data: Mapping[str, Any], schema: Table, path: Path) -> dict[str, Any]:
        for name in data:
            if name not in schema.parts:
                self.unknown(name, schema, path)
        values = {}
        for name, part in schema.parts.items():
            here = (*path, name)
            if name not in data:
                self.missing(part, here)
            elif isinstance(part, Key):
                value = self.value(data[name], part, here)
                if value is not None:
                    values[name] = value
            elif part.is_array:
                values[name] = self.tables(data[name], part, here)
            elif isinstance(data[name], dict):
                values[name] = self.table(data[name], part, here)
            else:
                self.add(NOT_TABLE, here, key=_dotted(here))
        return values

    def tables(self, data: Any, schema: Table, path: Path) -> tuple[dict[str, Any], ...]:
        most = MOST_TABLES[schema.path]
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            self.add(NOT_TABLE, path, key=f"[{_dotted(path)}]")
            return ()
        if len(data) > most:
            self.add(TOO_MANY, path, key=_dotted(path), most=most)
            return ()
        return tuple(self.table(item, schema, (*path, number)) for number, item in enumerate(data))

    def unknown(self, name: str, schema: Table, path: Path) -> None:
        here = (*path, name)
        near = () if self.mistakes.is_full else get_close_matches(name[:MAX_NAME], schema.parts, n=1)
        if reason := find_reason(name):
            self.add(NOT_RECOMPUTABLE, here, key=_dotted(here), reason=reason)
        elif near:
            self.add(MISTYPED_KEY, here, key=_dotted(here), near=near[0])
        else:
            self.add(UNKNOWN_KEY, here, key=_dotted(here))

    def missing(self, part: Table | Key, path: Path) -> None:
        if isinstance(part, Key):
            if part.required:
                self.add(MISSING_KEY, path, key=_dotted(path), example=part.example)
        elif part.path not in OPTIONAL_TABLES:
            self.add(MISSING_TABLE, path, key=f"[{_dotted(path)}]" if part.is_array else _dotted(path))

    # One value

    def value(self, value: Any, key: Key, path: Path) -> Any:
        """The value as the charter has it, or None where it is wrong."""
        readers: dict[Kind, Callable[..., Any]] = {
            Kind.LINE: self.text,
            Kind.TEXT: self.text,
            Kind.TEXTS: self.texts,
            Kind.WHOLE: self.number,
            Kind.NUMBER: self.number,
            Kind.DATE: self.date,
            Kind.DIGESTS: self.digests,
        }
        if not _is_of_kind(value, key.kind):
            self.add(_NOT_OF_KIND[key.kind], path, key=_dotted(path), example=key.example)
            return None
        return readers[key.kind](value, key, path) if key.kind in readers else value

    def text(self, value: str, key: Key, path: Path) -> str | None:
        name = _dotted(path)
        hidden = [character for character in find_hidden(value) if character not in self.hidden_in_file]
        for character in hidden:
            self.add(HIDDEN, path, character=name_of(character))
        if key.choices and value not in key.choices:
            self.add(NOT_A_CHOICE, path, key=name, value=value, choices=", ".join(key.choices))
        elif key.choices:
            return value
        elif not value.strip() and key.least:
            self.add(EMPTY, path, key=name, example=key.example)
        elif len(value) > key.most:
            self.add(TOO_LONG, path, key=name, most=int(key.most))
        elif key.kind is Kind.LINE and (value != value.strip() or "\n" in value or "\t" in value):
            self.add(NOT_ONE_LINE, path, key=name)
        elif key.form and value and not fits(key.form, value):
            self.add(WRONG_FORM, path, key=name, example=key.example)
        elif not hidden:
            return value.strip()
        return None

    def texts(self, value: list[str], key: Key, path: Path) -> tuple[str | None, ...] | None:
        """None in the place of an entry that is wrong."""
        if len(value) > key.most:
            self.add(TOO_MANY, path, key=_dotted(path), most=int(key.most))
            return None
        item = Key(key.path, Kind.LINE, key.example, most=MAX_ITEM, choices=key.choices, form=key.form)
        right: list[str | None] = []
        for number, text in enumerate(value):
            here = (*path, number)
            if text in value[:number]:
                self.add(TWICE, here, value=text)
                right.append(None)
            else:
                right.append(self.text(text, item, here))
        return tuple(right)

    def number(self, value: int | Decimal, key: Key, path: Path) -> int | Decimal | None:
        number = Decimal(value)
        if not number.is_finite() or not key.least <= number <= key.most:
            bounds = {"least": str(key.least), "most": str(key.most)}
            self.add(OUT_OF_RANGE, path, key=_dotted(path), example=key.example, **bounds)
            return None
        if number != round(number, MAX_PLACES):
            self.add(TOO_FINE, path, key=_dotted(path), most=MAX_PLACES)
            return None
        if isinstance(value, int) and not isinstance(key.least, Decimal):
            return value
        return Decimal(format((number + 0).normalize(), "f"))  # one value, one form: neither 0.70 nor -0.0 nor 1E-1

    def date(self, value: date, key: Key, path: Path) -> date | None:
        if FIRST_DAY <= value <= LAST_DAY:
            return value
        bounds = {"least": FIRST_DAY.isoformat(), "most": LAST_DAY.isoformat()}
        self.add(OUT_OF_RANGE, path, key=_dotted(path), example=key.example, **bounds)
        return None

    def digests(self, value: dict[str, Any], key: Key, path: Path) -> tuple[tuple[str, str], ...] | None:
        if len(value) > key.most:
            self.add(TOO_MANY, path, key=_dotted(path), most=int(key.most))
            return None
        right = []
        for version, digest in value.items():
            if isinstance(digest, str) and fits(key.form, digest) and fits(VERSION, version):
                right.append((version, digest))
            else:
                self.add(WRONG_FORM, (*path, version), key=_dotted((*path, version)), example=key.example)
        return tuple(sorted(right))


def _is_of_kind(value: Any, kind: Kind) -> bool:
    if kind is Kind.TEXTS:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if isinstance(value, bool) or kind is Kind.YES_NO:  # in Python a truth value is a whole number, too
        return isinstance(value, bool) and kind is Kind.YES_NO
    return isinstance(value, _TYPES[kind]) and not isinstance(value, datetime)  # and a moment is a date


def _dotted(path: Path) -> str:
    return ".".join(part for part in path if isinstance(part, str))
