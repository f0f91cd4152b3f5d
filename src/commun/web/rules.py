"""What a chat page takes from the charter in force, and what a person is still to be told of it.

Told once: after an adoption each person gets a notice with what has changed. It stays on every page that is loaded
until the person says so (“Understood”) or asks the next question from a page that shows it: both send the number of
the edition that was shown, so nothing is taken as read that was never on a screen, and what was read does not return.
"""

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from commun.charter.changes import changes
from commun.charter.clauses import PERSONA_NONE, Charter, TemporaryRule
from commun.charter.edition import InForce
from commun.charter.errors import CharterError, OutsideCharter
from commun.charter.words import shown
from commun.errors import NotFound
from commun.store.conversations import Conversation, Summary
from commun.web.adopted import adopted_of
from commun.web.hold import day_of, end_of_hold, find_hold
from commun.web.i18n import LANGUAGES, translator
from commun.web.paper import day, sentence
from commun.web.visit import DAY_S, Visit

MOST_TOLD: Final = 8  # changes in a notice; the edition's page has all


@dataclass(frozen=True, slots=True)
class Persona:
    id: str
    name: str
    about: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Told:
    """``edition``: of which the person is told; ``more``: changes that the notice has no room for. ``anew``: the
    charter has been founded again since.
    """

    edition: int
    sentences: tuple[Markup, ...]
    more: int
    anew: bool


@dataclass(frozen=True, slots=True)
class Rules:
    edition: int
    disclosure: str
    temporary: str
    personas: tuple[Persona, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is answered, in one language."""

    language: str
    title: str
    problem: str
    cure: str
    reading: str


def rules_of(visit: Visit, persona: str | None = None) -> Rules | None:
    """``persona``: the conversation's. None where no charter is in force."""
    in_force = visit.services.charter.find()
    if in_force is None:
        return None
    charter = in_force.charter
    return Rules(
        edition=in_force.edition.number,
        disclosure=shown(charter.disclosure.in_language(visit.language).strip()),
        temporary=charter.temporary.rule.value,
        personas=_personas(charter, persona, visit.language),
    )


def _personas(charter: Charter, chosen: str | None, language: str) -> tuple[Persona, ...]:
    """Plain, and those adopted; none where there is nothing to choose."""
    if not charter.personas:
        return ()
    known = {PERSONA_NONE, *(persona.id for persona in charter.personas)}
    chosen = chosen if chosen in known else charter.prompts.persona
    _ = translator(language)
    plain = Persona(PERSONA_NONE, _("Plain"), _("The system prompt alone."), chosen == PERSONA_NONE)
    named = (
        Persona(
            persona.id,
            shown(persona.name.in_language(language)),
            shown(persona.about.in_language(language)),
            persona.id == chosen,
        )
        for persona in charter.personas
    )
    return (plain, *named)


def is_only_temporary(visit: Visit) -> bool:
    in_force = visit.services.charter.find()
    return in_force is not None and in_force.charter.temporary.rule is TemporaryRule.ONLY


def check_temporary(visit: Visit) -> None:
    """Raises OutsideCharter where the charter has no temporary chats."""
    in_force = visit.services.charter.find()
    if in_force is not None and in_force.charter.temporary.rule is TemporaryRule.NEVER:
        raise OutsideCharter(parameter="temporary", clause="temporary", allowed=TemporaryRule.NEVER.value)


def check_stored(visit: Visit) -> None:
    """Raises OutsideCharter where the charter lets nothing be stored."""
    if is_only_temporary(visit):
        raise OutsideCharter(parameter="store", clause="temporary", allowed=TemporaryRule.ONLY.value)


def end_of(visit: Visit, conversation: Conversation | Summary) -> float | None:
    """When the charter's clause “retention” ends a conversation that does not go on: not before its legal hold does.
    None where it has no end.
    """
    in_force, hold = visit.services.charter.find(), find_hold(visit)
    days = in_force.charter.retention.days if in_force is not None else 0
    if not days:
        return None
    end = max(conversation.updated, conversation.imported or 0.0) + days * DAY_S
    return end if hold is None else max(end, end_of_hold(hold))


def why_nothing_is_answered(error: CharterError) -> list[Refusal]:
    """In both languages: whoever runs this may read another one than whoever asks."""
    found = []
    for language in LANGUAGES:
        _ = translator(language)
        found.append(
            Refusal(
                language=language,
                title=_("No charter is in force: nothing is answered"),
                problem=error.problem_text(_),
                cure=error.cure_text(_),
                reading=_("Conversations that are stored can still be read, exported and deleted."),
            )
        )
    return found


async def told_of(visit: Visit) -> Told | None:
    """What the signed-in person is to be told on this page. Who was never told of any edition hears of later ones only;
    that is written down here.
    """
    in_force, viewer = visit.services.charter.find(), visit.viewer
    if in_force is None or viewer is None:
        return None
    edition, told = in_force.edition, viewer.told_edition
    if told is None:
        await visit.services.accounts.set_told_edition(viewer, edition.number)
        return None
    if told > in_force.newest.number:
        return Told(edition.number, (), 0, anew=True)
    if told >= edition.number:
        return None
    sentences = await _changes_since(visit, told, in_force)
    return Told(edition.number, sentences[:MOST_TOLD], max(0, len(sentences) - MOST_TOLD), anew=False)


async def _changes_since(visit: Visit, told: int, in_force: InForce) -> tuple[Markup, ...]:
    """What differs between then and now: what was changed and changed back meanwhile is no news. Nothing where the
    history does not hold: its page says so.
    """
    try:
        before = (await adopted_of(visit.request).history()).get(told)
    except (CharterError, NotFound):
        return ()
    found = changes(before.charter, in_force.charter)
    return tuple(sentence(each) for each in dict.fromkeys(one.text(visit.translate) for one in found))


async def take_as_told(visit: Visit, edition: str) -> None:
    """``edition``: the number that the page showed, as it came back. Never backwards, except in a charter that was
    founded anew, and never beyond what is adopted.
    """
    in_force, viewer = visit.services.charter.find(), visit.viewer
    if in_force is None or viewer is None or not (edition.isascii() and edition.isdigit() and len(edition) < 10):  # noqa: PLR2004
        return
    number, newest, told = int(edition), in_force.newest.number, viewer.told_edition
    if 1 <= number <= newest and (told is None or number > told or told > newest):
        await visit.services.accounts.set_told_edition(viewer, number)


@dataclass(frozen=True, slots=True)
class State:
    """What every page says of the charter: a small line each, or nothing."""

    frozen: str
    stale: str
    held: str


def state_of(visit: Visit) -> State:
    services = visit.services
    in_force = services.charter.find() if services is not None else None
    if in_force is None:
        return State("", "", "")
    _ = visit.translate
    frozen = stale = held = ""
    if in_force.freeze is not None:
        frozen = _(
            "Edition %(newest)s of the charter is frozen: edition %(edition)s answers until the board decides."
        ) % {
            "newest": in_force.freeze.edition,
            "edition": in_force.edition.number,
        }
    if in_force.stale_since is not None:
        stale = _("The charter is stale since %(day)s: the board’s mandate has ended.") % {
            "day": day(in_force.stale_since, visit.language)
        }
    if (hold := find_hold(visit)) is not None:
        held = _("Legal hold: until %(day)s no stored conversation is erased.") % {"day": day_of(hold, visit.language)}
    return State(frozen, stale, held)
