"""What a reader's own copy of the ledger publishes of seeds: the files of a log in a folder, read from end to end.

Whether that log is whole and signed is another command's (``commun ledger verify``). A secret needs no voucher: its
SHA-256 is the epoch that a receipt names. Raises LedgerError, OSError.
"""

from pathlib import Path
from typing import Final

from commun.ledger.checkpoint import read_checkpoint
from commun.ledger.entries import BadStatement, EpochSecretStatement, EpochStatement, Statement, read_statement
from commun.ledger.files import LogFolder
from commun.ledger.tiles import TILE_WIDTH, read_entries
from commun.receipts.seeded import PublishedSecret

_ENDS: Final = tuple(f'"type":"{kind.type}"}}'.encode() for kind in (EpochStatement, EpochSecretStatement))


def secrets_in(folder: Path) -> tuple[PublishedSecret, ...]:
    """In the ledger's order. None where the folder has no head: no log was published there."""
    log = LogFolder(folder)
    data = log.find_checkpoint()
    if data is None:
        return ()
    head = read_checkpoint(data)[0]
    opened: dict[str, int] = {}
    found: list[PublishedSecret] = []
    for tile in range(-(-head.size // TILE_WIDTH)):
        for place, entry in enumerate(read_entries(tile, head.size, log.find)):
            index = tile * TILE_WIDTH + place
            match _read(entry):
                case EpochStatement(digest):
                    opened.setdefault(digest, index)
                case EpochSecretStatement(epoch, secret):
                    found.append(PublishedSecret(bytes.fromhex(secret), index, opened.get(epoch), head.origin))
    return tuple(found)


def _read(entry: bytes) -> Statement | None:
    """None: it is not about a secret. Of these two, the type is the end of their one writing."""
    if not entry.endswith(_ENDS):
        return None
    try:
        return read_statement(entry)
    except BadStatement:
        return None
