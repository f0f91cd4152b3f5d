"""Restoring a backup into a fresh folder, checked whole before anything is there.

1. READ into a folder beside the wanted one, every file compared with the manifest (``archive.py``).
2. CHECK what was read: the database page by page, the charter to its first edition, every entry of the ledger, and that
   the database knows no more of the ledger than there is.
3. DECIDE about the ledger (below).
4. PUT the folder in its place by renaming it. THE COMMIT POINT: until then there is nothing.

What becomes of the ledger. A ledger only grows, and never twice: where the Commun of this backup went on after it was
made, heads were signed that the restored one does not know, and going on would sign others of the same size, a fork
that convicts it for ever. Nothing in the backup can tell, so whoever restores says it (``History``):

- CONTINUE: nothing was recorded after the backup, or a copy of the ledger is at hand that has all of it (``newest``: it
  is verified, and must begin with the backup's). The charter's witnesses are asked before: one that has cosigned more
  refuses the restoration. The witness that this Commun is to others goes on, too;
- NEW: the older ledger is put aside in ``ledger-before``, to be read, and a new one begins at the first start, under a
  new key and a new name; every receipt that is still here is recorded in it. The witness begins anew with a new key:
  one that has forgotten what it signed would sign a fork.

In both cases seeds come from a new secret, so that a nonce that was used after the backup is not used again with the
same one. What was deleted or revoked after the backup was made is there again; retention erases what is due at the
first start.
"""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from commun.backup.archive import BadBackup, LedgerPart, Manifest, open_archive
from commun.charter.edition import InForce
from commun.charter.errors import NoCharter
from commun.charter.loader import verify
from commun.charter.repository import Repository
from commun.errors import N_, CommunError
from commun.ledger.copying import copy_log
from commun.ledger.files import LogFolder
from commun.ledger.keys import VerifierKey
from commun.ledger.log import Head, Log
from commun.ledger.note import Note
from commun.ledger.opening import find_key, open_log
from commun.ledger.policy import Policy
from commun.ledger.verification import verify_log
from commun.ledger.witness_keys import KEY_FILE as WITNESS_KEY_FILE
from commun.places import CHARTER_FOLDER, KEYS_FOLDER, LEDGER_FOLDER, TRUST_FOLDER, WITNESS_FOLDER
from commun.recording.cosignatures import WitnessState
from commun.recording.receipt_key import RECEIPT_KEY_FILE, find_receipt_key
from commun.recording.recorder import LEDGER_KEY_FILE
from commun.recording.witnesses import Witnesses
from commun.store.database import DATABASE_FILE
from commun.store.snapshot import check_snapshot, end_epochs, known_ledger

BEFORE: Final = "ledger-before"
ASK_S: Final = 15.0
_LOOK_S: Final = 0.05


class History(StrEnum):
    CONTINUE = "continue"
    NEW = "new"


class FolderNotEmpty(CommunError):
    """``details``: ``home``."""

    code = "folder_not_empty"
    problem = N_("There is something in “%(home)s” already.")
    cure = N_("Restore into a folder that does not exist yet: nothing is written over.")


class HistoryNotChosen(CommunError):
    """``details``: ``size``."""

    code = "history_not_chosen"
    problem = N_("This backup’s ledger has %(size)s entries, and cannot tell whether more followed.")
    cure = N_(
        "If its Commun recorded nothing after the backup: --ledger continue. If it went on, or you do not know: "
        "--ledger new."
    )


class LedgerWentOn(CommunError):
    """``details``: ``host``, ``reason``, ``size``."""

    code = "ledger_went_on"
    problem = N_("After %(size)s entries the ledger went on, says the witness at %(host)s: %(reason)s.")
    cure = N_("Nothing was restored. Use a newer backup, the newest copy of the ledger with --newest, or --ledger new.")


@dataclass(frozen=True, slots=True)
class Restored:
    """``goes_on``: up to which size the ledger was kept; None: it begins anew. ``silent``: witnesses that could not be
    asked, by host.
    """

    manifest: Manifest
    goes_on: int | None
    silent: tuple[str, ...] = ()


def restore(
    file: Path, home: Path, *, history: History | None, newest: Path | None = None, ask_s: float = ASK_S
) -> Restored:
    """``newest``: a folder with a later copy of the ledger. Raises FolderNotEmpty, HistoryNotChosen, LedgerWentOn,
    BadBackup, and what in the backup does not hold.
    """
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise FolderNotEmpty(home=str(home))
    with open_archive(file) as archive, _beside(home) as folder:
        manifest = archive.manifest
        if manifest.keys and manifest.ledger is not None and history is None:
            raise HistoryNotChosen(size=manifest.ledger.size)
        archive.unpack(folder)
        in_force = _check(folder, manifest)
        size: int | None = None
        silent: tuple[str, ...] = ()
        if manifest.keys and manifest.ledger is not None and history is History.CONTINUE:
            size = manifest.ledger.size if newest is None else _take_newest(folder, manifest.ledger, newest)
            silent = _ask_witnesses(folder, in_force, ask_s)
        else:
            _put_aside(folder)
        end_epochs(folder / DATABASE_FILE, now=time.time())
        _put_in_place(folder, home)
    return Restored(manifest, size, silent)


