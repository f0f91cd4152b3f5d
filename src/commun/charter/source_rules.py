"""What no single value of ``charter.toml`` shows: whether its parts fit together.

Rules:

- the quorum is at most the number of members; no two members share a name (capitals and look-alike forms of the same
  letter apart) or a key; every key is one that a board may have (``keys.py``);
- guards are members, and where a clause is entrenched somebody guards it;
- "prompts" is not entrenched without "personas" where there are any: a persona's text stands in the same prompt, and
  that of the persona that answers by default in everybody's. (A first persona cannot be added later without the guards,
  either: then the list of clauses has to change.)
- each default lies between its least and most; an answer's reserve is smaller than the context;
- a legal hold ends with the board's mandate at the latest: whom nobody has elected keeps nothing from being erased;
- the persona and the model that answer by default exist; persona ids are different, and none is "system";
- the range of versions is not empty.
"""

import unicodedata
from collections.abc import Collection, Iterable
from typing import Final

from commun.charter.errors import BadKey
from commun.charter.source_mistakes import (
    BAD_KEY,
    DEFAULT_OUTSIDE,
    HOLD_BEYOND_MANDATE,
    NO_GUARDS,
    NO_MODELS,
    NO_SUCH_MEMBER,
    NO_SUCH_MODEL,
    NO_SUCH_PERSONA,
    PROMPTS_WITHOUT_PERSONAS,
    QUORUM_ABOVE_BOARD,
    RESERVE_TOO_LARGE,
    RESERVED_ID,
    SAME_KEY,
    SAME_NAME,
    TWICE,
    VERSIONS_CROSSED,
)
from commun.charter.source_values import Document

SYSTEM: Final = "system"  # the prompt that every persona is added to


def check_rules(document: Document, *, models: Collection[str]) -> None:
    """``models``: the ids that ``models/`` adopts."""
    _check_board(document)
    _check_entrenched(document)
    _check_personas(document)
    _check_sampling(document)
    _check_models(document, models)
    reserve, most = document.find("context", "answer_reserve"), document.find("context", "most_tokens")
    if reserve is not None and most is not None and reserve >= most:
        document.add(RESERVE_TOO_LARGE, ("context", "answer_reserve"))
    until, held = document.find("mandate", "until"), document.find("retention", "hold_until")
    if until is not None and held is not None and held > until:
        document.add(HOLD_BEYOND_MANDATE, ("retention", "hold_until"), until=until.isoformat())
    least, below = document.find("software", "least"), document.find("software", "below")
    if least is not None and below is not None and version_numbers(least) >= version_numbers(below):
        document.add(VERSIONS_CROSSED, ("software", "below"))


def version_numbers(version: str) -> tuple[int, ...]:
    """For comparing: ``1.0`` and ``1`` are the same version."""
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _check_board(document: Document) -> None:
    members = document.find("board", "members")
    quorum = document.find("board", "quorum")
    if members is None:
        return
    if quorum is not None and quorum > len(members):
        document.add(QUORUM_ABOVE_BOARD, ("board", "quorum"), quorum=quorum, members=len(members))
    names: set[str] = set()
    keys: set[str] = set()
    for number, member in enumerate(members):
        here = ("board", "members", number)
        name, key = member.get("name"), member.get("key")
        if name is not None and _folded(name) in names:
            document.add(SAME_NAME, (*here, "name"), value=name)
        names.add(_folded(name or ""))
        if key is None:
            continue
        if key in keys:
            document.add(SAME_KEY, (*here, "key"), value=name or key)
        elif fault := _find_fault_of_key(key):
            document.add(BAD_KEY, (*here, "key"), reason=fault)
        keys.add(key)


def _find_fault_of_key(text: str) -> str | None:
    from commun.charter.keys import key_from_text  # reads tuf and cryptography, which the rest here does not need

    try:
        key_from_text(text)
    except BadKey as error:
        return str(error.details["reason"])
    return None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _check_entrenched(document: Document) -> None:
    clauses, guards = document.find("entrenched", "clauses"), document.find("entrenched", "guards")
    members = document.find("board", "members")
    if clauses and guards == ():
        document.add(NO_GUARDS, ("entrenched", "guards"))
    if document.find("personas") and "prompts" in (clauses or ()) and "personas" not in clauses:
        document.add(PROMPTS_WITHOUT_PERSONAS, ("entrenched", "clauses"))
    if members is None:
        return
    names = [str(member["name"]) for member in members if "name" in member]
    for number, guard in enumerate(guards or ()):
        if guard is not None and guard not in names:
            document.add(NO_SUCH_MEMBER, ("entrenched", "guards", number), value=guard, choices=_listed(names))


def _check_personas(document: Document) -> None:
    personas = document.find("personas") or ()
    ids: set[str] = set()
    for number, persona in enumerate(personas):
        persona_id = persona.get("id")
        if persona_id == SYSTEM:
            document.add(RESERVED_ID, ("personas", number, "id"), value=SYSTEM)
        elif persona_id in ids:
            document.add(TWICE, ("personas", number, "id"), value=persona_id)
        elif persona_id is not None:
            ids.add(persona_id)
    chosen = document.find("prompts", "persona")
    if chosen and chosen not in ids:
        document.add(NO_SUCH_PERSONA, ("prompts", "persona"), value=chosen, choices=_listed(sorted(ids)))


def _check_sampling(document: Document) -> None:
    for name in ("temperature", "top_p", "max_tokens"):
        here = ("sampling", name)
        default, least, most = (document.find(*here, part) for part in ("default", "least", "most"))
        if None not in (default, least, most) and not least <= default <= most:
            document.add(DEFAULT_OUTSIDE, (*here, "default"), key=f"sampling.{name}.default")


def _check_models(document: Document, models: Collection[str]) -> None:
    default = document.find("models", "default")
    if not models:
        document.add(NO_MODELS, ("models",))
    elif default is not None and default not in models:
        document.add(NO_SUCH_MODEL, ("models", "default"), value=default, choices=_listed(sorted(models)))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"“{name}”" for name in names) or "“”"
