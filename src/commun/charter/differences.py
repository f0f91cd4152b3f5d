"""What one difference between two charters is, and the few shapes that differences have (rules: ``changes.py``)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar

from commun.charter.clauses import Texts, plain
from commun.errors import N_

Kind = Literal["added", "removed", "changed"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, as a sentence for people.

    ``clause``: its name, out of CLAUSES. ``sentence``: a message id; ``details`` fill its places, in pairs, and are the
    same in every language (names, numbers, days, digests). ``entrenched``: whether the clause was entrenched before,
    so that all guards together must sign. ``before``, ``after``: long texts for ``words.word_diff``, or "".
    What the details and texts hold was written by others: show it through ``words.shown``.
    """

    clause: str
    kind: Kind
    sentence: str
    details: tuple[tuple[str, str], ...] = ()
    entrenched: bool = False
    before: str = ""
    after: str = ""

    def text(self, translate: Callable[[str], str] = str) -> str:
        """The sentence, filled, in the language of ``translate`` (gettext)."""
        return translate(self.sentence) % dict(self.details)


Found = Iterator[Change]

# The last resort: no difference stays unsaid, even one for which nobody has written a sentence.
SOMETHING: Final = N_("The clause “%(name)s” has changed.")


def change(
    clause: str, sentence: str, kind: Kind = "changed", texts: tuple[str, str] = ("", ""), /, **details: str
) -> Change:
    """``texts``: before and after. The rest are the sentence's details."""
    return Change(clause, kind, sentence, tuple(details.items()), before=texts[0], after=texts[1])


def from_to(clause: str, before: T, after: T, sentence: str | Callable[[T, T], str], **details: str) -> Found:
    """A value that is another one now. A sentence may depend on both, and has places for them."""
    if before != after:
        chosen = sentence if isinstance(sentence, str) else sentence(before, after)
        yield change(clause, chosen, "changed", before=as_detail(before), after=as_detail(after), **details)


def up_or_down(up: str, down: str) -> Callable[[Any, Any], str]:
    return lambda before, after: up if after > before else down


def given(added: str, removed: str, changed: str) -> Callable[[str, str], str]:
    return lambda before, after: changed if before and after else added if after else removed


def switched(clause: str, before: bool, after: bool, on: str, off: str) -> Found:  # noqa: FBT001  (values, no options)
    if before != after:
        yield change(clause, on if after else off, "added" if after else "removed")


def in_words(clause: str, before: str, after: str, sentence: str, **details: str) -> Found:
    """A text that people or the model read."""
    if before != after:
        kind: Kind = "changed" if before and after else "added" if after else "removed"
        yield change(clause, sentence, kind, (before, after), **details)


def in_both_languages(clause: str, before: Texts, after: Texts, english: str, french: str, **details: str) -> Found:
    yield from in_words(clause, before.en, after.en, english, **details)
    yield from in_words(clause, before.fr, after.fr, french, **details)


Say = Callable[[str, Kind], Change]


def listed(clause: str, before: Iterable[str], after: Iterable[str], say: Say, order: str, **details: str) -> Found:
    """Names that come and go, each said by ``say``; ``order`` when those that stay stand in another order."""
    before, after = list(before), list(after)
    for name in dict.fromkeys(before):
        if name not in after:
            yield say(name, "removed")
    for name in dict.fromkeys(after):
        if name not in before:
            yield say(name, "added")
    stay, now = [name for name in before if name in after], [name for name in after if name in before]
    if stay != now:
        yield change(clause, order, "changed", ("\n".join(stay), "\n".join(now)), **details)


def by_key(
    before: Sequence[T], after: Sequence[T], key: Callable[[T], str]
) -> tuple[dict[str, T], dict[str, T]] | None:
    """Both lists by name; None where a name stands twice, which no valid charter has."""
    old, new = {key(item): item for item in before}, {key(item): item for item in after}
    return (old, new) if (len(old), len(new)) == (len(before), len(after)) else None


def unsaid(clause: str, before: object, after: object) -> Change:
    return change(clause, SOMETHING, "changed", (sheet(before), sheet(after)), name=clause)


def as_detail(value: object) -> str:
    """The same in every language: a decimal string, an ISO day, "true", the text itself."""
    if isinstance(value, Decimal):
        return str(plain(value))
    return str(value).lower() if isinstance(value, bool) else str(plain(value))


def sheet(value: object) -> str:
    """Any clause as lines "name: value", what belongs together indented, so that no value can pass for a name."""
    return "\n".join(_lines(plain(value)))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            lines = list(_lines(item))
            short = len(lines) == 1 and not isinstance(item, (Mapping, list))
            yield f"{name}: {lines[0]}" if short else f"{name}:"
            if not short:
                yield from ("    " + line for line in lines)
    elif isinstance(value, list):
        for item in value:
            first, *rest = list(_lines(item)) or [""]
            yield f"- {first}"
            yield from ("  " + line for line in rest)
    else:
        yield from as_detail(value).split("\n")
