"""A consistent copy of the database file, also while a server writes to it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from commun.store.folder import private_file
from commun.store.upgrade import DamagedDatabase, is_current

_BUSY_S: Final = 30.0


def snapshot(path: Path, target: Path) -> None:
    """By SQLite's own backup, in one step: all that was committed before it, and nothing after."""
    private_file(target)
    with (
        closing(sqlite3.connect(path, timeout=_BUSY_S)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it


def check_snapshot(path: Path) -> None:
    """Every page and every reference. Raises DamagedDatabase, NewerDatabase."""
    is_current(path)
    try:
        with closing(sqlite3.connect(path)) as connection:
            whole = connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            strays = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.DatabaseError as error:
        raise DamagedDatabase(home=str(path.parent)) from error
    if not whole or strays is not None:
        raise DamagedDatabase(home=str(path.parent))


def known_ledger(path: Path) -> tuple[str, int] | None:
    """The key and the size of the ledger that this database knows; None where it knows of none."""
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT key, size FROM ledgers WHERE replaced IS NULL").fetchone()
    return None if row is None else (str(row[0]), int(row[1]))


def end_epochs(path: Path, *, now: float) -> None:
    """No seed comes from a secret of before any more: what it has served for since is not known here."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE epochs SET closed = ? WHERE closed IS NULL", (now,))
