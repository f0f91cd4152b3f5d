"""Two texts compared word by word, and what a reader's eye would miss in a text.

A member signs what the diff shows; so it must not be possible to change a prompt without a visible difference.

Rules of ``word_diff``:

- the units are words, single line ends, runs of other spaces, and single other characters; a word is never split;
- the pieces are exact: "same" and "removed" in order give ``before``, "same" and "added" give ``after``;
- where a change removes and adds, what was removed comes first;
- the work is bounded (``alignment.py``): a long rewritten passage may be shown as removed and added whole. That is the
  bound of one pair of texts; whoever shows a whole document to others bounds all its texts (``comparison.py``);
- above MOST_CHARACTERS in either text the units are lines;
- each piece carries the ``warnings`` of its text, so a Cyrillic а for a Latin a is a difference *and* is named.

Rules of ``warnings``, in time that grows with the text and no faster: it names, with position, character and Unicode
name,

- look-alikes: letters of another script in a word with Latin ones; every letter of a word that consists of letters
  that look Latin and are not; full-width, mathematical and other forms of Latin letters; digits of other scripts;
- invisible characters (zero-width, soft hyphens, byte order marks, tags, variation selectors, fillers), except those
  that emoji are built of; controls of the writing direction; control characters;
- spaces that English and French do not use (U+00A0 and U+202F are French); private-use and unassigned characters;
- combining marks piled up, those that strike a letter through, and those that could be one character with their letter
  (an é in two parts is another é for the model, and the same for the eye).

It refuses nothing: what a board adopts is the board's affair, that the board saw it is ours.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal

from commun.charter.alignment import MOST_STEPS, matches
from commun.charter.lookalikes import BLANKS, DIRECTIONS, SPACES, STRIKES, find_latin, is_variation_selector, script
from commun.errors import N_

MOST_CHARACTERS: Final = 65_536  # of a text that is compared by words: as much as a prompt may have
MOST_MARKS: Final = 2  # on one letter: Vietnamese needs two
MOST_REMEMBERED: Final = 16_384  # characters: as many as whole scripts have

_UNIT: Final = re.compile(r"[\w\u0300-\u036f]+|\n|[^\S\n]+|[^\w\s]")
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_VISIBLE_FORMS: Final = ("<super>", "<sub>", "<circle>")  # ² and ① look like what they are
_ODD_PERHAPS: Final = re.compile(r"[^ -~\n\t]")
_WORD: Final = re.compile(r"[^\W\d_]+(?:[\u0300-\u036f]*[^\W\d_]+)*")


class Oddness(StrEnum):
    LOOKALIKE = "lookalike"
    INVISIBLE = "invisible"
    DIRECTION = "direction"
    CONTROL = "control"
    SPACE = "space"
    PRIVATE = "private"
    MARKS = "marks"


EXPLANATIONS: Final = {
    Oddness.LOOKALIKE: N_("A character that can be taken for another one: %(name)s."),
    Oddness.INVISIBLE: N_("A character that cannot be seen: %(name)s."),
    Oddness.DIRECTION: N_("A character that changes the order in which the text is displayed: %(name)s."),
    Oddness.CONTROL: N_("A control character: %(name)s."),
    Oddness.SPACE: N_("An unusual space: %(name)s."),
    Oddness.PRIVATE: N_("A character without an agreed meaning: %(name)s."),
    Oddness.MARKS: N_("An unusual mark on a letter, which can make it hard to read: %(name)s."),
}


@dataclass(frozen=True, slots=True)
class TextWarning:
    """``position``: in the text, in characters. ``name``: such as "U+0430 CYRILLIC SMALL LETTER A". ``like``: for
    what it can be taken ("a"), or "". ``explanation``: a message id with the place ``%(name)s``.
    """

    kind: Oddness
    position: int
    character: str
    name: str
    like: str

    @property
    def explanation(self) -> str:
        return EXPLANATIONS[self.kind]


@dataclass(frozen=True, slots=True)
class Piece:
    kind: Literal["same", "added", "removed"]
    text: str

    @property
    def warnings(self) -> tuple[TextWarning, ...]:
        return warnings(self.text)


def word_diff(before: str, after: str) -> tuple[Piece, ...]:
    """What stayed, went and came, in reading order; () for two empty texts."""
    pieces, _ = diff(before, after, most=MOST_STEPS, by_lines=max(len(before), len(after)) > MOST_CHARACTERS)
    return pieces


def diff(before: str, after: str, *, most: int, by_lines: bool) -> tuple[tuple[Piece, ...], int]:
    """As ``word_diff``, in about ``most`` steps; and how many it took."""
    unit = _LINE if by_lines else _UNIT
    old, new = unit.findall(before), unit.findall(after)
    runs, spent = matches(old, new, most=most)
    pieces: list[Piece] = []
    at_old = at_new = 0
    for start, other, length in (*runs, (len(old), len(new), 0)):
        _append(pieces, "removed", old[at_old:start])
        _append(pieces, "added", new[at_new:other])
        _append(pieces, "same", old[start : start + length])
        at_old, at_new = start + length, other + length
    return tuple(pieces), spent


def _append(pieces: list[Piece], kind: Literal["same", "added", "removed"], units: Sequence[str]) -> None:
    if units:
        pieces.append(Piece(kind, "".join(units)))


def warnings(text: str) -> tuple[TextWarning, ...]:
    """What a reader may not see as it is, in the order of the text."""
    return tuple(_warning(kind, position, text[position]) for position, kind in sorted(_odd(text).items()))


def warnings_once(text: str) -> tuple[TextWarning, ...]:
    """As ``warnings``, each character that is odd in one way only where it stands first."""
    first: dict[tuple[Oddness, str], int] = {}
    for position, kind in sorted(_odd(text).items()):
        first.setdefault((kind, text[position]), position)
    return tuple(_warning(kind, position, character) for (kind, character), position in first.items())


def count_odd(text: str) -> int:
    """How many ``warnings`` it has."""
    return len(_odd(text))


def _odd(text: str) -> dict[int, Oddness]:
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return {}
    found = {position: Oddness.LOOKALIKE for word in _WORD.finditer(text) for position in _lookalikes(word)}
    for place in _ODD_PERHAPS.finditer(text):
        kind = _oddness(text, place.start(), place[0])
        if kind is not None:
            found[place.start()] = kind
    return found


def shown(text: str) -> str:
    """The text with every warned character visible: what cannot be seen is replaced by its name in ⟦ ⟧, what can is
    followed by it. A ⟦ of the text's own is named, too, so that none can be pretended.
    """
    odd = {warning.position: warning for warning in warnings(text)}
    if not odd and "⟦" not in text:
        return text
    return "".join(_shown(character, odd.get(position)) for position, character in enumerate(text))


def _shown(character: str, warning: TextWarning | None) -> str:
    if warning is not None:
        visible = character if warning.kind in (Oddness.LOOKALIKE, Oddness.MARKS) else ""
        return f"{visible}⟦{warning.name}⟧"
    return f"⟦{_name(character)}⟧" if character == "⟦" else character


def _warning(kind: Oddness, position: int, character: str) -> TextWarning:
    return TextWarning(kind, position, character, _name(character), find_latin(character) or "")


def _name(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()


def _lookalikes(word: re.Match[str]) -> Iterator[int]:
    """Positions of the letters in a word that are not what they seem."""
    if word[0].isascii():
        return
    letters = {letter for letter in set(word[0]) if letter.isalpha() and script(letter) != "COMMON"}
    latin = any(script(letter) == "LATIN" and find_latin(letter) is None for letter in letters)
    # A word of one other script that has a letter like no Latin one (λόγος, привет) is read as what it is.
    foreign = not latin and any(find_latin(letter) is None for letter in letters)
    odd = {letter for letter in letters if _is_odd_in(letter, foreign=foreign)}
    if odd:
        yield from (position for position, letter in enumerate(word[0], word.start()) if letter in odd)


def _is_odd_in(letter: str, *, foreign: bool) -> bool:
    if script(letter) == "LATIN" or unicodedata.normalize("NFKC", letter).isascii():
        return find_latin(letter) is not None
    return not foreign


_BY_CATEGORY: Final = {
    "Cf": Oddness.INVISIBLE,
    "Cc": Oddness.CONTROL,
    "Cs": Oddness.CONTROL,
    "Co": Oddness.PRIVATE,
    "Cn": Oddness.PRIVATE,
    "Zs": Oddness.SPACE,
    "Zl": Oddness.SPACE,
    "Zp": Oddness.SPACE,
}


def _oddness(text: str, position: int, character: str) -> Oddness | None:
    kind = _oddness_anywhere(character)
    if kind is Oddness.INVISIBLE:
        return None if _builds_an_emoji(text, position) else kind
    if kind is not Oddness.DIRECTION and unicodedata.category(character) in ("Mn", "Me"):
        return Oddness.MARKS if _is_piled(text, position) or _is_apart(text, position) else kind
    return kind


@lru_cache(maxsize=MOST_REMEMBERED)
def _oddness_anywhere(character: str) -> Oddness | None:
    """What a character is whatever stands around it."""
    if character in SPACES or character in "\n\t" or (character.isascii() and character.isprintable()):
        return None
    if character in DIRECTIONS:
        return Oddness.DIRECTION
    if character in BLANKS or is_variation_selector(character) or unicodedata.category(character) == "Cf":
        return Oddness.INVISIBLE
    if character in STRIKES:
        return Oddness.MARKS
    if _is_another_character(character):
        return Oddness.LOOKALIKE
    return _BY_CATEGORY.get(unicodedata.category(character))


def _is_another_character(character: str) -> bool:
    """Digits of other scripts, and signs that Unicode itself folds to one plain one (a Greek question mark to ";")."""
    category = unicodedata.category(character)
    if category == "Nd":
        return True
    folded = unicodedata.normalize("NFKC", character)
    if folded == character or character.isalpha():
        return False
    if category == "Nl":  # Roman numerals: ⅰ is no i
        return True
    plain = len(folded) == 1 and folded.isascii() and folded.isprintable() and not folded.isspace()
    return plain and not unicodedata.decomposition(character).startswith(_VISIBLE_FORMS)


def _is_piled(text: str, position: int) -> bool:
    marks = text[max(0, position - MOST_MARKS) : position + 1]
    return len(marks) > MOST_MARKS and all(unicodedata.category(mark) in ("Mn", "Me") for mark in marks)


def _is_apart(text: str, position: int) -> bool:
    """A mark that Unicode would write as one character with the letter before it."""
    pair = text[max(0, position - 1) : position + 1]
    return unicodedata.category(text[position]) == "Mn" and len(pair) > len(unicodedata.normalize("NFC", pair))


def _builds_an_emoji(text: str, position: int) -> bool:
    """One U+FE0F after a symbol; one zero-width joiner between two."""
    before = text[position - 1] if position else ""
    if text[position] == "\ufe0f":
        return _is_symbol(before)
    after = text[position + 1 : position + 2]
    return text[position] == "\u200d" and (_is_symbol(before) or before == "\ufe0f") and _is_symbol(after)


def _is_symbol(character: str) -> bool:
    return character != "" and unicodedata.category(character) in ("So", "Sk")
