"""What audit.py found, as tables: how often each arm is caught where no honest answer is, by the number of tokens.

- exact: caught by the bounds of ``audit.verdict``, which were there before; how many honest answers they call
  inconsistent is a result;
- else: caught where one figure of the answer (shift, outside, figures) is above the largest of all honest answers of
  as many tokens;
- n tokens of an answer are what an answer that was interrupted there shows: the facts of a prefix are those of the
  whole, since no token is asked for with what comes after it;
- an answer whose first n tokens are the honest ones, under the right prompt and weights, is the honest answer so far:
  "3/3 of 4" says that of 4 answers 3 are another, and 3 were caught.
"""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from audit_again import beside
from audit_arms import DISHONEST, EARLY, PROMPTS, WEIGHTS
from commun.audit.facts import Fact
from commun.audit.measures import Measures, measures_of
from commun.audit.verdict import FIGURE_BOUND, LITTLE_EVIDENCE, SHIFT_BOUND, Finding

LENGTHS = (32, 128, 512)
MAIN = 128
HONEST = {
    "honest": "32 at once",
    "at-once-8": "8 at once",
    "alone": "alone",
    "again": "asked again: its prompt in the cache",
    "texts": "plain texts: nothing of the prompt in the cache",
    "threads": "another number of threads",
    "ended": "to its own end",
    "sure": "sure answers, to their own end, T 0.3",
}
EXPORTED = "at-once-8"  # read again by the exported graph as it is, too
SURE_ARMS = ("space", "hidden", "warmer-10", "seed")
ALWAYS = {*PROMPTS, *WEIGHTS, "fewer-true", "qwen"}
STATISTICS = {Finding.DRAWS.value, Finding.FIGURES.value}
BANDS = ((0, LITTLE_EVIDENCE), (LITTLE_EVIDENCE, 100), (100, float("inf")))


@dataclass(frozen=True)
class Found:
    """One audited answer. ``others``: findings that need no figure."""

    facts: tuple[Fact, ...]
    distances: tuple[float, ...]
    others: frozenset[str]
    outcome: str = ""

    @classmethod
    def read(cls, path: Path) -> "Found":
        """Raises KeyError for an answer that could not be audited."""
        said = json.loads(path.read_text())
        distances = tuple(float("inf") if each is None else each for each in said["distances"])
        facts = tuple(Fact(*row) for row in said["facts"])
        return cls(facts, distances, frozenset(said["findings"]) - STATISTICS, said["outcome"])

    def at(self, tokens: int) -> Measures:
        return measures_of(self.facts[:tokens], self.distances[:tokens])

    def is_beyond(self, tokens: int) -> bool:
        """Of the exact comparison's bounds."""
        found = self.at(tokens)
        return bool(self.others) or found.worst_shift > SHIFT_BOUND or found.worst_figure > FIGURE_BOUND

    def tokens(self, count: int) -> tuple[int, ...]:
        return tuple(fact.token for fact in self.facts[:count])


Arm = dict[int, Found]


def read_arm(folder: Path, kind: str = "audit") -> Arm:
    found = {}
    for path in sorted(folder.glob("*.bundle.json")):
        told = beside(path, kind)
        if told.exists():
            found[int(path.name.partition(".")[0])] = Found.read(told)
    return found


@dataclass(frozen=True)
class Limits:
    """The largest figures of honest answers of so many tokens."""

    shift: float
    outside: float
    figures: float

    @classmethod
    def of(cls, honest: Iterable[Found], tokens: int) -> "Limits":
        found = [one.at(tokens) for one in honest if len(one.facts) >= tokens]
        return cls(
            max(one.shift for one in found),
            max(one.outside for one in found),
            max(one.figures or 0.0 for one in found),
        )

    def is_beyond(self, one: Found, tokens: int) -> bool:
        found = one.at(tokens)
        over = found.shift > self.shift or found.outside > self.outside or (found.figures or 0.0) > self.figures
        return bool(one.others) or over


def area(honest: Sequence[float], dishonest: Sequence[float]) -> float:
    """How often a dishonest answer's figure is above an honest one's."""
    pairs = [(one > other) + (one == other) / 2 for one in dishonest for other in honest]
    return sum(pairs) / len(pairs)


def share(caught: int, count: int) -> str:
    return f"{caught}/{count}" if count else ""


def short(number: float) -> str:
    return f"{number:.1e}" if number else "0"


