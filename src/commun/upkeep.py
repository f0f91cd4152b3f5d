"""What a server erases by and by, and what of it the ledger is told."""

import asyncio
from functools import partial
from typing import Final

import structlog

from commun.assistant.in_force import CharterInForce, utc_now
from commun.recording.statements import retention_statement
from commun.services import Services
from commun.store.conversations import Conversations

EVERY_S: Final = 600
DAY_S: Final = 86_400
UNDO_S: Final = 3600  # a deleted conversation can be restored for this long, then it is erased
NOBODYS_DAYS: Final = 30  # for whoever asked to fetch the proof of logging of an answer that nobody keeps

log = structlog.get_logger()


def retention_entry(days: int, purged: int) -> bytes:
    """What the ledger is told; ``Recorder.look`` finds it waiting."""
    return retention_statement(conversations=purged, days=days, now=utc_now()).data()


def may_erase(charter: CharterInForce) -> bool:
    """Not while there is a legal hold; nor without a valid charter, since nobody can tell then whether there is one."""
    return charter.find() is not None and charter.hold() is None


async def purge_conversations(conversations: Conversations, days: int) -> None:
    """What was deleted longer ago than UNDO_S, and what nobody may keep longer than ``days``; 0: for good."""
    await conversations.purge_deleted(older_than_s=UNDO_S)
    if not days:
        return
    purged = await conversations.purge_old(older_than_s=days * DAY_S, record=partial(retention_entry, days))
    if purged:
        log.info("conversations were erased, as the charter's clause “retention” says", count=purged)


async def purge_classes(services: Services) -> None:
    """Whoever's class or place in it has ended: what is being answered to them stops."""
    gone = await services.classes.purge()
    for name in (*gone.classes, *gone.guests):
        services.assistant.shut_out(name)
        services.assistant.let_in(name)  # nobody comes back under this name: nothing to remember


async def purge(services: Services) -> None:
    """Erases conversations that were deleted or have had their time, unless the charter holds them; receipts that
    nobody keeps, answers that waited for their audit for too long, answers that were sent to the administrators long
    ago, and sessions, links, invitations and classes that have expired: a legal hold keeps none of these.
    """
    in_force = services.charter.find()
    days = in_force.charter.retention.days if in_force is not None else 0
    if may_erase(services.charter):
        await purge_conversations(services.conversations, days)
    await services.receipts.purge_nobodys(older_than_s=min(days or NOBODYS_DAYS, NOBODYS_DAYS) * DAY_S)
    await services.shares.purge_expired()
    await services.readers.purge_expired()
    await services.sent.purge(days)
    await services.samples.erase_old()
    await services.accounts.purge_expired()
    await services.invitations.purge()
    await services.database.forget_left()
    await purge_classes(services)


async def purge_now_and_then(services: Services) -> None:
    while True:
        await purge(services)
        await asyncio.sleep(EVERY_S)
