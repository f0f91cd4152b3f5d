"""What a server erases by and by, and what of it the ledger is told."""

import asyncio
from functools import partial
from typing import Final

import structlog

from commun.assistant.in_force import utc_now
from commun.recording.statements import retention_statement
from commun.services import Services

EVERY_S: Final = 600
DAY_S: Final = 86_400
UNDO_S: Final = 3600  # a deleted conversation can be restored for this long, then it is erased
NOBODYS_DAYS: Final = 30  # for whoever asked to fetch the proof of logging of an answer that nobody keeps

log = structlog.get_logger()


def retention_entry(days: int, purged: int) -> bytes:
    """What the ledger is told; ``Recorder.look`` finds it waiting."""
    return retention_statement(conversations=purged, days=days, now=utc_now()).data()


async def purge_now_and_then(services: Services) -> None:
    """Erases what was deleted longer ago than UNDO_S, what the charter's clause ``retention`` lets nobody keep longer,
    receipts that nobody keeps, answers that waited for their audit for too long, and sessions, links and
    invitations that have expired.
    """
    while True:
        await services.conversations.purge_deleted(older_than_s=UNDO_S)
        in_force = services.charter.find()
        days = in_force.charter.retention.days if in_force is not None else 0
        if days:
            purged = await services.conversations.purge_old(
                older_than_s=days * DAY_S, record=partial(retention_entry, days)
            )
            if purged:
                log.info("conversations were erased, as the charter's clause “retention” says", count=purged)
        await services.receipts.purge_nobodys(older_than_s=min(days or NOBODYS_DAYS, NOBODYS_DAYS) * DAY_S)
        await services.shares.purge_expired()
        await services.samples.erase_old()
        await services.accounts.purge_expired()
        await services.invitations.purge()
        await asyncio.sleep(EVERY_S)
