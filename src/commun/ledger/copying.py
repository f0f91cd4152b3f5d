"""A copy of a published log, to be published elsewhere or kept.

Rules: every file that the head's tree needs, and no other; the head last, so that the copy can be read while it is
made; full tiles that are there already stay (a later copy takes little); a copy of another log, and one that has more
entries than the log now shows, is never written over. What is copied is not verified: ``verification.py`` does that,
on the copy.

Raises LedgerBusy, OtherHead, ShrunkLog, MissingTile, BadTile, and what the reader raises.
"""

from pathlib import Path

from commun.ledger.checkpoint import Checkpoint, read_checkpoint
from commun.ledger.errors import MissingTile
from commun.ledger.files import CHECKPOINT, Lock, LogFolder, LogReader
from commun.ledger.log import OtherHead
from commun.ledger.tiles import Tile, pack_entries, read_entries, read_tile, tiles_of
from commun.ledger.verification import ShrunkLog


def copy_log(reader: LogReader, folder: Path) -> bytes:
    """The head that the copy has now."""
    data = reader.find_checkpoint()
    if data is None:
        raise MissingTile(tile=CHECKPOINT)
    head = read_checkpoint(data)[0]
    copy = LogFolder(folder)
    lock = Lock(folder)
    try:
        _check_earlier(copy, head)
        fresh = [tile for tile in tiles_of(head.size) if not tile.is_full or copy.find(tile) is None]
        for tile in fresh:
            copy.put(tile.path(), _data_of(tile, head.size, reader))
        copy.settle()
        copy.put(CHECKPOINT, data)
        copy.settle()
        for tile in fresh:
            if tile.is_full:
                copy.prune(tile)
    finally:
        lock.release()
    return data


def _check_earlier(copy: LogFolder, head: Checkpoint) -> None:
    data = copy.find_checkpoint()
    if data is None:
        return
    earlier = read_checkpoint(data)[0]
    if earlier.origin != head.origin:
        raise OtherHead
    if earlier.size > head.size:
        raise ShrunkLog(old=earlier.size, size=head.size)


def _data_of(tile: Tile, size: int, reader: LogReader) -> bytes:
    """Also where a full tile has taken its place by now."""
    if tile.level is None:
        return pack_entries(read_entries(tile.index, size, reader.find))
    return read_tile(tile, reader.find)
