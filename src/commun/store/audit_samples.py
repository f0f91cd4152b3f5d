"""Answers that are kept for an audit by others, and who agreed to that.

Rules:

- nobody's answer is kept who did not say yes (``decide``), none that is kept nowhere else (temporary chats), and none
  that the draw does not choose (``audit/drawn.py``): the charter's clause ``audit``, the envelope and the secret of the
  seed's epoch decide, in the transaction that keeps the answer, so that a crash loses both or neither;
- what is kept is the bundle without the charter's files and the ledger's proofs, sealed to the audit key, whose file is
  no part of the database. It is erased when its audit is recorded, and KEPT_S after it was kept at the latest;
- taking the yes back erases what is kept at once; so do deleting the conversation, at once, too, and the charter's
  clause ``retention``. Undoing the deletion brings the conversation back, not this;
- an answer that cannot be kept for an audit is an answer all the same: what goes wrong here is logged, and no more;
- what was erased unaudited, its time being over, leaves its row until the next result, which counts it.
"""

import time
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import structlog
from sqlalchemy import Connection, delete, insert, select, update

from commun.audit.drawn import is_drawn
from commun.receipts.dsse import envelope_digest
from commun.receipts.issue import Receipt
from commun.store import rows
from commun.store.database import Database
from commun.store.ledger_entries import add_waiting
from commun.store.people import Viewer
from commun.store.schema import accounts, audit_samples, epochs, receipts
from commun.store.tree import new_id
from commun.store.vault import AccountKey, PublicKey, VaultError, bind

KEPT_S: Final = 7 * 86_400.0
HANDED_S: Final = 30 * 86_400.0  # how long another Commun may take to tell what it found
MAX_OPENED_BYTES: Final = 64 << 20

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Consent:
    """``asked``: said yes or no at some time; is not asked again. ``agrees``: yes, now."""

    asked: bool
    agrees: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """``opens``: not where it is erased already, or sealed to another key. ``handed``: to another Commun, seconds since
    1970.
    """

    receipt_id: str
    created: float
    opens: bool
    handed: float | None


