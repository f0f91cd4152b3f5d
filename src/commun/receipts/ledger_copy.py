"""What a reader's own copy of the ledger publishes of seeds: the files of a log in a folder, read from end to end.

Whether that log is whole and signed is another command's (``commun ledger verify``). A secret needs no voucher: its
SHA-256 is the epoch that a receipt names. Raises LedgerError, OSError.
"""

from pathlib import Path
from typing import Final

from commun.ledger.checkpoint import read_checkpoint
from commun.ledger.entries import BadStatement, EpochSecretStatement, read_statement
from commun.ledger.files import LogFolder
from commun.ledger.tiles import TILE_WIDTH, read_entries
from commun.receipts.seeded import PublishedSecret

_ENDS: Final = f'"type":"{EpochSecretStatement.type}"}}'.encode()  # of its one writing


def secrets_in(folder: Path) -> tuple[PublishedSecret, ...]:
    """In the ledger's order. None where the folder has no head: no log was published there."""
    log = LogFolder(folder)
    data = log.find_checkpoint()
    size = 0 if data is None else read_checkpoint(data)[0].size
    found: list[PublishedSecret] = []
    for index in range(-(-size // TILE_WIDTH)):
        for place, entry in enumerate(read_entries(index, size, log.find)):
            if entry.endswith(_ENDS) and (secret := _secret(entry)) is not None:
                found.append(PublishedSecret(secret, index * TILE_WIDTH + place))
    return tuple(found)


def _secret(entry: bytes) -> bytes | None:
    try:
        statement = read_statement(entry)
    except BadStatement:
        return None
    return bytes.fromhex(statement.secret) if isinstance(statement, EpochSecretStatement) else None
