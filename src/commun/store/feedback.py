"""What people say of single answers, for themselves: a thumb, reasons and a remark, which stay in the vault.

- sealed twice: by its owner, then under the conversation's key. So it goes with that key, and whoever is given the key
  to read the conversation cannot open what its owner thought of it;
- what is sealed is always PLAIN_BYTES long: neither the direction of a thumb nor whether there is a remark shows. That
  somebody said something of an answer does;
- it is read for its owner's pages and exports, and for what its owner sends (``sent.py``). No answer depends on it;
- it goes with its message, its conversation and its account; taken back, it is overwritten, in the write-ahead log too.

What belongs to somebody else, is deleted or does not exist is NotFound. Raises VaultLocked, VaultError.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, select
from sqlalchemy.dialects.sqlite import insert

from commun.errors import Conflict, NotFound
from commun.store import rows
from commun.store.database import Database
from commun.store.people import Viewer
from commun.store.schema import feedback
from commun.store.tree import MessageState
from commun.store.vault import ConversationKey, bind

MAX_REMARK: Final = 1_000  # characters
PLAIN_BYTES: Final = 4_608  # the longest remark, four bytes a character, and all the reasons


class Thumb(StrEnum):
    """Which way. ``NONE``: reasons or a remark alone."""

    NONE = ""
    UP = "up"
    DOWN = "down"


class Reason(StrEnum):
    UNTRUE = "untrue"
    DISOBEYED = "disobeyed"
    LANGUAGE = "language"
    HARMFUL = "harmful"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Opinion:
    """``reasons``: in the order of Reason. ``remark``: plain text, at most MAX_REMARK characters."""

    thumb: Thumb = Thumb.NONE
    reasons: tuple[Reason, ...] = ()
    remark: str = ""

    def __bool__(self) -> bool:
        return bool(self.thumb or self.reasons or self.remark)

    def to_json(self) -> dict[str, Any]:
        return {"thumb": self.thumb.value, "reasons": [each.value for each in self.reasons], "remark": self.remark}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Opinion":
        """What ``to_json`` gave."""
        return cls(Thumb(value["thumb"]), tuple(map(Reason, value["reasons"])), value["remark"])

    @classmethod
    def of_stranger(cls, value: object) -> "Opinion":
        """As much of it as some file says; what is of another form says nothing."""
        if not isinstance(value, Mapping):
            return cls()
        thumb, remark = value.get("thumb"), value.get("remark")
        told = value.get("reasons")
        reasons = tuple(each for each in Reason if isinstance(told, list) and each.value in told)
        kept = Thumb(thumb) if isinstance(thumb, str) and thumb in set(Thumb) else Thumb.NONE
        return cls(kept, reasons, plain_remark(remark) if isinstance(remark, str) else "")


NOTHING: Final = Opinion()


def plain_remark(text: str) -> str:
    """One newline for each line's end, no other control characters, no more than MAX_REMARK characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    kept = (char for char in lines if char == "\n" or not (char < " " or char == "\x7f"))
    return "".join(kept)[:MAX_REMARK]


class Feedback:
    """``now``: seconds since 1970."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    async def find_all(self, viewer: Viewer, conversation_id: str) -> dict[str, Opinion]:
        """By message. Nothing of a conversation that is not the viewer's."""
        query = select(feedback).where(feedback.c.conversation_id == conversation_id)

        def work(connection: Connection) -> dict[str, Opinion]:
            found = connection.execute(query).all()
            if not found:
                return {}
            try:
                key = rows.open_conversation_key(viewer, rows.get_owned(connection, viewer, conversation_id))
            except NotFound:
                return {}
            return {row.message_id: _open(viewer, key, row) for row in found}

        return await self._database.read(work)

    async def find(self, viewer: Viewer, conversation_id: str, message_id: str) -> Opinion:
        """NOTHING where nothing was said. Raises NotFound."""

        def work(connection: Connection) -> Opinion:
            return _find(connection, viewer, _key(connection, viewer, conversation_id, message_id), message_id)

        return await self._database.read(work)

    async def set_thumb(self, viewer: Viewer, conversation_id: str, message_id: str, thumb: Thumb) -> Opinion:
        """Reasons and a remark stay as they are. Raises NotFound; Conflict while the answer is being written."""
        return await self._change(viewer, conversation_id, message_id, lambda said: replace(said, thumb=thumb))

    async def say(self, viewer: Viewer, conversation_id: str, message_id: str, opinion: Opinion) -> Opinion:
        """In the place of what was said before; NOTHING takes it back. Raises as ``set_thumb``."""
        return await self._change(viewer, conversation_id, message_id, lambda _said: opinion)

    async def _change(
        self, viewer: Viewer, conversation_id: str, message_id: str, change: Callable[[Opinion], Opinion]
    ) -> Opinion:
        def work(connection: Connection) -> Opinion:
            key = _key(connection, viewer, conversation_id, message_id)
            said = change(_find(connection, viewer, key, message_id))
            if not said:
                connection.execute(delete(feedback).where(feedback.c.message_id == message_id))
                return said
            row = opinion_row(viewer, key, said, (message_id, conversation_id), self._now())
            written = insert(feedback).values(row)
            changed = {"sealed": row["sealed"]}
            connection.execute(written.on_conflict_do_update(index_elements=["message_id"], set_=changed))
            return said

        said = await self._database.write(work)
        if not said:
            await self._database.forget()
        return said


def _key(connection: Connection, viewer: Viewer, conversation_id: str, message_id: str) -> ConversationKey:
    """The conversation's, if the message is a finished answer of it. Raises NotFound, Conflict."""
    owned = rows.get_owned(connection, viewer, conversation_id)
    message = rows.get_message(connection, conversation_id, message_id)
    if message.role != "assistant":
        raise NotFound
    if message.state == MessageState.RUNNING.value:
        raise Conflict
    return rows.open_conversation_key(viewer, owned)


def _find(connection: Connection, viewer: Viewer, key: ConversationKey, message_id: str) -> Opinion:
    row = connection.execute(select(feedback).where(feedback.c.message_id == message_id)).first()
    return NOTHING if row is None else _open(viewer, key, row)


def opinion_row(
    viewer: Viewer, key: ConversationKey, said: Opinion, place: tuple[str, str], now: float
) -> dict[str, Any]:
    """``place``: message and conversation. Spaces fill it up: JSON does not mind them."""
    plain = rows.as_bytes({**said.to_json(), "said": now}).ljust(PLAIN_BYTES)
    context, (message_id, conversation_id) = bind("feedback", "sealed", *place), place
    sealed = key.seal(rows.unlocked(viewer).seal(plain, context), context)
    return {"message_id": message_id, "conversation_id": conversation_id, "sealed": sealed}


def _open(viewer: Viewer, key: ConversationKey, row: Row[Any]) -> Opinion:
    context = bind("feedback", "sealed", row.message_id, row.conversation_id)
    return Opinion.from_json(json.loads(rows.unlocked(viewer).open(key.open(row.sealed, context), context)))
