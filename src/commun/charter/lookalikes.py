"""Letters that a reader takes for Latin ones, and the characters that a reader does not see at all.

Own tables, small on purpose: the letters of the scripts whose words can be made to look like English or French ones
(after Unicode's UTS 39, whole-script confusables). What is not here is still caught where a word mixes scripts
(``words.py``). Forms that Unicode itself folds to Latin (full-width, mathematical, ligatures) need no table.
"""

import unicodedata
from functools import cache
from typing import Final

# Latin letter: what looks like it. Cyrillic, Greek, Armenian, Cherokee, Coptic, Lisu, Hebrew, Georgian, and Latin
# letters of phonetics and small capitals.
_LIKE: Final = {
    "a": "\u0430\u03b1\u0251",
    "b": "\u042c\u13cf",
    "c": "\u0441\u03f2\u1d04\u2ca5",
    "d": "\u0501\u13e7",
    "e": "\u0435\u04bd",
    "g": "\u0261\u0581\u018d",
    "h": "\u04bb\u0570\u13c2",
    "i": "\u0456\u03b9\u0131\u0269\ua647\u13a5",
    "j": "\u0458\u03f3\u0237",
    "k": "\u03ba\u043a\u1d0b",
    "l": "\u04cf\u04c0\u01c0\u05df",
    "m": "\u043c\u1d0d",
    "n": "\u0578\u057c\u03b7",
    "o": "\u043e\u03bf\u0585\u1d0f\u03c3\u05e1\u2c9f\u10ff\u101d\u0d20",
    "p": "\u0440\u03c1\u2ca3",
    "q": "\u051b\u0563\u0566",
    "r": "\u0433\u1d26\u2c85",
    "s": "\u0455\ua731",
    "t": "\u03c4\u0442\u1d1b",
    "u": "\u03c5\u057d\u1d1c\u028b",
    "v": "\u03bd\u0475\u1d20\u05d8",
    "w": "\u0461\u051d\u0561\u1d21\u026f",
    "x": "\u0445\u03c7",
    "y": "\u0443\u03b3\u04af\u10e7\u028f\u1eff",
    "z": "\u1d22",
    "A": "\u0410\u0391\u13aa",
    "B": "\u0412\u0392\u13f4\ua4d0",
    "C": "\u0421\u03f9\u2ca4\u13df\ua4da",
    "D": "\u13a0\ua4d3",
    "E": "\u0415\u0395\u13ac\ua4f0",
    "F": "\u03dc\ua4dd",
    "G": "\u050c\u13c0\ua4d6",
    "H": "\u041d\u0397\u13bb\ua4e7\u2c8e",
    "I": "\u0406\u0399\ua4f2\u2c92",
    "J": "\u0408\u037f\u13ab\ua4d9",
    "K": "\u041a\u039a\u13e6\ua4d7\u2c94",
    "L": "\u13de\ua4e1\u053c",
    "M": "\u041c\u039c\u13b7\ua4df\u2c98",
    "N": "\u039d\ua4e0\u2c9a",
    "O": "\u041e\u039f\u0555\ua4f3\u2c9e",
    "P": "\u0420\u03a1\u13e2\ua4d1\u2ca2",
    "Q": "\u051a",
    "R": "\u13a1\u13d2\ua4e3",
    "S": "\u0405\u054f\u13da\ua4e2",
    "T": "\u0422\u03a4\u13a2\ua4d4\u2ca6",
    "U": "\u054d\ua4f4",
    "V": "\u0474\u13d9\ua4e6",
    "W": "\u051c\u13b3\ua4ea",
    "X": "\u0425\u03a7\ua4eb\u2cac",
    "Y": "\u0423\u03a5\u04ae\ua4ec\u2ca8",
    "Z": "\u0396\u13c3\ua4dc",
}
_TABLE: Final = {other: latin for latin, others in _LIKE.items() for other in others}

# Blank on the screen, and not of category Cf (which is invisible as a whole): fillers, joiners, an empty Braille cell,
# a note without its head.
BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159")
# Controls of the writing direction: what is read in one order is stored, and obeyed, in another (CVE-2021-42574).
DIRECTIONS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# The spaces of English and French: the plain one, the no-break one, the narrow no-break one.
SPACES: Final = frozenset(" \u00a0\u202f")
# Marks that strike a letter through: a sentence can look deleted and be in force.
STRIKES: Final = frozenset("\u0335\u0336\u0337\u0338")
# Superscripts and ordinals (1ᵉʳ, nº) are French typography, and µ is a unit: all look like what they are.
_HONEST: Final = frozenset("\u00aa\u00ba\u00b5")
_HONEST_FORMS: Final = ("<super>", "<sub>")


def is_variation_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


@cache
def find_latin(letter: str) -> str | None:
    """The Latin letter or letters for which this one can be taken, or None: it is Latin itself, or looks like none."""
    if letter.isascii() or letter in _HONEST:
        return None
    if letter in _TABLE:
        return _TABLE[letter]
    if unicodedata.decomposition(letter).startswith(_HONEST_FORMS):
        return None
    folded = unicodedata.normalize("NFKC", letter)
    if folded == letter:
        return None
    return folded if all(script(part) == "LATIN" for part in folded) else None


@cache
def script(letter: str) -> str:
    """The writing system, by the first word of the letter's name: LATIN, CYRILLIC, GREEK, …"""
    name = unicodedata.name(letter, "UNNAMED")
    if letter in _HONEST or name.startswith(("MODIFIER LETTER", "SUPERSCRIPT", "SUBSCRIPT")):
        return "COMMON"
    return name.split()[0]
