"""Folders: conversations that belong together, under a name, and with instructions of their own if wished.

- a folder is its owner's alone; name and instructions are sealed to the owner's key, bound to the folder's row. What
  belongs to somebody else, or was sealed with an older key pair, is NotFound;
- in which folder a conversation lies is in clear, so that the database finds it without opening each one;
- a conversation lies in one folder or in none; a folder that goes leaves its conversations in none, in the same
  transaction, unless its owner deletes them with it: then they go as any conversation does, and come back as one does;
- nothing of a folder is told to anybody to whom one of its conversations is shown.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from commun.errors import N_, BadRequest, NotFound, Refused
from commun.store import rows
from commun.store.audit_samples import erase_of_conversation
from commun.store.database import Database
from commun.store.people import Viewer
from commun.store.schema import conversations, folders
from commun.store.search import fold
from commun.store.tree import new_id
from commun.store.vault import bind

MAX_INSTRUCTIONS: Final = 1500  # characters, of a person's own and of a folder's each
MAX_NAME: Final = 100  # characters; what is longer is cut
MAX_FOLDERS: Final = 100  # of one person: all of them stand in the sidebar of each page


class InstructionsTooLong(BadRequest):
    """``details``: ``limit``."""

    code = "instructions_too_long"
    problem = N_("Instructions may have %(limit)s characters at most.")
    cure = N_("Shorten them.")


class TooManyFolders(Refused):
    code = "too_many_folders"
    problem = N_("You have as many folders as there can be.")
    cure = N_("Delete one first.")


@dataclass(frozen=True, slots=True)
class Folder:
    """``instructions``: "" for none. ``conversations``: how many lie in it. ``created``: seconds since 1970."""

    id: str
    name: str
    instructions: str
    created: float
    conversations: int


class Folders:
    """All folders of everybody. ``now``: seconds since 1970."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    async def list(self, viewer: Viewer) -> list[Folder]:
        """By name. Raises VaultLocked."""
        rows.unlocked(viewer)
        counted = (
            select(conversations.c.folder_id, func.count())
            .where(rows.owned(viewer), conversations.c.folder_id.is_not(None))
            .group_by(conversations.c.folder_id)
        )

        def work(connection: Connection) -> list[Folder]:
            found = connection.execute(select(folders).where(_owned(viewer))).all()
            counts = {row[0]: row[1] for row in connection.execute(counted)} if found else {}
            return [_opened(viewer, row, counts.get(row.id, 0)) for row in found]

        return sorted(await self._database.read(work), key=lambda each: (fold(each.name), each.created))

    async def get(self, viewer: Viewer, folder_id: str) -> Folder:
        """Raises NotFound, VaultLocked."""
        rows.unlocked(viewer)
        inside = select(func.count()).where(rows.owned(viewer), conversations.c.folder_id == folder_id)

        def work(connection: Connection) -> Folder:
            row = get_owned(connection, viewer, folder_id)
            return _opened(viewer, row, connection.execute(inside).scalar_one())

        return await self._database.read(work)

    async def add(self, viewer: Viewer, name: str) -> str:
        """A new one; its id. Raises TooManyFolders, VaultLocked."""
        rows.unlocked(viewer)
        return await self._database.write(lambda connection: add(connection, viewer, name, now=self._now()))

    async def change(self, viewer: Viewer, folder_id: str, *, name: str, instructions: str) -> None:
        """Raises NotFound, VaultLocked, InstructionsTooLong."""
        plain = read_instructions(instructions)
        values = {"name": _sealed(viewer, "name", folder_id, name[:MAX_NAME]), "instructions": None}
        if plain:
            values["instructions"] = _sealed(viewer, "instructions", folder_id, plain)

        def work(connection: Connection) -> None:
            get_owned(connection, viewer, folder_id)
            connection.execute(update(folders).where(folders.c.id == folder_id).values(values))

        await self._database.write(work)
        await self._database.forget()  # what was told before

    async def delete(self, viewer: Viewer, folder_id: str, *, conversations_too: bool) -> None:
        """Raises NotFound. ``conversations_too``: those in it are deleted with it, as ``Conversations.delete`` does."""
        inside = rows.owned(viewer) & (conversations.c.folder_id == folder_id)

        def work(connection: Connection) -> None:
            get_owned(connection, viewer, folder_id)
            if conversations_too:
                for conversation_id in connection.execute(select(conversations.c.id).where(inside)).scalars().all():
                    rows.change(connection, conversation_id, deleted=self._now())
                    erase_of_conversation(connection, conversation_id)
            left = update(conversations).where(conversations.c.folder_id == folder_id)
            connection.execute(left.values(folder_id=None))
            connection.execute(delete(folders).where(folders.c.id == folder_id))

        await self._database.write(work)
        await self._database.forget()

    async def move(self, viewer: Viewer, conversation_id: str, folder_id: str | None) -> None:
        """Into a folder; None: out of any. Raises NotFound for either."""

        def work(connection: Connection) -> None:
            rows.get_owned(connection, viewer, conversation_id)
            if folder_id is not None:
                get_owned(connection, viewer, folder_id)
            rows.change(connection, conversation_id, folder_id=folder_id)

        await self._database.write(work)

    async def move_to_new(self, viewer: Viewer, conversation_id: str, name: str) -> str:
        """Into a folder that is made for it; its id. Raises NotFound, TooManyFolders, VaultLocked."""
        rows.unlocked(viewer)

        def work(connection: Connection) -> str:
            rows.get_owned(connection, viewer, conversation_id)
            folder_id = add(connection, viewer, name, now=self._now())
            rows.change(connection, conversation_id, folder_id=folder_id)
            return folder_id

        return await self._database.write(work)


