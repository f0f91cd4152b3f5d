"""A store that is open, with a clock that can be moved and people in it."""

import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert

from commun.store import sessions as rows
from commun.store.accounts import Accounts
from commun.store.conversations import Conversations, MessageState
from commun.store.database import DATABASE_FILE, Database
from commun.store.people import SignedIn, Viewer
from commun.store.schema import accounts as accounts_table
from commun.store.tree import new_id


class Clock:
    """The store's clock, moved by hand."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@dataclass
class Store:
    home: Path
    database: Database
    accounts: Accounts
    conversations: Conversations
    clock: Clock

    async def sign_in(self) -> SignedIn:
        return await self.accounts.redeem_link(await self.accounts.make_link(), session=None)

    async def founder(self) -> Viewer:
        return (await self.sign_in()).viewer

    async def somebody_else(self) -> Viewer:
        """Another person, with a vault of their own (they get a door of their own with the people issue)."""
        now, account_id = self.clock(), new_id()

        def work(connection):
            row = {"id": account_id, "role": "member", "created": now, "language": "", "theme": ""}
            connection.execute(insert(accounts_table), row)
            return rows.new_session(connection, account_id, now, now + 1000)

        viewer = await self.accounts.viewer(await self.database.write(work))
        assert viewer is not None
        assert viewer.key is not None
        return viewer

    async def chat(
        self, viewer, question="Why?", answer="Because.", *, title="A chat", conversation_id=None, parent_id=None
    ):
        """A whole turn; returns it."""
        turn = await self.conversations.start_turn(
            viewer, conversation_id=conversation_id, parent_id=parent_id, question=question, title=title
        )
        await turn.keep({"text": answer}, MessageState.COMPLETE)
        return turn


def open_store(home: Path, *, exclusive: bool = True) -> Store:
    database = Database(home / DATABASE_FILE)
    database.open(exclusive=exclusive)
    clock = Clock()
    return Store(
        home, database, Accounts(database, session_days=30, now=clock), Conversations(database, now=clock), clock
    )
