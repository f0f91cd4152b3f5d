"""All the texts of one document compared within one bound, so that no document makes its readers' server work for long.

Anybody may open the page that shows what an amendment changes, and one member alone decides what is in it. Rules:

- all texts of one document share one ``Work``: steps of comparison, and characters to be shown. Each that is named in
  ⟦ ⟧ counts NAME more, and so does each piece of a comparison: that is how long their marks are. Both are counted, not
  timed;
- texts are compared word by word while steps are left (at least LEAST_STEPS), and while none has more than
  ``words.MOST_CHARACTERS``; then line by line, in steps that grow with the text and no faster; and when the characters
  are spent, not at all;
- which of the three it was is said (``Manner``), and whoever shows it must say it too: a text is never shown as if less
  had changed than did. What is not compared can be read in the files.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from commun.charter import words
from commun.charter.alignment import MOST_STEPS
from commun.charter.words import MOST_CHARACTERS, Piece, count_odd

MOST_STEPS_OF_ALL: Final = 3_000_000  # of one document; about a second and a half
MOST_SHOWN: Final = 1_000_000  # characters of one document's texts; about a tenth of what a charter may have
LEAST_STEPS: Final = 100_000  # below that, words would be matched too coarsely to be called so
STEPS_A_LINE: Final = 8
NAME: Final = 60  # characters: “⟦U+0430 CYRILLIC SMALL LETTER A⟧” and its mark; about as much as a piece's


class Manner(StrEnum):
    WORDS = "words"
    LINES = "lines"
    NOT = "not"


@dataclass(slots=True)
class Work:
    """What is left to be spent on one document."""

    steps: int = MOST_STEPS_OF_ALL
    characters: int = MOST_SHOWN

    def can_show(self, *texts: str) -> bool:
        """Whether these texts may be shown; then they count."""
        cost = sum(map(len, texts))
        if cost <= self.characters:
            cost += NAME * sum(map(count_odd, texts))
        if cost > self.characters:
            return False
        self.characters -= cost
        return True


@dataclass(frozen=True, slots=True)
class Comparison:
    """``pieces``: () where it was not compared, and for two empty texts."""

    manner: Manner
    pieces: tuple[Piece, ...]


def compare(before: str, after: str, work: Work) -> Comparison:
    """As well as what is left of ``work`` allows, which is then less."""
    if not work.can_show(before, after):
        return Comparison(Manner.NOT, ())
    by_words = max(len(before), len(after)) <= MOST_CHARACTERS and work.steps >= LEAST_STEPS
    if by_words:
        pieces, spent = words.diff(before, after, most=min(MOST_STEPS, work.steps), by_lines=False)
        work.steps = max(0, work.steps - spent)
    else:
        lines = before.count("\n") + after.count("\n") + 2
        pieces, _ = words.diff(before, after, most=STEPS_A_LINE * lines, by_lines=True)
    if NAME * len(pieces) > work.characters:
        return Comparison(Manner.NOT, ())
    work.characters -= NAME * len(pieces)
    return Comparison(Manner.WORDS if by_words else Manner.LINES, pieces)
