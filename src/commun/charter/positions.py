r"""On which line of a TOML file each key stands: ``tomllib`` reads the values and forgets where they were.

Rules:

- a path is a tuple of names and, inside arrays, of numbers from 0: ``("board", "members", 1, "key")``; every form of
  TOML is followed: tables, arrays of tables, inline tables, dotted and quoted keys, strings of several lines;
- lines count from 1 and end with a newline, as ``tomllib`` counts them;
- it is read before ``tomllib`` reads it and bounds what that one would spend: nesting, parts of a key, length of a
  number, number of entries. A text beyond a bound, or whose shape is not TOML, is Unscannable at its line;
- TOML 1.0, also where a newer ``tomllib`` reads 1.1: inline tables of several lines, with remarks or with a comma at
  their end, the escapes ``\e`` and ``\x41``, and times without seconds are refused, so that one charter is the same
  on every machine;
- what is accepted here may still be refused by ``tomllib`` (a wrong date, a name given twice); never the other way
  round, save for the bounds and for TOML 1.1.
"""

import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

Path = tuple[str | int, ...]

MAX_NESTING: Final = 16
MAX_KEY_PARTS: Final = 8
MAX_SCALAR: Final = 100  # characters of a number, a date or a truth value; Python refuses integers of 4,301 digits
MAX_ENTRIES: Final = 20_000

_SPACE = re.compile(r"[ \t]*+")
_COMMENT = re.compile(r"#[^\n]*+")
_BARE = re.compile(r"[A-Za-z0-9_-]++")
_ESCAPE = r"""\\(?:[btnfr"\\]|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})"""
_BASIC = re.compile(rf'"(?:[^"\\\n]++|{_ESCAPE})*+"')
_LITERAL = re.compile(r"'[^'\n]*+'")
_LONG_BASIC = re.compile(rf'"""(?:[^"\\]++|{_ESCAPE}|\\[ \t]*+\n|"(?!""))*+""""{{0,2}}')
_LONG_LITERAL = re.compile(r"'''(?:[^']++|'(?!''))*+''''{0,2}")
_SCALAR = re.compile(r"[A-Za-z0-9+-][A-Za-z0-9+\-:._ \t]*+")
_NO_SECONDS = re.compile(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ])?[0-9]{2}:[0-9]{2}(?!:)")
_GAP = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*+")


class Unscannable(Exception):
    """``line`` from 1. ``beyond``: whether a bound was passed, not the grammar."""

    def __init__(self, line: int, *, beyond: bool) -> None:
        self.line = line
        self.beyond = beyond
        super().__init__(f"line {line}")


@dataclass(frozen=True, slots=True)
class Positions:
    """``lines``: by path. ``repeated``: lines on which a name stands that had its value before, in order."""

    lines: dict[Path, int]
    repeated: tuple[int, ...]

    def line_of(self, path: Path) -> int:
        """The line of a key, or of the nearest table around it that has one; 0 for what belongs to the whole file."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return 0


def find_positions(text: str) -> Positions:
    """Raises Unscannable."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return Positions(scanner.lines, tuple(scanner.repeated))


