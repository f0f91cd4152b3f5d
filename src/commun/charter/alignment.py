"""Which units of two sequences belong together: the search behind ``words.word_diff``.

- First what both have at their beginning and end; then units, or else phrases, that occur once in each, as anchors
  (patience diff), and so on between them; where there is no anchor, the shortest edit (E. Myers, "An O(ND) Difference
  Algorithm", 1986).
- The work is bounded (``most`` steps), for any input: small parts are compared first, and a part for which nothing is
  left counts as changed whole. The result is then coarse, never wrong. What was spent is told, so that several texts
  can share one bound (``comparison.py``).
- Runs are joined; spaces alone between two changes are given up, so that a rewritten phrase reads as a phrase.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

MOST_STEPS: Final = 1_000_000  # about half a second
ANCHOR_WINDOWS: Final = (1, 6, 16)  # units: a word, a phrase, a clause

Run = tuple[int, int, int]  # position in the old units, in the new ones, length
_Part = tuple[int, int, int, int]  # from and to in the old units, from and to in the new ones


def matches(old: Sequence[str], new: Sequence[str], *, most: int = MOST_STEPS) -> tuple[list[Run], int]:
    """Runs of equal units, in order and without overlap; all that lies outside them has changed. And the steps."""
    runs, parts, left = _anchored(old, new, most)
    for low, high, other_low, other_high in sorted(parts, key=lambda part: part[1] - part[0] + part[3] - part[2]):
        pairs, spent = _shortest_edit(old[low:high], new[other_low:other_high], left)
        left -= spent
        runs.extend((low + a, other_low + b, 1) for a, b in pairs)
    return list(_worth_keeping(_joined(sorted(runs)), old, new)), most - left


def _worth_keeping(runs: Sequence[Run], old: Sequence[str], new: Sequence[str]) -> Iterator[Run]:
    for start, other, length in runs:
        at_an_end = start == other == 0 or (start + length == len(old) and other + length == len(new))
        if at_an_end or length > 1 or old[start] == "\n" or not old[start].isspace():
            yield start, other, length


def _joined(runs: Sequence[Run]) -> list[Run]:
    joined: list[Run] = []
    for start, other, length in runs:
        before = joined[-1] if joined else (0, 0, 0)
        if (before[0] + before[2], before[1] + before[2]) == (start, other):
            joined[-1:] = [(before[0], before[1], before[2] + length)]
        else:
            joined.append((start, other, length))
    return joined


def _anchored(old: Sequence[str], new: Sequence[str], left: int) -> tuple[list[Run], list[_Part], int]:
    """The runs that ends and anchors give, the parts that are still to compare, and the steps that are left."""
    left -= len(old) + len(new)  # making the units, and looking at the ends
    runs: list[Run] = []
    parts: list[_Part] = []
    stack: list[_Part] = [(0, len(old), 0, len(new))]
    while stack:
        low, high, other_low, other_high = stack.pop()
        head, tail = _common_ends(old[low:high], new[other_low:other_high])
        runs.extend(((low, other_low, head), (high - tail, other_high - tail, tail)))
        low, high, other_low, other_high = low + head, high - tail, other_low + head, other_high - tail
        if low == high or other_low == other_high:
            continue
        anchors: list[tuple[int, int]] = []
        for window in ANCHOR_WINDOWS:
            left -= high - low + other_high - other_low
            if not anchors and left > 0:
                anchors = _anchors(_windows(old[low:high], window), _windows(new[other_low:other_high], window))
        if anchors:
            edges = [(low, other_low), *((low + a, other_low + b) for a, b in anchors), (high, other_high)]
            stack.extend((a, c, b, d) for (a, b), (c, d) in pairwise(edges))
        else:
            parts.append((low, high, other_low, other_high))
    return [run for run in runs if run[2]], parts, left


def _common_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    most = min(len(old), len(new))
    head = next((i for i in range(most) if old[i] != new[i]), most)
    most -= head
    tail = next((i for i in range(most) if old[-1 - i] != new[-1 - i]), most)
    return head, tail


def _windows(units: Sequence[str], size: int) -> Sequence[tuple[str, ...]]:
    """Each unit with those that follow it, up to a size: what makes a place in a text of few words recognisable."""
    return list(zip(*(units[shift:] for shift in range(size)), strict=False))


def _anchors(old: Sequence[tuple[str, ...]], new: Sequence[tuple[str, ...]]) -> list[tuple[int, int]]:
    """Windows that occur once in each text: the longest series of them that is in the same order in both."""
    counts, others = Counter(old), Counter(new)
    where = {unit: position for position, unit in enumerate(new) if others[unit] == 1}
    pairs = [(i, where[unit]) for i, unit in enumerate(old) if counts[unit] == 1 and unit in where]
    ends: list[int] = []  # the smallest new position at which a series of this length can end
    last: list[int] = []  # which pair that is
    previous: list[int] = []
    for number, (_, position) in enumerate(pairs):
        length = bisect_left(ends, position)
        previous.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [position]
        last[length : length + 1] = [number]
    series: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        series.append(pairs[number])
        number = previous[number]
    return series[::-1]


def _shortest_edit(old: Sequence[str], new: Sequence[str], left: int) -> tuple[list[tuple[int, int]], int]:
    """Pairs of equal units, and the steps spent; no pairs where the steps that are left do not suffice."""
    reach: dict[int, int] = {1: 0}
    trail: list[dict[int, int]] = []
    spent = 0
    for edits in range(len(old) + len(new) + 1):
        spent += 2 * (edits + 1)  # the diagonals of this round, and keeping them for the way back
        if spent > left:
            return [], spent
        trail.append({k: reach[k] for k in range(-edits - 1, edits + 2, 2) if k in reach})
        for diagonal in range(-edits, edits + 1, 2):
            down = _is_down(reach, diagonal, edits)
            x = reach[diagonal + 1] if down else reach[diagonal - 1] + 1
            while x < len(old) and x - diagonal < len(new) and old[x] == new[x - diagonal]:
                x += 1
                spent += 1
            reach[diagonal] = x
            if x >= len(old) and x - diagonal >= len(new):
                return _way_back(trail, len(old), len(new)), spent
    raise AssertionError  # removing all and adding all is an edit


def _is_down(reach: dict[int, int], diagonal: int, edits: int) -> bool:
    """Whether a diagonal is reached furthest by adding a unit (from the one above it) rather than by removing one."""
    return diagonal == -edits or (diagonal != edits and reach[diagonal - 1] < reach[diagonal + 1])


def _way_back(trail: Sequence[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for edits in range(len(trail) - 1, -1, -1):
        diagonal = x - y
        down = _is_down(trail[edits], diagonal, edits)
        start = trail[edits][diagonal + 1] if down else trail[edits][diagonal - 1] + 1
        while x > start:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        x, y = (x, y - 1) if down else (x - 1, y)
    return pairs[::-1]
