"""Making a backup, while a server runs or not.

What goes in: the database, the charter and what this machine has verified of it, the ledger, the witness's memory, the
settings' file; the keys, unless they are left out; the models' originals, where they are asked for.

The order makes the parts fit each other without stopping anybody: what one part knows of another is never ahead of it.

1. the database, by SQLite's own backup: a moment of it. It knows the ledger up to a size, and the ledger only grows;
2. what was verified of the charter, and the witness's memory: older than the charter that follows, never newer;
3. the ledger: its head, then all that the head refers to;
4. the charter, under its lock: every edition that the ledger has was published before.

The keys sign in this Commun's name: receipts, heads of its ledger, cosignatures. A backup without them does not bring
the ledger back to go on, only to be read; one with them is as secret as the machine. The board's keys in the folder are
sealed with their passphrases, in the backup too. Never in it: the key that opens answers kept for audits (its reach is
days, a backup's is years), and what a start makes again (converted models, locks).
"""

import shutil
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from commun import __version__
from commun.backup.archive import MODELS_FOLDER, LedgerPart, Manifest, Part, is_name, part_of, write_archive
from commun.charter.repository import Repository, RepositoryBusy
from commun.errors import N_, CommunError
from commun.ledger.checkpoint import read_checkpoint
from commun.ledger.copying import copy_log
from commun.ledger.files import LogFolder
from commun.ledger.opening import LogWithoutKey, find_key
from commun.places import CHARTER_FOLDER, KEYS_FOLDER, LEDGER_FOLDER, TRUST_FOLDER, WITNESS_FOLDER
from commun.recording.recorder import LEDGER_KEY_FILE
from commun.store.database import DATABASE_FILE
from commun.store.snapshot import snapshot

CONFIG_FILE: Final = "commun.toml"
SECRET_SETTINGS: Final = frozenset({"remote_key"})
NEVER: Final = frozenset({f"{KEYS_FOLDER}/audit.key"})
MODEL_FILES: Final = ("*/manifest.toml", "*/original/*")
_WAIT_S: Final = 10.0
_LOOK_S: Final = 0.1


class NothingToBackUp(CommunError):
    """``details``: ``home``."""

    code = "nothing_to_back_up"
    problem = N_("There is no Commun in “%(home)s”.")
    cure = N_("Name its data folder with --home.")


class NotABackupName(CommunError):
    """``details``: ``file``."""

    code = "not_a_backup_name"
    problem = N_("The file “%(file)s” has a name that a backup cannot hold.")
    cure = N_("Rename it with plain letters and digits, or move it out of the data folder.")


@dataclass(frozen=True, slots=True)
class Made:
    """``size``: of the file, in bytes. ``left_out``: names that were left out for what they hold."""

    manifest: Manifest
    size: int
    left_out: tuple[str, ...]


def make_backup(home: Path, target: Path, *, keys: bool = True, models: bool = False) -> Made:
    """Raises NothingToBackUp, BackupExists, BackupChanged, NotABackupName, OSError, and what a damaged ledger does."""
    if not (home / DATABASE_FILE).is_file():
        raise NothingToBackUp(home=str(home))
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as staged:
        folder = Path(staged)
        snapshot(home / DATABASE_FILE, folder / DATABASE_FILE)
        for name in (TRUST_FOLDER, WITNESS_FOLDER, *((KEYS_FOLDER,) if keys else ())):
            _copy(home, folder, name)
        ledger = _copy_ledger(home, folder)
        _copy_charter(home, folder)
        left_out = _copy_settings(home, folder, keys=keys)
        paths = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
        if models:
            paths |= _models(home)
        manifest = Manifest(int(time.time()), __version__, keys, ledger, tuple(_parts(paths)))
        size = write_archive(target, manifest, [paths[part.name] for part in manifest.parts])
    return Made(manifest, size, left_out)


def _parts(paths: dict[str, Path]) -> Iterator[Part]:
    for name in sorted(paths):
        if not is_name(name):
            raise NotABackupName(file=name)
        yield part_of(name, paths[name])


def _files(folder: Path) -> Iterator[Path]:
    """Plain files only; what begins with a dot is a lock, or on its way to another name."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not path.is_symlink() and not hidden:
            yield path


def _copy(home: Path, folder: Path, name: str) -> None:
    for path in _files(home / name):
        inside = path.relative_to(home)
        if inside.as_posix() in NEVER:
            continue
        (folder / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / inside)


def _copy_ledger(home: Path, folder: Path) -> LedgerPart | None:
    source = LogFolder(home / LEDGER_FOLDER)
    if source.find_checkpoint() is None:
        return None
    key = find_key(home / KEYS_FOLDER / LEDGER_KEY_FILE)
    if key is None:
        raise LogWithoutKey
    head = read_checkpoint(copy_log(source, folder / LEDGER_FOLDER))[0]
    return LedgerPart(key.verifier.text(), head.size, head.root.hex())


def _copy_charter(home: Path, folder: Path) -> None:
    repository = Repository(home / CHARTER_FOLDER)
    if not repository.has_charter():
        return
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            with repository.locked():
                _copy(home, folder, CHARTER_FOLDER)
        except RepositoryBusy:  # an edition is being adopted: that takes a moment
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_S)
        else:
            return


def _copy_settings(home: Path, folder: Path, *, keys: bool) -> tuple[str, ...]:
    """Without the keys, a file of settings that holds a secret is left out, too."""
    path = home / CONFIG_FILE
    if not path.is_file():
        return ()
    if not keys and SECRET_SETTINGS & tomllib.loads(path.read_text()).keys():
        return (CONFIG_FILE,)
    shutil.copyfile(path, folder / CONFIG_FILE)
    return ()


def _models(home: Path) -> dict[str, Path]:
    folder = home / MODELS_FOLDER
    found = (path for pattern in MODEL_FILES for path in folder.glob(pattern))
    return {f"{MODELS_FOLDER}/{path.relative_to(folder).as_posix()}": path for path in found if path.is_file()}
