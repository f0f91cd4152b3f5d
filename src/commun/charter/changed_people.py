"""Board, entrenchment, mandate, prompts, personas and texts: the differences (rules: ``changes.py``)."""

from commun.charter.clauses import PERSONA_NONE, Board, Entrenched, Mandate, Persona, Prompts, Texts
from commun.charter.differences import (
    Change,
    Found,
    Kind,
    by_key,
    change,
    from_to,
    in_both_languages,
    listed,
    sheet,
    unsaid,
    up_or_down,
)
from commun.errors import N_

_NAME = N_("This charter is now called “%(after)s” (so far: “%(before)s”).")
_PURPOSE_EN = N_("The purpose has another wording in English.")
_PURPOSE_FR = N_("The purpose has another wording in French.")
_MANDATE_LONGER = N_("The mandate is extended: it ends on %(after)s instead of %(before)s.")
_MANDATE_SHORTER = N_("The mandate is shortened: it ends on %(after)s instead of %(before)s.")

_JOINS = N_("%(name)s joins the board, with the key %(key)s.")
_LEAVES = N_("%(name)s leaves the board; the key %(key)s no longer counts.")
_NEW_KEY = N_("%(name)s now signs with another key: %(after)s instead of %(before)s.")
_RENAMED = N_("The member of the board who was called “%(before)s” is now called “%(after)s”, with the same key.")
_MEMBERS_ORDER = N_("The members of the board are listed in another order.")
_QUORUM_ONE = N_(
    "A single member of the board can now change this charter alone: an amendment needs %(after)s signature instead of "
    "%(before)s."
)
_QUORUM_LOWER = N_(
    "It takes fewer members to change this charter: an amendment needs %(after)s signatures instead of %(before)s."
)
_QUORUM_HIGHER = N_(
    "It takes more members to change this charter: an amendment needs %(after)s signatures instead of %(before)s."
)

_ENTRENCHED = N_("The clause “%(name)s” is now entrenched: only all its guards together can change it.")
_FREED = N_("The clause “%(name)s” is no longer entrenched: a quorum can change it like any other.")
_CLAUSES_ORDER = N_("The entrenched clauses are listed in another order.")
_GUARDS = N_("%(name)s is now a guard of the entrenched clauses: they cannot change without this signature.")
_GUARDS_NO_MORE = N_("%(name)s is no longer a guard of the entrenched clauses: they can change without this signature.")
_GUARDS_ORDER = N_("The guards of the entrenched clauses are listed in another order.")

_SPEAKS_ENGLISH = N_("Where nobody has chosen a language, the assistant is now instructed in English.")
_SPEAKS_FRENCH = N_("Where nobody has chosen a language, the assistant is now instructed in French.")
_PERSONA_SET = N_("Where nobody has chosen a persona, “%(after)s” now answers.")
_PERSONA_UNSET = N_("Where nobody has chosen a persona, the assistant now answers without one (so far: “%(before)s”).")
_PERSONA_OTHER = N_("Where nobody has chosen a persona, “%(after)s” now answers instead of “%(before)s”.")
_SYSTEM_EN = N_(
    "The system prompt, the instructions that stand before every conversation, has another wording in English."
)
_SYSTEM_FR = N_(
    "The system prompt, the instructions that stand before every conversation, has another wording in French."
)

_PERSONA_ADDED = N_("The assistant may now answer as the persona “%(id)s”.")
_PERSONA_GONE = N_("The assistant may no longer answer as the persona “%(id)s”.")
_PERSONAS_ORDER = N_("The personas are listed in another order.")
_NAME_EN = N_("The persona “%(id)s” has another name in English.")
_NAME_FR = N_("The persona “%(id)s” has another name in French.")
_ABOUT_EN = N_("The persona “%(id)s” is introduced in other words in English.")
_ABOUT_FR = N_("The persona “%(id)s” is introduced in other words in French.")
_PROMPT_EN = N_("The instructions of the persona “%(id)s” have another wording in English.")
_PROMPT_FR = N_("The instructions of the persona “%(id)s” have another wording in French.")

_DISCLOSURE_EN = N_("What people are told about talking with a machine has another wording in English.")
_DISCLOSURE_FR = N_("What people are told about talking with a machine has another wording in French.")


def name(before: str, after: str) -> Found:
    yield from from_to("name", before, after, _NAME)