@contextlib.contextmanager
def _beside(home: Path) -> Iterator[Path]:
    home.parent.mkdir(parents=True, exist_ok=True)
    folder = home.with_name(f".{home.name}.{secrets.token_hex(8)}")
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check(folder: Path, manifest: Manifest) -> InForce | None:
    """Raises BadBackup, and what does not hold in its own words."""
    if not (folder / DATABASE_FILE).is_file():
        raise BadBackup(file=DATABASE_FILE, reason=N_("it is missing"))
    check_snapshot(folder / DATABASE_FILE)
    find_receipt_key(folder / KEYS_FOLDER / RECEIPT_KEY_FILE)
    _check_ledger(folder, manifest)
    try:
        repository = Repository(folder / CHARTER_FOLDER)
        return verify(repository, folder / TRUST_FOLDER, now=datetime.now(UTC)).in_force
    except NoCharter:
        return None


def _check_ledger(folder: Path, manifest: Manifest) -> None:
    known = known_ledger(folder / DATABASE_FILE)
    if manifest.ledger is None:
        if known is not None and known[1]:
            raise BadBackup(file=LEDGER_FOLDER, reason=N_("the database knows of a ledger, and there is none"))
        return
    head = verify_log(LogFolder(folder / LEDGER_FOLDER), [VerifierKey.from_text(manifest.ledger.key)]).head.checkpoint
    if (head.size, head.root.hex()) != (manifest.ledger.size, manifest.ledger.root):
        raise BadBackup(file=LEDGER_FOLDER, reason=N_("its head is another one than the manifest says"))
    if known is not None and known[0] == manifest.ledger.key and known[1] > head.size:
        raise BadBackup(file=LEDGER_FOLDER, reason=N_("it is shorter than the database knows it"))
    key = find_key(folder / KEYS_FOLDER / LEDGER_KEY_FILE)
    if key is not None and key.verifier.text() != manifest.ledger.key:
        raise BadBackup(file=LEDGER_KEY_FILE, reason=N_("it is not this ledger’s key"))


def _take_newest(folder: Path, before: LedgerPart, newest: Path) -> int:
    """Its size. Raises LedgerError where it does not hold, or does not go on from the backup's."""
    ours = LogFolder(folder / LEDGER_FOLDER)
    since = ours.find_checkpoint()
    copy_log(LogFolder(newest), folder / LEDGER_FOLDER)
    return verify_log(ours, [VerifierKey.from_text(before.key)], since=since).size


def _put_aside(folder: Path) -> None:
    """The ledger is kept to be read; the key that could go on with it is not."""
    if (folder / LEDGER_FOLDER).exists():
        (folder / LEDGER_FOLDER).rename(folder / BEFORE)
    for name in (LEDGER_KEY_FILE, WITNESS_KEY_FILE):
        (folder / KEYS_FOLDER / name).unlink(missing_ok=True)
    shutil.rmtree(folder / WITNESS_FOLDER, ignore_errors=True)


def _ask_witnesses(folder: Path, in_force: InForce | None, ask_s: float) -> tuple[str, ...]:
    """Who did not answer, by host. Raises LedgerWentOn."""
    policy = None if in_force is None else in_force.charter.witnesses.policy
    if not policy:
        return ()
    read = Policy.from_bytes(f"{policy}\n".encode())  # a charter’s texts have no newline at their end
    log = open_log(folder / LEDGER_FOLDER, folder / KEYS_FOLDER / LEDGER_KEY_FILE, origin="")
    witnesses = Witnesses(log, lambda: read)
    try:
        witnesses.notice(_unwitnessed(log))
        deadline = time.monotonic() + ask_s
        while time.monotonic() < deadline and any(map(_is_open, states := witnesses.states())):
            time.sleep(_LOOK_S)
        states = witnesses.states()
    finally:
        witnesses.close()
        log.close()
    for state in states:
        if state.is_conflict and state.trouble is not None:
            raise LedgerWentOn(host=state.host, size=log.head.size, reason=state.trouble.details["reason"])
    return tuple(state.host for state in states if state.host and state.size is None)


def _unwitnessed(log: Log) -> Head:
    """With the ledger's own line alone: whoever cosigned it before is asked what was seen since."""
    own, note = log.key.verifier, Note.from_bytes(log.head.data)
    lines = tuple(line for line in note.signatures if (line.name, line.key_id) == (own.name, own.key_id))
    return Head(log.head.checkpoint, Note(note.text, lines).data())


def _is_open(state: WitnessState) -> bool:
    return bool(state.host) and state.size is None and state.trouble is None


def _put_in_place(folder: Path, home: Path) -> None:
    folder.rename(home)  # THE COMMIT POINT; an empty folder gives way
    handle = os.open(home.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