def get_owned(connection: Connection, viewer: Viewer, folder_id: str) -> Row[Any]:
    """The folder's row. Raises NotFound."""
    row = connection.execute(select(folders).where(folders.c.id == folder_id, _owned(viewer))).first()
    if row is None:
        raise NotFound
    return row


def add(
    connection: Connection,
    viewer: Viewer,
    name: str,
    *,
    now: float,
    folder_id: str | None = None,
    instructions: str = "",
) -> str:
    """Raises TooManyFolders, VaultLocked."""
    count = select(func.count()).select_from(folders).where(_owned(viewer))
    if connection.execute(count).scalar_one() >= MAX_FOLDERS:
        raise TooManyFolders
    folder_id = folder_id or new_id()
    row = {
        "id": folder_id,
        "account_id": viewer.account_id,
        "vault_id": viewer.vault_id,
        "name": _sealed(viewer, "name", folder_id, name[:MAX_NAME]),
        "instructions": _sealed(viewer, "instructions", folder_id, instructions) if instructions else None,
        "created": now,
    }
    connection.execute(insert(folders), row)
    return folder_id


@dataclass(frozen=True, slots=True)
class Wanted:
    """A folder for what is brought in, by its ``name``. Or one of which nobody knows the name: ``mark`` is made of what
    it is called elsewhere (``AccountKey.mark``), and becomes its id, so that it is found again however its owner calls
    it; ``called`` gives its name by a number. ``instructions``: of one that is made for it.
    """

    name: str = ""
    mark: bytes = b""
    called: Callable[[int], str] = str
    instructions: str = ""


def find_or_add(connection: Connection, viewer: Viewer, wanted: Wanted, *, now: float) -> tuple[str | None, bool]:
    """The folder, and whether it was made; none where none is wanted, or where there is no room for more."""
    if not wanted.name and not wanted.mark:
        return None, False
    every = select(folders).where(_owned(viewer)).order_by(folders.c.created)
    named: dict[str, str] = {}
    marked = f"c{wanted.mark.hex()[:24]}" if wanted.mark else None
    for row in connection.execute(every):
        if row.id == marked:
            return str(row.id), False
        named.setdefault(_name(viewer, row), str(row.id))
    name = wanted.name[:MAX_NAME]
    if marked is None and name in named:
        return named[name], False
    if marked is not None:
        numbered = (wanted.called(number)[:MAX_NAME] for number in range(1, len(named) + 2))
        name = next((one for one in numbered if one not in named), wanted.called(0)[:MAX_NAME])
    try:
        told = as_told(wanted.instructions)
        made = add(connection, viewer, name, now=now, folder_id=marked, instructions=told)
    except TooManyFolders:
        return None, False
    return made, True


def names_of(connection: Connection, viewer: Viewer) -> list[str]:
    """Of all the viewer's. Raises VaultLocked."""
    return [_name(viewer, row) for row in connection.execute(select(folders).where(_owned(viewer)))]


def as_told(instructions: str) -> str:
    """As they are kept, of whatever length a file has them."""
    return instructions.replace("\r\n", "\n").strip()[:MAX_INSTRUCTIONS]


def find_instructions(connection: Connection, viewer: Viewer, folder_id: str | None) -> str:
    """What the folder tells its answers; "" where it tells nothing, is none, or is not the viewer's."""
    if folder_id is None:
        return ""
    row = connection.execute(select(folders).where(folders.c.id == folder_id, _owned(viewer))).first()
    return "" if row is None else _instructions(viewer, row)


def read_instructions(text: str) -> str:
    """As they are kept: newlines as one character, nothing around them. Raises InstructionsTooLong."""
    plain = text.replace("\r\n", "\n").strip()
    if len(plain) > MAX_INSTRUCTIONS:
        raise InstructionsTooLong(limit=MAX_INSTRUCTIONS)
    return plain


def _owned(viewer: Viewer) -> ColumnElement[bool]:
    return (folders.c.account_id == viewer.account_id) & (folders.c.vault_id == viewer.vault_id)


def _opened(viewer: Viewer, row: Row[Any], count: int) -> Folder:
    return Folder(row.id, _name(viewer, row), _instructions(viewer, row), row.created, count)


def _name(viewer: Viewer, row: Row[Any]) -> str:
    return rows.unlocked(viewer).open(row.name, _context(viewer, "name", row.id)).decode()


def _instructions(viewer: Viewer, row: Row[Any]) -> str:
    if row.instructions is None:
        return ""
    return rows.unlocked(viewer).open(row.instructions, _context(viewer, "instructions", row.id)).decode()


def _sealed(viewer: Viewer, column: str, folder_id: str, text: str) -> bytes:
    return rows.unlocked(viewer).seal(text.encode(errors="replace"), _context(viewer, column, folder_id))


def _context(viewer: Viewer, column: str, folder_id: str) -> bytes:
    return bind("folders", column, folder_id, viewer.account_id, viewer.vault_id)