class Tables:
    """``work``: of one profile."""

    def __init__(self, work: Path, *, is_exact: bool, kind: str = "audit", lengths: Sequence[int] = LENGTHS) -> None:
        self._work, self._is_exact, self._kind = work, is_exact, kind
        self._honest = read_arm(work / "honest", kind)
        self._lengths = [length for length in lengths if self._as_long(length)]
        self._limits = {length: Limits.of(self._honest.values(), length) for length in self._lengths}

    def _as_long(self, tokens: int) -> list[Found]:
        return [one for one in self._honest.values() if len(one.facts) >= tokens]

    def is_caught(self, one: Found, tokens: int) -> bool:
        return one.is_beyond(tokens) if self._is_exact else self._limits[tokens].is_beyond(one, tokens)

    def honest(self) -> list[str]:
        lines = [
            "| honest answers | answers | tokens | not the draw’s | largest shift | largest distance | inconsistent |",
            "|---|---|---|---|---|---|---|",
        ]
        rows = [(name, title, self._kind) for name, title in HONEST.items()]
        rows += [(EXPORTED, "8 at once, read by the exported graph", "exported")]
        for name, title, kind in rows:
            arm = list(read_arm(self._work / name, kind).values())
            if not arm:
                continue
            found = [one.at(len(one.facts)) for one in arm]
            tokens = sum(one.tokens for one in found)
            alarms = share(sum(self._is_alarm(one) for one in arm), len(arm))
            lines.append(
                f"| {title} | {len(arm)} | {tokens:,} | {sum(one.unlike for one in found)} | "
                f"{short(max(one.worst_shift for one in found))} | {short(max(one.worst_figure for one in found))} | "
                f"{'the threshold' if name == 'honest' and not self._is_exact else alarms} |"
            )
        return lines

    def _is_alarm(self, one: Found) -> bool:
        if self._is_exact:
            return one.is_beyond(len(one.facts))
        nearest = min(self._lengths, key=lambda length: abs(length - len(one.facts)))
        return self.is_caught(one, nearest)

    def dishonest(self) -> list[str]:
        heads = "".join(f" {length} tokens, {len(self._as_long(length))} honest |" for length in self._lengths)
        lines = [
            f"| dishonest answers |{heads} AUC at {MAIN} | least of the answers’ largest shifts |",
            "|---" * (3 + len(self._lengths)) + "|",
        ]
        for name, title in DISHONEST.items():
            arm = read_arm(self._work / name, self._kind)
            if not arm:
                continue
            cells = "".join(f" {self._cell(name, arm, length)} |" for length in self._lengths)
            lines.append(f"| {title} |{cells} {self._area(arm):.3f} | {self._least(name, arm)} |")
        return lines

    def _changed(self, name: str, arm: Arm, tokens: int, honest: Arm | None = None) -> Arm:
        """Those that are not the honest answer so far."""
        if name in ALWAYS:
            return arm
        honest = honest or self._honest
        return {
            number: one
            for number, one in arm.items()
            if one.tokens(tokens) != honest[number].tokens(min(tokens, len(one.facts)))
        }

    def _cell(self, name: str, arm: Arm, tokens: int) -> str:
        """An answer that was caught stays so as it goes on, where the comparison is exact."""
        least = min(tokens, EARLY) if self._is_exact else tokens
        whole = {number: one for number, one in arm.items() if len(one.facts) >= least}
        if not whole:
            return ""
        changed = self._changed(name, whole, tokens)
        caught = sum(self.is_caught(one, tokens) for one in changed.values())
        return share(caught, len(changed)) + (f" of {len(whole)}" if len(changed) < len(whole) else "")

    def _area(self, arm: Arm) -> float:
        def score(one: Found) -> float:
            found = one.at(MAIN)
            return found.worst_shift if self._is_exact else found.shift

        return area([score(one) for one in self._honest.values()], [score(one) for one in arm.values()])

    def _least(self, name: str, arm: Arm) -> str:
        changed = self._changed(name, arm, MAIN)
        return f"{min(one.at(MAIN).worst_shift for one in changed.values()):.1e}" if changed else ""

    def sure(self) -> list[str]:
        """By what an answer can show."""
        titles = [f"{low:g} to {high:g} bits" if high < float("inf") else f"{low:g} and more" for low, high in BANDS]
        lines = [
            f"| sure answers, T 0.3 | {' | '.join(titles)} |",
            "|---" * (1 + len(BANDS)) + "|",
        ]
        honest = read_arm(self._work / "sure", self._kind)
        for name in SURE_ARMS:
            arm = read_arm(self._work / "sure-arms" / name, self._kind)
            arm = self._changed(name, arm, MAIN, honest)
            if arm:
                cells = " | ".join(self._band(arm, *band) for band in BANDS)
                lines.append(f"| {DISHONEST[name]} | {cells} |")
        return lines if len(lines) > 2 else []

    def _band(self, arm: Arm, low: float, high: float) -> str:
        found = [one for one in arm.values() if low <= one.at(len(one.facts)).evidence < high]
        return share(sum(self._is_alarm(one) for one in found), len(found))

    def evidence(self) -> str:
        told = []
        for length in self._lengths:
            bits = [one.at(length).evidence for one in self._as_long(length)]
            told.append(f"{length} tokens: {min(bits):.0f}, {statistics.median(bits):.0f}, {max(bits):.0f}")
        return f"Evidence in bits (least, median, most): {'; '.join(told)}."
