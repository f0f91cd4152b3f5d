"""Looking for a receipt in the published ledger itself, where the table of receipts no longer has it: its conversation
was erased, its entry stays.

The newest MAX_BUNDLES files of entries are read, newest first, in a thread; one search at a time, so that nobody can
keep the disk busy by asking.
"""

import asyncio
from typing import Final, cast

from starlette.requests import Request

from commun.ledger.entries import ReceiptStatement
from commun.ledger.errors import MissingTile
from commun.ledger.files import LogFolder
from commun.ledger.tiles import TILE_WIDTH, read_entries, tile_in
from commun.web.ledger_files import folder_of
from commun.web.ledger_view import find_head

MAX_BUNDLES: Final = 8192  # two million entries


def find_entry(folder: LogFolder, wanted: bytes) -> int | None:
    """The number of an entry of these bytes, among the newest; None where there is none."""
    head = find_head(folder)
    if head is None:
        return None
    last = -(-head.size // TILE_WIDTH) - 1
    for bundle in range(last, max(-1, last - MAX_BUNDLES), -1):
        data = folder.find(tile_in(None, bundle, head.size))
        if data is not None and wanted not in data:
            continue
        try:
            entries = read_entries(bundle, head.size, folder.find)
        except MissingTile:
            continue
        if wanted in entries:
            return bundle * TILE_WIDTH + entries.index(wanted)
    return None


async def find_envelope(request: Request, digest: str) -> int | None:
    """``digest``: the envelope's SHA-256, in hex."""
    state = request.app.state
    lock = getattr(state, "ledger_search", None)
    if lock is None:
        lock = state.ledger_search = asyncio.Lock()
    async with cast("asyncio.Lock", lock):
        return await asyncio.to_thread(find_entry, folder_of(request), ReceiptStatement(digest).data())
