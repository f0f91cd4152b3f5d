"""An account and all that is of it, gone at once.

- one row is deleted, and every table's rows of that account with it (``ON DELETE CASCADE``): conversations, messages,
  receipts with their salts, sealed keys and every way in, sessions, API keys, links to shared answers, answers kept for
  audits. A table that is added later must hang on the account in the same way; a test looks;
- the bytes go, too: SQLite overwrites what is deleted (``secure_delete``), and the write-ahead log is copied into the
  database and cut to nothing. So neither file has any of it when this returns, unless a reader held the log for all of
  WAIT_S; then the next writing of the log's beginning does it, and it is told in the server's log;
- what stays: entries of the ledger, which are digests under salts that are gone, and backups made before;
- the only administrator of other people is not erased: they would be without one. Of nobody else, they are.
"""

import asyncio
import time
from typing import Final

import structlog
from sqlalchemy import Connection, delete, select

from commun.errors import NotFound
from commun.store.accounts import Accounts
from commun.store.administration import check_administered
from commun.store.database import Database
from commun.store.schema import accounts, invitations

WAIT_S: Final = 10.0
PAUSE_S: Final = 0.2

log = structlog.get_logger()


async def erase_account(people: Accounts, database: Database, account_id: str) -> None:
    """Raises NotFound, LastAdministrator."""

    def work(connection: Connection) -> None:
        connection.execute(delete(invitations).where(invitations.c.made_by == account_id))
        if not connection.execute(delete(accounts).where(accounts.c.id == account_id)).rowcount:
            raise NotFound
        if connection.execute(select(accounts.c.id)).first() is not None:
            check_administered(connection)

    await people.change(work)
    await _forget(database)


async def _forget(database: Database) -> None:
    """A reader that is just at work keeps the log from being cut: it is tried until it is done."""
    written = database.path.with_name(f"{database.path.name}-wal")
    deadline = time.monotonic() + WAIT_S
    while True:
        await database.forget()
        if not written.exists() or not written.stat().st_size:
            return
        if time.monotonic() > deadline:
            log.warning("the write-ahead log could not be cut after an account was erased; it is later")
            return
        await asyncio.sleep(PAUSE_S)
