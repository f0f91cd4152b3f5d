"""A recorder at work on a data folder, and what lies in its ledger afterwards."""

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from commun.charter.edition import InForce
from commun.charter.loader import load
from commun.charter.repository import Repository
from commun.ledger.entries import ReceiptStatement, Statement, read_statement
from commun.ledger.files import LogFolder
from commun.ledger.opening import find_key
from commun.ledger.verification import verify_log
from commun.places import CHARTER_FOLDER, KEYS_FOLDER, LEDGER_FOLDER, TRUST_FOLDER
from commun.recording.errors import LedgerRefuses
from commun.recording.recorder import LEDGER_KEY_FILE, Recorder
from commun.store.accounts import Accounts
from commun.store.conversations import Conversations, MessageState
from commun.store.database import DATABASE_FILE, Database
from commun.store.ledger_entries import LedgerEntries
from commun.store.receipts import Receipts
from made_receipt import CONTENT, made_receipt

TRIES = 12_000  # of ten milliseconds


@dataclass
class Clock:
    offset: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


@dataclass
class Office:
    """Everything that a server has for it."""

    home: Path
    database: Database
    accounts: Accounts
    conversations: Conversations
    receipts: Receipts
    entries: LedgerEntries
    recorder: Recorder
    clock: Clock

    def in_force(self) -> InForce:
        return in_force(self.home)

    async def admit(self) -> None:
        await self.recorder.admit(self.in_force())

    async def answer(self, name: str):
        """An answer that nobody keeps; its receipt."""
        receipt = made_receipt(name)
        await self.receipts.keep(receipt)
        self.recorder.submit(receipt)
        return receipt

    async def chat(self, viewer):
        """An answer that is kept; the turn and its receipt."""
        turn = await self.conversations.start_turn(
            viewer, conversation_id=None, parent_id=None, question="Why?", title="A chat"
        )
        receipt = made_receipt(turn.answer_id, ledger=self.recorder.origin)
        await turn.keep(CONTENT, MessageState.COMPLETE, receipt)
        self.recorder.submit(receipt)
        return turn, receipt

    async def founder(self):
        return (await self.accounts.redeem_link(await self.accounts.make_link(), session=None)).viewer


def in_force(home: Path) -> InForce:
    return load(Repository(home / CHARTER_FOLDER), home / TRUST_FOLDER, now=datetime.now(UTC))


@contextlib.asynccontextmanager
async def office(home: Path, *, public_url: str = "", exclusive: bool = True) -> AsyncIterator[Office]:
    database = Database(home / DATABASE_FILE)
    database.open(exclusive=exclusive)
    clock = Clock()
    receipts, entries = Receipts(database), LedgerEntries(database)
    recorder = Recorder(home=home, public_url=public_url, entries=entries, receipts=receipts, now=clock)
    try:
        yield Office(
            home,
            database,
            Accounts(database, session_days=30),
            Conversations(database),
            receipts,
            entries,
            recorder,
            clock,
        )
    finally:
        await recorder.close()
        database.close()


def entries_of(home: Path) -> list[Statement]:
    """All of the ledger, verified whole."""
    key = find_key(home / KEYS_FOLDER / LEDGER_KEY_FILE)
    assert key is not None
    found: list[Statement] = []
    folder = LogFolder(home / LEDGER_FOLDER)
    size = verify_log(folder, [key.verifier]).size
    from commun.ledger.tiles import TILE_WIDTH, read_entries

    for index in range(-(-size // TILE_WIDTH)):
        found += map(read_statement, read_entries(index, size, folder.find))
    return found


def kinds_of(home: Path) -> Counter[str]:
    return Counter(statement.type for statement in entries_of(home))


def digest_of(receipt):
    return hashlib.sha256(receipt.envelope).hexdigest()


async def until_placed(one, receipt):
    for _ in range(TRIES):
        if await one.receipts.find_position(digest_of(receipt)) is not None:
            return await one.receipts.find_position(digest_of(receipt))
        await asyncio.sleep(0.01)
    raise AssertionError("the receipt has no position")


def logged_receipts(home):
    return [statement.sha256 for statement in entries_of(home) if isinstance(statement, ReceiptStatement)]


async def refusal(home):
    async with office(home) as one:
        await one.recorder.open()
        with pytest.raises(LedgerRefuses) as refused:
            await one.admit()
        assert refused.value.text().startswith("Nothing is answered")
        assert refused.value.error.problem_text() in refused.value.text()
        return refused.value
