"""Reading in the ledger what the database does not know of it. The ledger itself is only read.

Rules:

- the ledger that was seen last must be the beginning of the one that is there: not shorter, and with the same root at
  that size, by a proof of consistency out of its tiles. Anything else was put in its place, and be it a copy of an hour
  ago: heads that others have seen since would be signed a second time, over other entries;
- a ledger under another key than before is another ledger, begun because the one before was taken away with its key.
  That is told in the server's log, and the one before is remembered: where it comes back, it must be what it was;
- what is read is every entry from there on: receipts that this database has and did not know the position of, and
  every entry that is no receipt. An entry that cannot be read as any is left out: the log itself is not judged here;
- each of them is looked for in the database, some at a time: however much there is without a position, what is found
  without one afterwards is not in the ledger.
"""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from commun.ledger.entries import BadStatement, ReceiptStatement, read_statement
from commun.ledger.errors import BadProof
from commun.ledger.keys import VerifierKey
from commun.ledger.log import Log
from commun.ledger.merkle import EMPTY_ROOT, check_consistency
from commun.ledger.opening import local_origin, public_origin
from commun.ledger.tiles import TILE_WIDTH, read_entries
from commun.recording.errors import LedgerCutShort, LedgerRewritten
from commun.store.ledger_entries import KnownLedger, Learnt, LedgerEntries, StoredEntry
from commun.store.receipts import Receipts

PUBLISHED_AT: Final = "/ledger"
BUNDLES_AT_ONCE: Final = 16  # of 256 entries
_BLANK: Final = b"0" * 64
_BEFORE, _, _AFTER = ReceiptStatement(_BLANK.decode()).data().partition(_BLANK)
_LENGTH: Final = len(_BEFORE) + len(_BLANK) + len(_AFTER)
MAX_UNLOGGED: Final = 1 << 20  # of those that the ledger lacks, held in memory; ``Recorder.look`` finds the others

logs = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Read:
    """Of some bundles of entries, in the ledger's order. ``receipts``: their envelopes' digests, with positions."""

    entries: tuple[StoredEntry, ...]
    receipts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """``known``: what the database knew before. ``unlogged``: receipts that the ledger lacks, digests by id;
    ``waiting``: other entries that it lacks, by name. The oldest MAX_UNLOGGED, oldest first.
    """

    known: KnownLedger
    unlogged: dict[str, str]
    waiting: dict[str, bytes]


async def new_origin(entries: LedgerEntries, public_url: str, first_root: str) -> str:
    """The name of a ledger that begins: not that of one that others have seen, which would be a fork."""
    origin = public_origin(public_url.rstrip("/") + PUBLISHED_AT) if public_url else local_origin(first_root)
    names = {VerifierKey.from_text(known.key).name for known in await entries.all_known()}
    return f"{origin}/{secrets.token_hex(4)}" if origin in names else origin


async def catch_up(log: Log, entries: LedgerEntries, receipts: Receipts, *, now: datetime) -> CaughtUp:
    """Makes the database know all of this ledger.

    Raises LedgerCutShort, LedgerRewritten, and what damaged tiles raise.
    """
    key, head = log.key.verifier.text(), log.head.checkpoint
    known = await entries.find_known(key)
    if known is None:
        for before in await entries.all_known():
            if before.key == key:  # one that was replaced has come back
                await asyncio.to_thread(check_growth, log, before)
            else:
                logs.warning("this is another ledger than before", before=before.key, entries=before.size, now=key)
        await entries.begin(key, root=EMPTY_ROOT, now=now.timestamp())
        known = KnownLedger(key, 0, EMPTY_ROOT, None)
    await asyncio.to_thread(check_growth, log, known)
    if head.size > known.size:
        several, is_any = read_from(log, known.size), bool(await receipts.unlogged(1))
        while (read := await asyncio.to_thread(_next, several)) is not None:
            names = await receipts.find_unlogged([digest for digest, _ in read.receipts] if is_any else [])
            placed = tuple((names[digest], position) for digest, position in read.receipts if digest in names)
            found = await entries.find_waiting([stored.entry for stored in read.entries])
            await entries.learn(key, Learnt(known.size, known.root, read.entries, placed, found))
        await entries.learn(key, Learnt(head.size, head.root))
    unlogged, waiting = await receipts.unlogged(MAX_UNLOGGED), await entries.waiting(MAX_UNLOGGED)
    return CaughtUp(known, dict(unlogged), dict(waiting))


def check_growth(log: Log, known: KnownLedger) -> None:
    """Raises LedgerCutShort, LedgerRewritten, and what damaged tiles raise."""
    head = log.head.checkpoint
    if known.size > head.size:
        raise LedgerCutShort(size=head.size, before=known.size)
    if known.size == 0:
        return
    try:
        check_consistency(
            old=known.size,
            size=head.size,
            proof=log.prove_growth(known.size),
            old_root=known.root,
            root=head.root,
        )
    except BadProof as error:
        raise LedgerRewritten from error


def read_from(log: Log, first: int) -> Iterator[Read]:
    """From entry ``first`` to the published head."""
    size = log.head.size
    last = -(-size // TILE_WIDTH)
    for start in range(first // TILE_WIDTH, last, BUNDLES_AT_ONCE):
        entries: list[StoredEntry] = []
        receipts: list[tuple[str, int]] = []
        for index in range(start, min(start + BUNDLES_AT_ONCE, last)):
            for place, entry in enumerate(read_entries(index, size, log.files.find)):
                position = index * TILE_WIDTH + place
                if position < first:
                    continue
                digest = _digest_of(entry)
                if digest is None:
                    entries += _stored(position, entry)
                else:
                    receipts.append((digest, position))
        yield Read(tuple(entries), tuple(receipts))


def _next(several: Iterator[Read]) -> Read | None:
    return next(several, None)


def _digest_of(entry: bytes) -> str | None:
    """A receipt's. It has one writing, so it need not be parsed: a million are looked through in a second."""
    if len(entry) != _LENGTH or not entry.startswith(_BEFORE) or not entry.endswith(_AFTER):
        return None
    return entry[len(_BEFORE) : -len(_AFTER)].decode("ascii", "replace")


def _stored(position: int, entry: bytes) -> Iterator[StoredEntry]:
    try:
        kind = read_statement(entry).type
    except BadStatement:
        return
    yield StoredEntry(position, kind, entry)
