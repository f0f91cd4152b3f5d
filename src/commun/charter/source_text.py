"""From a file's bytes to its text: UTF-8, nothing invisible, line ends as newlines.

Refused, with the line: bytes that are no UTF-8, a byte order mark, control characters (save newline and tab), and
every character that shows nothing or turns the direction of what stands beside it: what a member reads before signing
must be what the model reads. The joiners of emoji and of some scripts are allowed, and so are look-alike letters and
rare spaces: the diff points at them (``words.py``). The table is fixed here, not Python's: a charter must not be valid
under one version of Python and invalid under the next.
"""

from collections.abc import Iterator
from typing import Final

from commun.charter.source_mistakes import BYTE_ORDER_MARK, HIDDEN, NOT_UTF8, Mistakes

_HIDDEN_RANGES: Final = (
    (0x00, 0x08),  # control characters
    (0x0B, 0x1F),
    (0x7F, 0x9F),
    (0xAD, 0xAD),  # soft hyphen
    (0x34F, 0x34F),  # grapheme joiner
    (0x61C, 0x61C),  # Arabic letter mark
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200B),  # zero width space
    (0x200E, 0x200F),  # marks of direction
    (0x2028, 0x202E),  # separators of lines and paragraphs; embeddings and overrides of direction
    (0x2060, 0x206F),  # word joiner, invisible operators, isolates of direction
    (0x3164, 0x3164),
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),  # tags: a whole hidden alphabet
)
HIDDEN_CHARACTERS: Final = frozenset(chr(point) for first, last in _HIDDEN_RANGES for point in range(first, last + 1))


def read_text(file: str, data: bytes, mistakes: Mistakes) -> str:
    """What can be read of it; the mistakes say what cannot."""
    if data.startswith(b"\xef\xbb\xbf"):
        mistakes.add(file, 1, BYTE_ORDER_MARK)
        data = data[3:]
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        mistakes.add(file, data.count(b"\n", 0, error.start) + 1, NOT_UTF8)
        text = data.decode(errors="replace")
    text = text.replace("\r\n", "\n")
    if not HIDDEN_CHARACTERS.isdisjoint(text):
        for number, line in enumerate(text.split("\n"), start=1):
            if mistakes.is_full:
                break
            for character in find_hidden(line):
                mistakes.add(file, number, HIDDEN, character=name_of(character))
    return text


def find_hidden(text: str) -> Iterator[str]:
    """Each hidden character in it once."""
    return iter(sorted(HIDDEN_CHARACTERS.intersection(text)))


def name_of(character: str) -> str:
    return f"U+{ord(character):04X}"
