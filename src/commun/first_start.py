"""The first start: a Commun without a charter gets one, whose board is the person who starts it. Said plainly, once.

- only where there is none at all: a charter that is damaged, or trusted here while its files are gone, stays refused;
- the key is on the disk, sealed with a passphrase that is shown this once and kept nowhere.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from commun.assistant.in_force import CharterInForce, utc_now
from commun.charter.errors import NoCharter
from commun.errors import N_

OWNER = N_("This Commun now has a charter: the rules that its assistant runs under. Its board is one person, you.")
KEY = N_("Your key: %(path)s")
PASSPHRASE = N_("Its passphrase, shown this once; write it down: %(passphrase)s")
POWER = N_("Whoever holds this key and its passphrase can change this assistant.")
INVITE = N_("So that nobody can do so alone, invite a board: commun charter board invite NAME")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FirstCharter:
    """What the founder must be told."""

    key_file: Path
    passphrase: str


async def found_where_none_is(charter: CharterInForce, home: Path) -> FirstCharter | None:
    """Looks for the charter, and founds one where there is none. Raises what keeps it from being written."""
    await charter.refresh()
    if not isinstance(charter.error, NoCharter):
        return None
    from commun.charter.keys import suggest_passphrase
    from commun.drafting.founding import AlreadyFounded, found

    passphrase = suggest_passphrase()
    try:
        founded = await asyncio.to_thread(found, home, now=utc_now(), passphrase=passphrase)
    except AlreadyFounded as error:
        log.error("no charter is founded", problem=error.text())  # noqa: TRY400  (no traceback: it says what to do)
        return None
    await charter.refresh()
    return FirstCharter(founded.key_file, passphrase)


def founding_note(first: FirstCharter, translate: Callable[[str], str]) -> str:
    """For the terminal, in the reader's language."""
    lines = (
        translate(OWNER),
        "",
        "    " + translate(KEY) % {"path": first.key_file},
        "    " + translate(PASSPHRASE) % {"passphrase": first.passphrase},
        "",
        translate(POWER),
        translate(INVITE),
    )
    return "\n".join(lines)
