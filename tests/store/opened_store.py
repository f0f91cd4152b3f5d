"""A store that is open, with a clock that can be moved and people in it."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from commun.store.accounts import Accounts
from commun.store.conversations import Conversations, MessageState
from commun.store.database import DATABASE_FILE, Database
from commun.store.invitations import Invitations
from commun.store.passwords import Cost, Hasher
from commun.store.people import Role, SignedIn, Viewer
from commun.store.tree import new_id
from commun.store.ways_in import WaysIn

PASSWORD = "four unrelated garden chairs"
CHEAP = Cost(time=1, memory=64)  # the real one takes a tenth of a second each: test_passwords.py has it


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
    ways_in: WaysIn
    invitations: Invitations

    async def sign_in(self) -> SignedIn:
        return await self.accounts.redeem_link(await self.accounts.make_link(), session=None)

    async def founder(self) -> Viewer:
        return (await self.sign_in()).viewer

    async def somebody_else(self) -> Viewer:
        """Another person, invited, with a vault of their own."""
        return (await self.invited(f"Somebody {new_id()}")).viewer

    async def invited(self, name: str, password: str = PASSWORD, role: Role = Role.MEMBER) -> SignedIn:
        return await self.invitations.accept(await self.invitations.make(role), name, password)

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
    clock, hasher = Clock(), Hasher(CHEAP)
    accounts = Accounts(database, session_days=30, now=clock)
    conversations = Conversations(database, now=clock)
    ways_in, invitations = WaysIn(accounts, hasher), Invitations(accounts, hasher)
    return Store(home, database, accounts, conversations, clock, ways_in, invitations)


def told_until_killed(code: str, home: Path) -> str:
    """What ``code`` printed, in a process of its own that is given the folder and kills itself."""
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(home)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(here), str(here.parent)))},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == -9, done.stderr[-2000:]
    return done.stdout
