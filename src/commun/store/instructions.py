"""What people tell every answer: their own words, sealed to their key, told to the model after the charter's prompt.

- a person's own stand in the vault that is in use; a folder has others, for the conversations in it (``folders.py``);
- switched off, they stay as they were written, and are told to nobody;
- what is told is read when a question is asked, and the receipt of its answer commits to it: a later change changes no
  receipt;
- whether the charter allows it at all (``callers.system_messages``) is the pages' to ask.
"""

import json
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, select, update

from commun.errors import NotFound
from commun.store import rows
from commun.store.database import Database
from commun.store.folders import find_instructions, read_instructions
from commun.store.people import Viewer
from commun.store.schema import conversations, folders, vaults
from commun.store.vault import bind


@dataclass(frozen=True, slots=True)
class OwnInstructions:
    """``used``: whether answers are told them."""

    text: str
    used: bool


NONE_YET: Final = OwnInstructions("", used=True)


class Instructions:
    """Of everybody; each person's opened for that person alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, viewer: Viewer) -> OwnInstructions:
        """Raises VaultLocked."""
        return await self._database.read(lambda connection: _own(connection, viewer))

    async def set(self, viewer: Viewer, text: str, *, used: bool) -> None:
        """Raises InstructionsTooLong, VaultLocked."""
        data = json.dumps({"text": read_instructions(text), "used": used}, ensure_ascii=False).encode(errors="replace")
        sealed = rows.unlocked(viewer).seal(data, _context(viewer))
        change = update(vaults).where(_mine(viewer)).values(instructions=sealed)

        def work(connection: Connection) -> None:
            if not connection.execute(change).rowcount:
                raise NotFound

        await self._database.write(work)
        await self._database.forget()  # what was told before

    async def told(
        self, viewer: Viewer, *, conversation_id: str | None = None, folder_id: str | None = None
    ) -> tuple[str, ...]:
        """What a question is told: the person's own, then those of the folder in which the conversation lies, or of
        ``folder_id`` where it is new; without those that are off or empty. What is not the viewer's tells nothing.
        Raises VaultLocked.
        """
        lies_in = select(conversations.c.folder_id).where(conversations.c.id == conversation_id, rows.owned(viewer))

        def work(connection: Connection) -> tuple[str, ...]:
            own = _own(connection, viewer)
            folder = folder_id if conversation_id is None else connection.execute(lies_in).scalar()
            found = (own.text if own.used else "", find_instructions(connection, viewer, folder))
            return tuple(text for text in found if text)

        return await self._database.read(work)


def erase_all_of(connection: Connection, account_id: str) -> None:
    """Where somebody starts over: what the lost key opened goes, folders with it; conversations lie in none. In a
    transaction; ``Database.forget`` after it.
    """
    connection.execute(update(conversations).where(conversations.c.account_id == account_id).values(folder_id=None))
    connection.execute(delete(folders).where(folders.c.account_id == account_id))
    connection.execute(update(vaults).where(vaults.c.account_id == account_id).values(instructions=None))


def _own(connection: Connection, viewer: Viewer) -> OwnInstructions:
    key = rows.unlocked(viewer)
    sealed = connection.execute(select(vaults.c.instructions).where(_mine(viewer))).scalar()
    if sealed is None:
        return NONE_YET
    found = json.loads(key.open(sealed, _context(viewer)))
    return OwnInstructions(found["text"], used=found["used"])


def _mine(viewer: Viewer) -> ColumnElement[bool]:
    return (vaults.c.id == viewer.vault_id) & (vaults.c.account_id == viewer.account_id)


def _context(viewer: Viewer) -> bytes:
    return bind("vaults", "instructions", viewer.vault_id, viewer.account_id)
