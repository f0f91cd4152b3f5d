"""A conversation that comes in at once, as a copy or out of a file: written in pieces, so that nobody waits long for
the one writer.

- until the last piece is written it lies in the bin, under no mark: nobody lists it, opens it or finds it. Where the
  process ends before, it goes as what was deleted goes (``Conversations.purge_deleted``), and can begin again;
- with the last piece it is there, whole. One that is short is written in one transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, insert

from commun.store import rows
from commun.store.database import Database
from commun.store.people import Viewer
from commun.store.schema import conversations, feedback

AT_ONCE: Final = 500  # messages


@dataclass(frozen=True, slots=True)
class Arriving:
    """The rows, sealed: the conversation's, which is the viewer's, its messages', parents first, and what the viewer
    says of them.
    """

    viewer: Viewer
    conversation: dict[str, Any] = field(repr=False)
    messages: list[dict[str, Any]] = field(repr=False)
    opinions: Mapping[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def is_long(self) -> bool:
        return len(self.messages) > AT_ONCE

    async def begin(self, database: Database, *, now: float) -> None:
        """All but the last piece. Raises NotFound where it went meanwhile, with its owner."""
        if not self.is_long:
            return
        hidden = self.conversation | {"deleted": now}
        await database.write(lambda connection: connection.execute(insert(conversations), hidden), flush=False)
        for start in range(0, len(self.messages) - AT_ONCE, AT_ONCE):
            piece = self.messages[start : start + AT_ONCE]
            await database.write(partial(self._add, piece=piece), flush=False)

    def _add(self, connection: Connection, piece: list[dict[str, Any]]) -> None:
        rows.get_owned(connection, self.viewer, self.conversation["id"], deleted=True)
        self._write(connection, piece)

    def _write(self, connection: Connection, piece: list[dict[str, Any]]) -> None:
        rows.add_messages(connection, piece)
        if said := [self.opinions[one["id"]] for one in piece if one["id"] in self.opinions]:
            connection.execute(insert(feedback), said)

    def finish(self, connection: Connection, **values: Any) -> None:
        """The last piece, and what else is set with it. Raises NotFound."""
        if not self.is_long:
            connection.execute(insert(conversations), self.conversation | values)
            self._write(connection, self.messages)
        else:
            left = (len(self.messages) - 1) // AT_ONCE * AT_ONCE
            self._add(connection, self.messages[left:])
            rows.change(connection, self.conversation["id"], deleted=None, **values)
