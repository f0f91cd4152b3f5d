"""The way from an entry to the head, as a picture: one row a level, the head above, the entry at the foot.

The path goes straight down the middle; what the proof carries stands on the side on which it is joined, because left
and right are part of the hash. So the picture is as wide for a ledger of ten entries as for one of 2⁴⁰, and only
longer. Coordinates are SVG's; the template draws.
"""

from dataclasses import dataclass
from typing import Final

from commun.web.ledger_view import Node, Proven
from commun.web.paper import decimal

BOX_WIDTH: Final = 112
BOX_HEIGHT: Final = 46
BETWEEN: Final = 12  # boxes, in a row
ROW: Final = 84
MARGIN: Final = 4
DIGITS: Final = 8  # of a hash that a box has room for
LONGEST: Final = 16  # characters of a box's second line


@dataclass(frozen=True, slots=True)
class Box:
    """``x`` and ``y``: its left upper corner. ``kind``: "head", "path", "carried" or "entry"."""

    x: int
    y: int
    kind: str
    hash: str
    covers: str

    @property
    def middle(self) -> int:
        return self.x + BOX_WIDTH // 2

    @property
    def foot(self) -> int:
        return self.y + BOX_HEIGHT


@dataclass(frozen=True, slots=True)
class Line:
    """From the foot of one box to the top of another."""

    x1: int
    y1: int
    x2: int
    y2: int
    kind: str


@dataclass(frozen=True, slots=True)
class Picture:
    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    box_width: int = BOX_WIDTH
    box_height: int = BOX_HEIGHT


def picture_of(proven: Proven, language: str) -> Picture:
    sides = {rung.left for rung in proven.rungs}
    step = BOX_WIDTH + BETWEEN
    path_x = MARGIN + (step if True in sides else 0)
    boxes: list[Box] = []
    lines: list[Line] = []
    top = proven.top
    above = Box(path_x, MARGIN, "head" if proven.rungs else "entry", _hash(top), covers(top, language))
    boxes.append(above)
    for row, rung in enumerate(reversed(proven.rungs), start=1):
        y = MARGIN + row * ROW
        last = row == len(proven.rungs)
        below = Box(path_x, y, "entry" if last else "path", _hash(rung.below), covers(rung.below, language))
        side = path_x - step if rung.left else path_x + step
        sibling = Box(side, y, "carried", _hash(rung.sibling), covers(rung.sibling, language))
        lines += [_line(above, sibling, "carried"), _line(above, below, "path")]
        boxes += [below, sibling]
        above = below
    width = 2 * MARGIN + BOX_WIDTH + step * len(sides)
    return Picture(width, above.foot + MARGIN, tuple(boxes), tuple(lines))


def covers(node: Node, language: str) -> str:
    """The entries below a node: their numbers, or how many they are where that is too long."""
    if node.is_entry:
        return decimal(node.start, language)
    numbers = f"{decimal(node.start, language)} – {decimal(node.end - 1, language)}"
    return numbers if len(numbers) <= LONGEST else f"× {decimal(node.end - node.start, language)}"


def _hash(node: Node) -> str:
    digits = node.hash.hex()[:DIGITS]
    return f"{digits[:4]} {digits[4:]}…"


def _line(above: Box, below: Box, kind: str) -> Line:
    return Line(above.middle, above.foot, below.middle, below.y, kind)
