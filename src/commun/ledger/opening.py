"""A log's beginning: its name, its key, and what must not begin again.

Rules:

- the key is Ed25519, made at first use, in a file that only its owner can read. IT IS NOT ENCRYPTED, since the writer
  runs unattended: whoever can read the server's files can sign heads in the log's name. What keeps such heads in bounds
  is witnesses, who see each of them; not the key;
- the name in the key file is the log's origin, for ever. A new log is called after the public address that is
  configured, without its scheme, or ``commun.local/`` and the first 16 digits of the charter's first root, which never
  changes: unique, and the same after every restart;
- the key is written last: a key on the disk has a log. A key without its log and a log without its key are refused: to
  begin again at zero under a name that others have seen would be a fork.

Raises KeyWithoutLog, LogWithoutKey, BadLogKey, and what ``Log`` raises.
"""

import re
import secrets
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from commun.errors import N_
from commun.ledger.checkpoint import Checkpoint, read_checkpoint
from commun.ledger.errors import BadLogKey, LedgerError
from commun.ledger.files import CHECKPOINT, TILES, Lock, LogFolder, read_regular
from commun.ledger.keys import ED25519, MAX_KEY_TEXT, SEED_BYTES, SignerKey
from commun.ledger.log import Log, reached, signed_head
from commun.ledger.merkle import EMPTY_ROOT
from commun.secret_file import write_secret

LOCAL: Final = "commun.local/"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_DIGITS: Final = 16


class LogWithoutKey(LedgerError):
    code = "ledger_log_without_key"
    status = 500
    problem = N_("There is a ledger here, but not its key.")
    cure = N_("Restore the key. To begin a new ledger, move the old one's folder away.")


def local_origin(root_digest: str) -> str:
    """The name of a log that has no public address: of the charter's first root, which never changes."""
    if not _DIGEST.fullmatch(root_digest):
        raise BadLogKey(reason="a charter's digest is 64 hexadecimal digits")
    return LOCAL + root_digest[:_DIGITS]


def public_origin(url: str) -> str:
    """The name of a log that is published at ``url``: as tlog-tiles recommends, without scheme and last slash."""
    parts = urlsplit(url)
    if not parts.netloc or "@" in parts.netloc:
        raise BadLogKey(reason="a public address has a host and no user")
    return (parts.netloc + parts.path).rstrip("/")


def create_log(folder: Path, key: SignerKey, *, lock: Lock | None = None) -> Log:
    """A new log of no entries. Raises LogWithoutKey where one has been already."""
    lock = Lock(folder) if lock is None else lock
    try:
        files = LogFolder(folder)
        _check_empty(files)
        files.put(CHECKPOINT, signed_head(Checkpoint(key.name, 0, EMPTY_ROOT), key), lasting=True)
    except BaseException:
        lock.release()
        raise
    return Log(folder, key, lock=lock)


def open_log(folder: Path, key_file: Path, *, origin: str) -> Log:
    """The log and its key, both made at first use. ``origin`` names a new log; an old one keeps its name."""
    lock = Lock(folder)
    try:
        key = find_key(key_file)
        if key is not None:
            return Log(folder, key, lock=lock)
        _forget_unborn(folder)
        key = make_key(origin)
        log = create_log(folder, key, lock=lock)
    except BaseException:
        lock.release()
        raise
    try:
        reached("before the key")
        write_secret(key_file, f"{key.text()}\n".encode())  # last: a key on the disk has a log
    except BaseException:
        log.close()
        raise
    return log


def find_key(key_file: Path) -> SignerKey | None:
    """Raises BadLogKey, UnsafeLedgerFile."""
    data = read_regular(key_file.parent, key_file.name, limit=MAX_KEY_TEXT)
    if data is None:
        return None
    try:
        key = SignerKey.from_text(data.decode().removesuffix("\n"))
    except UnicodeDecodeError:
        raise BadLogKey(reason="it is not text") from None
    if key.kind != ED25519:
        raise BadLogKey(reason="a ledger's first key is Ed25519")
    return key


def _forget_unborn(folder: Path) -> None:
    """An empty log whose key was never on the disk: nobody has seen either."""
    files = LogFolder(folder)
    data = files.find_checkpoint()
    if data is not None and read_checkpoint(data)[0].size == 0 and not (folder / TILES).exists():
        (folder / CHECKPOINT).unlink()


def make_key(origin: str) -> SignerKey:
    return SignerKey(origin, ED25519, secrets.token_bytes(SEED_BYTES))


def _check_empty(files: LogFolder) -> None:
    if not files.is_empty():
        raise LogWithoutKey
