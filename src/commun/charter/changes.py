"""What differs between two charters, clause by clause, in plain language: what a member reads before signing and what
everybody is told afterwards.

Rules:

- complete: charters that differ have at least one change; each difference of each field is said, with its new value;
  what nobody has written a sentence for is said as "the clause has changed", with both values in full;
- true: every change names a clause that differs; equal charters have none;
- two different proposals on the same charter never read the same;
- in the order in which a reader expects the clauses (ORDER), not in that of the file;
- a change is called entrenched when its clause was, by its own name or as a part of one that was, in the charter
  *before*; a change of the list of entrenched clauses or of the guards, and a guard's new key, are, too;
- without a charter before it, all of the first one is new, and all of it is listed.

It decides nothing: whether signatures suffice is for ``entrenchment.py`` and ``loader.py``, by digests.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from commun.charter import changed_conduct, changed_models, changed_people
from commun.charter.clauses import CLAUSES, Allowed, Charter, Entrenched
from commun.charter.differences import Change, Found, change, sheet, unsaid
from commun.errors import N_

__all__ = ["ORDER", "TITLES", "Change", "changes"]

ORDER: Final[dict[str, Callable[[Any, Any], Found]]] = {
    "name": changed_people.name,
    "purpose": changed_people.purpose,
    "board": changed_people.board,
    "entrenched": changed_people.entrenched,
    "mandate": changed_people.mandate,
    "prompts": changed_people.prompts,
    "personas": changed_people.personas,
    "models": changed_models.models,
    "sampling": changed_conduct.sampling,
    "context": changed_conduct.context,
    "callers": changed_conduct.callers,
    "retention": changed_conduct.retention,
    "temporary": changed_conduct.temporary,
    "audit": changed_conduct.audit,
    "disclosure": changed_people.disclosure,
    "sources": changed_conduct.sources,
    "tools": changed_conduct.tools,
    "software": changed_conduct.software,
    "witnesses": changed_conduct.witnesses,
}

# What people call the clauses, for headings.
TITLES: Final = {
    "name": N_("Name"),
    "purpose": N_("Purpose"),
    "board": N_("Board"),
    "entrenched": N_("Entrenched clauses"),
    "mandate": N_("Mandate"),
    "prompts": N_("System prompt"),
    "personas": N_("Personas"),
    "models": N_("Models"),
    "sampling": N_("How answers are drawn"),
    "context": N_("What is taken into account"),
    "callers": N_("What people and programs may ask for"),
    "retention": N_("How long conversations are kept"),
    "temporary": N_("Temporary conversations"),
    "audit": N_("Audits by others"),
    "disclosure": N_("What people are told"),
    "sources": N_("Sources"),
    "tools": N_("Tools"),
    "software": N_("Software"),
    "witnesses": N_("Witnesses"),
}

_FIRST = N_("This is the first edition of the charter “%(name)s”: all of it is new.")
_LAID_DOWN = N_("The clause “%(name)s” is laid down for the first time.")


def changes(before: Charter | None, after: Charter) -> tuple[Change, ...]:
    """All that a step from ``before`` to ``after`` changes; ``before`` None: ``after`` is the first charter."""
    if before is None:
        return tuple(_first(after))
    return tuple(replace(found, entrenched=_is_entrenched(before, after, found)) for found in _all(before, after))


def _all(before: Charter, after: Charter) -> Iterator[Change]:
    for clause, compare in ORDER.items():
        old, new = getattr(before, clause), getattr(after, clause)
        if old == new:
            continue
        found = tuple(compare(old, new))
        yield from found or (unsaid("board.members" if clause == "board" else clause, old, new),)


def _is_entrenched(before: Charter, after: Charter, found: Change) -> bool:
    if found.clause == "entrenched":
        return bool(before.entrenched.guards)
    whole, _, _ = found.clause.partition(".")
    if not {found.clause, whole}.isdisjoint(before.entrenched.clauses):
        return True
    # The guards are bound by their keys.
    guard = dict(found.details).get("name") in before.entrenched.guards
    return found.clause == "board.members" and guard and _guard_keys(before) != _guard_keys(after)


def _guard_keys(charter: Charter) -> set[str]:
    return {member.key for member in charter.board.members if member.name in charter.entrenched.guards}


def _first(charter: Charter) -> Iterator[Change]:
    """The first edition: what can be added one by one is said so, every other clause is given as it stands."""
    nothing = replace(
        charter,
        board=replace(charter.board, members=()),
        entrenched=Entrenched((), ()),
        personas=(),
        models=replace(charter.models, adopted=()),
        sources=Allowed(()),
        tools=Allowed(()),
    )
    found = [change("name", _FIRST, "added", name=charter.name), *_all(nothing, charter), *_laid_down(charter)]
    place = {clause: number for number, clause in enumerate(ORDER)}
    yield from sorted(found, key=lambda one: place[one.clause.partition(".")[0]])


def _laid_down(charter: Charter) -> Iterator[Change]:
    settings = (
        "sampling",
        "context",
        "callers",
        "retention",
        "temporary",
        "audit",
        "disclosure",
        "software",
        "witnesses",
    )
    values: dict[str, object] = {
        "board.quorum": charter.board.quorum,
        "models": {"default": charter.models.default},
        **{name: CLAUSES[name](charter) for name in ("purpose", "mandate", "prompts", *settings)},
    }
    for name, value in values.items():
        yield change(name, _LAID_DOWN, "added", ("", sheet(value)), name=name)