class AuditSamples:
    """``key``: gives what samples are sealed to, and makes it at first use. ``now``: seconds since 1970."""

    def __init__(
        self, database: Database, key: Callable[[], PublicKey], *, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._key = key
        self._now = now

    # Who agrees

    async def consent(self, viewer: Viewer) -> Consent:
        query = select(accounts.c.audit_asked, accounts.c.audit_agreed).where(accounts.c.id == viewer.account_id)
        row = await self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            return Consent(asked=False, agrees=False)
        return Consent(row.audit_asked is not None, row.audit_agreed is not None)

    async def decide(self, viewer: Viewer, *, agrees: bool) -> None:
        """Of the viewer's own answers, from now on. A no erases what is kept of theirs, in the write-ahead log too."""
        rows.unlocked(viewer)
        now, mine = self._now(), accounts.c.id == viewer.account_id

        def work(connection: Connection) -> int:
            row = connection.execute(select(accounts.c.audit_asked, accounts.c.audit_agreed).where(mine)).one()
            since = (row.audit_agreed or now) if agrees else None
            change = {"audit_asked": row.audit_asked or now, "audit_agreed": since}
            connection.execute(update(accounts).where(mine).values(change))
            if agrees:
                return 0
            return connection.execute(
                delete(audit_samples).where(audit_samples.c.account_id == viewer.account_id)
            ).rowcount

        if await self._database.write(work):
            await self._database.forget()

    # Keeping

    def take(self, connection: Connection, receipt: Receipt, account_id: str) -> None:
        """In the transaction that keeps the answer, after its receipt's row. Raises nothing."""
        if not receipt.sample_rate:
            return
        try:
            self._take(connection, receipt, account_id)
        except Exception:  # the answer is worth more than its audit
            log.exception("an answer that was drawn could not be kept for its audit")

    def _take(self, connection: Connection, receipt: Receipt, account_id: str) -> None:
        agreed = select(accounts.c.audit_agreed).where(accounts.c.id == account_id)
        if connection.execute(agreed).scalar() is None or not _can_be_audited(receipt):
            return
        of_seed = select(epochs.c.secret).where(epochs.c.sha256 == receipt.statement.seed.epoch)
        secret = connection.execute(of_seed).scalar()
        digest = bytes.fromhex(envelope_digest(receipt.envelope))
        if secret is None or not is_drawn(digest, secret, receipt.sample_rate):
            return
        key, name = self._key(), receipt.statement.receipt
        row = {
            "receipt_id": name,
            "account_id": account_id,
            "created": self._now(),
            "key": key_digest(key),
            "sealed": key.seal(zlib.compress(receipt.bundle().data()), _context(name, account_id)),
        }
        connection.execute(insert(audit_samples), row)

    # Auditing

    async def list(self, key: PublicKey) -> "list[Sample]":
        """All that no result has counted yet, oldest first. ``key``: the audit key's public half."""
        table = audit_samples.c
        opens = (table.sealed.is_not(None) & (table.key == key_digest(key))).label("opens")
        query = select(table.receipt_id, table.created, opens, table.handed).order_by(table.created, table.receipt_id)
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return [Sample(row.receipt_id, row.created, bool(row.opens), row.handed) for row in found]

    async def open(self, key: AccountKey, receipt_id: str) -> bytes | None:
        """Its bundle, without the charter's files. None: it was erased meanwhile, or does not open."""
        query = select(audit_samples).where(audit_samples.c.receipt_id == receipt_id)

        def work(connection: Connection) -> bytes | None:
            row = connection.execute(query).first()
            if row is None or row.sealed is None:
                return None
            return _opened(key, row.sealed, _context(row.receipt_id, row.account_id))

        return await self._database.read(work)

    async def hand(self, receipt_ids: Collection[str]) -> None:
        """Another Commun has them now."""
        some = audit_samples.c.receipt_id.in_(tuple(receipt_ids))
        handed = update(audit_samples).where(some).values(handed=self._now())
        await self._database.write(lambda connection: connection.execute(handed))

    async def conclude(self, receipt_ids: Collection[str], entry: bytes) -> None:
        """They were audited: what is kept of them is erased, and the ledger is told, both or neither."""
        some = audit_samples.c.receipt_id.in_(tuple(receipt_ids))

        def work(connection: Connection) -> None:
            connection.execute(delete(audit_samples).where(some))
            add_waiting(connection, new_id(), entry, now=self._now())

        await self._database.write(work)
        await self._database.forget()

    async def count(self) -> int:
        """How many wait for their audit here."""
        waiting = audit_samples.c.sealed.is_not(None), audit_samples.c.handed.is_(None)
        query = select(audit_samples.c.receipt_id).where(*waiting)
        return await self._database.read(lambda connection: len(connection.execute(query).all()))

    async def erase_old(self, older_than_s: float = KEPT_S) -> int:
        """What is kept that long; its rows stay, to be counted. Returns how many."""
        old = audit_samples.c.created <= self._now() - older_than_s, audit_samples.c.sealed.is_not(None)
        erase = update(audit_samples).where(*old).values(sealed=None)
        erased = await self._database.write(lambda connection: connection.execute(erase).rowcount)
        if erased:
            await self._database.forget()
        return erased


def erase_of_conversation(connection: Connection, conversation_id: str) -> int:
    """In the transaction that deletes it; ``Database.forget`` after it. Returns how many."""
    there = select(receipts.c.id).where(receipts.c.conversation_id == conversation_id)
    return connection.execute(delete(audit_samples).where(audit_samples.c.receipt_id.in_(there))).rowcount


def key_digest(key: PublicKey) -> str:
    return sha256(key.to_bytes()).hexdigest()


def _can_be_audited(receipt: Receipt) -> bool:
    return bool(receipt.values.prompt_token_ids and receipt.values.answer_token_ids)


def _opened(key: AccountKey, sealed: bytes, context: bytes) -> bytes | None:
    try:
        packed = key.open(sealed, context)
    except VaultError:
        return None  # it was damaged: it is counted when its time is over
    return zlib.decompressobj().decompress(packed, MAX_OPENED_BYTES)


def _context(receipt_id: str, account_id: str) -> bytes:
    return bind("audit_samples", "sealed", receipt_id, account_id)