class _Scanner:
    """One pass over one text. ``at``: the next character. ``implied``: tables that only a longer path has named."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.lines: dict[Path, int] = {}
        self.repeated: list[int] = []
        self.implied: set[Path] = set()
        self.lengths: dict[Path, int] = {}

    # The document: statements, one a line

    def document(self) -> None:
        header: Path = ()
        while True:
            self.skip(_GAP)
            if self.at >= len(self.text):
                return
            if self.text.startswith("[[", self.at):
                header = self.array_header()
            elif self.text[self.at] == "[":
                header = self.table_header()
            else:
                self.pair(header, depth=0)
            self.skip(_SPACE)
            self.skip(_COMMENT)
            if self.at < len(self.text) and self.text[self.at] != "\n":
                raise self.wrong()

    def table_header(self) -> Path:
        line = self.line()
        self.at += 1
        parts = self.key()
        self.expect("]")
        path = (*self.inside_arrays((), parts[:-1], line), parts[-1])
        if path in self.lengths:  # tomllib refuses it; the line is ready for that
            self.repeated.append(line)
        self.note(path, line)
        return path

    def array_header(self) -> Path:
        line = self.line()
        self.at += 2
        parts = self.key()
        self.expect("]]")
        path = (*self.inside_arrays((), parts[:-1], line), parts[-1])
        if path not in self.lengths:
            self.note(path, line)
        number = self.lengths.get(path, 0)
        self.lengths[path] = number + 1
        self.note((*path, number), line)
        return (*path, number)

    def inside_arrays(self, path: Path, parts: list[str], line: int) -> Path:
        """The whole path of a table whose names are ``parts``: in the last table of each array on the way."""
        for part in parts:
            path = (*path, part)
            self.imply(path, line)
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        return path

    # Keys and values

    def pair(self, table: Path, *, depth: int) -> None:
        line = self.line()
        parts = self.key()
        self.expect("=")
        self.skip(_SPACE)
        path = (*self.inside_arrays(table, parts[:-1], line), parts[-1])
        self.note(path, line)
        self.value(path, depth=depth)
        self.skip(_SPACE)

    def key(self) -> list[str]:
        """A dotted key with the space around it."""
        parts = []
        while True:
            self.skip(_SPACE)
            parts.append(self.key_part())
            if len(parts) > MAX_KEY_PARTS:
                raise self.beyond()
            self.skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def key_part(self) -> str:
        start = self.at
        if self.skip(_BARE):
            return self.text[start : self.at]
        if not (self.skip(_LITERAL) or self.skip(_BASIC)):
            raise self.wrong()
        try:
            return str(tomllib.loads(f"key = {self.text[start : self.at]}")["key"])
        except ValueError:
            raise self.wrong() from None

    def value(self, path: Path, *, depth: int) -> None:
        if depth > MAX_NESTING:
            raise self.beyond()
        first = self.text[self.at : self.at + 1]
        if first == "[":
            self.array(path, depth=depth + 1)
        elif first == "{":
            self.inline_table(path, depth=depth + 1)
        elif first in ('"', "'"):
            self.string(first)
        else:
            start = self.at
            if not self.skip(_SCALAR):
                raise self.wrong()
            if _NO_SECONDS.match(self.text, start):
                raise self.wrong()
            if len(self.text[start : self.at].rstrip()) > MAX_SCALAR:
                raise self.beyond()

    def string(self, quote: str) -> None:
        long = self.text.startswith(quote * 3, self.at)
        shapes = {'"': (_BASIC, _LONG_BASIC), "'": (_LITERAL, _LONG_LITERAL)}[quote]
        if not self.skip(shapes[long]):
            raise self.wrong()

    def array(self, path: Path, *, depth: int) -> None:
        self.at += 1
        number = 0
        self.skip(_GAP)
        while not self.text.startswith("]", self.at):
            self.note((*path, number), self.line())
            self.value((*path, number), depth=depth)
            number += 1
            self.skip(_GAP)
            if not self.text.startswith(",", self.at):
                break
            self.at += 1
            self.skip(_GAP)
        self.expect("]")

    def inline_table(self, path: Path, *, depth: int) -> None:
        self.at += 1
        self.skip(_SPACE)
        if not self.text.startswith("}", self.at):
            self.pair(path, depth=depth)
            while self.text.startswith(",", self.at):
                self.at += 1
                self.pair(path, depth=depth)
        self.expect("}")

    # Steps

    def skip(self, shape: re.Pattern[str]) -> bool:
        """Past ``shape``, if it stands here; whether anything was passed."""
        match = shape.match(self.text, self.at)
        if match is None:
            return False
        self.at = match.end()
        return match.end() > match.start()

    def expect(self, mark: str) -> None:
        if not self.text.startswith(mark, self.at):
            raise self.wrong()
        self.at += len(mark)

    def line(self) -> int:
        return bisect_right(self.starts, self.at)

    def note(self, path: Path, line: int) -> None:
        if path in self.lines and path not in self.implied:
            self.repeated.append(line)
            return
        self.implied.discard(path)
        self.lines[path] = line
        if len(self.lines) > MAX_ENTRIES:
            raise self.beyond()

    def imply(self, path: Path, line: int) -> None:
        if path not in self.lines:
            self.note(path, line)
            self.implied.add(path)

    def wrong(self) -> Unscannable:
        return Unscannable(self.line(), beyond=False)

    def beyond(self) -> Unscannable:
        return Unscannable(self.line(), beyond=True)