def purpose(before: Texts, after: Texts) -> Found:
    yield from in_both_languages("purpose", before, after, _PURPOSE_EN, _PURPOSE_FR)


def mandate(before: Mandate, after: Mandate) -> Found:
    longer_or_shorter = up_or_down(_MANDATE_LONGER, _MANDATE_SHORTER)
    yield from from_to("mandate", before.until, after.until, longer_or_shorter)


def board(before: Board, after: Board) -> Found:
    yield from _members(before, after)
    yield from from_to("board.quorum", before.quorum, after.quorum, _quorum)


def _quorum(before: int, after: int) -> str:
    if after > before:
        return _QUORUM_HIGHER
    return _QUORUM_ONE if after == 1 else _QUORUM_LOWER


def _members(before: Board, after: Board) -> Found:
    found = by_key(before.members, after.members, lambda member: member.name)
    keys = by_key(before.members, after.members, lambda member: member.key)
    if found is None or keys is None:
        if before.members != after.members:
            yield unsaid("board.members", before.members, after.members)
        return
    old, new = found
    # Whoever goes and whoever comes with the same key is one person, under another name.
    renamed = {
        member.name: keys[1][member.key].name
        for member in before.members
        if member.name not in new and member.key in keys[1] and keys[1][member.key].name not in old
    }

    def say(called: str, kind: Kind) -> Change:
        member = (old if kind == "removed" else new)[called]
        return change("board.members", _JOINS if kind == "added" else _LEAVES, kind, name=called, key=member.key)

    for was, now in renamed.items():
        yield from from_to("board.members", was, now, _RENAMED)
    yield from listed("board.members", [renamed.get(called, called) for called in old], new, say, _MEMBERS_ORDER)
    for called in new:
        if called in old:
            yield from from_to("board.members", old[called].key, new[called].key, _NEW_KEY, name=called)


def entrenched(before: Entrenched, after: Entrenched) -> Found:
    def say_clause(clause: str, kind: Kind) -> Change:
        return change("entrenched", _ENTRENCHED if kind == "added" else _FREED, kind, name=clause)

    def say_guard(member: str, kind: Kind) -> Change:
        return change("entrenched", _GUARDS if kind == "added" else _GUARDS_NO_MORE, kind, name=member)

    yield from listed("entrenched", before.clauses, after.clauses, say_clause, _CLAUSES_ORDER)
    yield from listed("entrenched", before.guards, after.guards, say_guard, _GUARDS_ORDER)


def prompts(before: Prompts, after: Prompts) -> Found:
    yield from in_both_languages("prompts", before.system, after.system, _SYSTEM_EN, _SYSTEM_FR)
    if before.language != after.language:
        yield change("prompts", _SPEAKS_FRENCH if after.language == "fr" else _SPEAKS_ENGLISH)
    yield from from_to("prompts", before.persona, after.persona, _default_persona)


def _default_persona(before: str, after: str) -> str:
    if after == PERSONA_NONE:
        return _PERSONA_UNSET
    return _PERSONA_SET if before == PERSONA_NONE else _PERSONA_OTHER


def personas(before: tuple[Persona, ...], after: tuple[Persona, ...]) -> Found:
    found = by_key(before, after, lambda persona: persona.id)
    if found is None:
        if before != after:
            yield unsaid("personas", before, after)
        return
    old, new = found

    def say(called: str, kind: Kind) -> Change:
        if kind == "added":
            return change("personas", _PERSONA_ADDED, kind, ("", sheet(new[called])), id=called)
        return change("personas", _PERSONA_GONE, kind, (sheet(old[called]), ""), id=called)

    yield from listed("personas", old, new, say, _PERSONAS_ORDER)
    for called, persona in new.items():
        if called in old:
            was = old[called]
            yield from in_both_languages("personas", was.name, persona.name, _NAME_EN, _NAME_FR, id=called)
            yield from in_both_languages("personas", was.about, persona.about, _ABOUT_EN, _ABOUT_FR, id=called)
            yield from in_both_languages("personas", was.prompt, persona.prompt, _PROMPT_EN, _PROMPT_FR, id=called)


def disclosure(before: Texts, after: Texts) -> Found:
    yield from in_both_languages("disclosure", before, after, _DISCLOSURE_EN, _DISCLOSURE_FR)
