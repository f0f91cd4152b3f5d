"""The charter's pages as the templates take them: what is computed once, so that they only have to say it."""

from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from commun.charter.amendment import Amendment
from commun.charter.changes import ORDER, TITLES, Change, changes
from commun.charter.clauses import CLAUSES, Charter, Texts
from commun.charter.comparison import Work
from commun.charter.edition import Edition
from commun.charter.words import TextWarning, warnings_once
from commun.drafting.desk import Lying
from commun.errors import N_
from commun.web.adopted import History
from commun.web.feed import signed_at
from commun.web.i18n import LANGUAGE_NAMES, translator
from commun.web.paper import diff, whole

# What a part of a clause is called, where TITLES has only the whole.
PARTS = {
    "board.quorum": N_("Quorum"),
    "board.members": N_("Members of the board"),
    "sampling.profile": N_("Profile of the calculation"),
    "sampling.caller_seed": N_("Choice of the seed"),
    "sampling.temperature": N_("Temperature"),
    "sampling.top_p": N_("Top-p"),
    "sampling.max_tokens": N_("Longest answer"),
    "callers.system_messages": N_("Instructions of whoever asks"),
    "callers.plain_completions": N_("Plain completions"),
    "callers.structured_output": N_("Structured answers"),
    "callers.stop_strings": N_("Stop strings"),
    "callers.ignore_eos": N_("Writing on after the end"),
}

MOST_WARNINGS = 50  # characters that are named above a text; in the text every one is


@dataclass(frozen=True, slots=True)
class TextView:
    """A text in one language, with its language's name."""

    language: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """The changes of one clause."""

    title: str
    changes: tuple["ChangeView", ...]


@dataclass(frozen=True, slots=True)
class ChangeView:
    """``sentence`` in the reader's language; ``text``: the two texts compared, or the only one, or ""; ``warnings``: of
    what is new, each once, the first MOST_WARNINGS; ``unnamed``: how many more there are.
    """

    kind: str
    sentence: str
    entrenched: bool
    text: Markup
    warnings: tuple[str, ...]
    unnamed: int


@dataclass(frozen=True, slots=True)
class EditionView:
    """A line of the list. ``state``: in force, frozen, released or nothing special."""

    edition: Edition
    signed_at: datetime
    state: str
    changes: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """An amendment or a release that collects signatures."""

    number: int
    release: bool
    reason: str
    signed: int
    needed: int
    missing: str


def both(texts: Texts, language: str) -> tuple[TextView, ...]:
    """The reader's language first."""
    order = sorted(LANGUAGE_NAMES, key=lambda each: each != language)
    return tuple(TextView(each, LANGUAGE_NAMES[each], texts.in_language(each).strip("\n")) for each in order)


def clause_title(name: str, language: str) -> str:
    return translator(language)(PARTS.get(name) or TITLES[name.partition(".")[0]])


def entrenched_titles(charter: Charter, language: str) -> list[str]:
    """In the order of the charter's own clauses."""
    return [clause_title(name, language) for name in CLAUSES if name in charter.entrenched.clauses]


def change_groups(before: Charter | None, after: Charter, language: str) -> list[Group]:
    """Everything that differs, long texts compared: as much work as one ``Work`` allows."""
    found = changes(before, after)
    groups, work = [], Work()
    for clause in ORDER:
        of_clause = [
            _change(one, language, work, alone=before is None)
            for one in found
            if one.clause.partition(".")[0] == clause
        ]
        if of_clause:
            groups.append(Group(translator(language)(TITLES[clause]), tuple(of_clause)))
    return groups


def _change(found: Change, language: str, work: Work, *, alone: bool) -> ChangeView:
    _ = translator(language)
    odd = warnings_once(found.after)
    told = tuple(dict.fromkeys(_warning(each, language) for each in odd[:MOST_WARNINGS]))
    text = whole(found.after, language, work) if alone else diff(found.before, found.after, language, work)
    unnamed = max(0, len(odd) - MOST_WARNINGS)
    return ChangeView(found.kind, found.text(_), found.entrenched, text, told, unnamed)


def _warning(found: TextWarning, language: str) -> str:
    return translator(language)(found.explanation) % {"name": found.name}


def edition_views(history: History, in_force: int) -> list[EditionView]:
    """Newest first."""
    views = []
    for edition in reversed(history.editions):
        before = history.find_before(edition)
        found = changes(before.charter if before else None, edition.charter)
        state = state_of_edition(history, edition, in_force)
        views.append(EditionView(edition, signed_at(edition), state, len(found) if before else 0))
    return views


def state_of_edition(history: History, edition: Edition, in_force: int) -> str:
    if edition.number == in_force:
        return "in force"
    freeze = history.find_freeze(edition.number)
    return "frozen" if freeze is not None and not freeze.released and edition is history.editions[-1] else ""


def in_flight(lying: tuple[Lying, ...]) -> list[InFlight]:
    found = []
    for each in lying:
        document, status = each.document, each.status
        release = not isinstance(document, Amendment)
        found.append(
            InFlight(
                number=document.edition if not isinstance(document, Amendment) else document.number,
                release=release,
                reason="" if not isinstance(document, Amendment) else document.reason,
                signed=len(status.signed),
                needed=status.needed,
                missing=", ".join(status.missing),
            )
        )
    return found
