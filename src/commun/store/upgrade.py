"""Bringing the tables to the newest revision: a private copy first, then Alembic.

Alembic is imported only when there is something to do: it would cost a tenth of a second at each start.
"""

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import structlog

from commun.errors import N_, CommunError
from commun.store.folder import find_reason, private_file, private_folder
from commun.store.schema import REVISION

BACKUPS: Final = "backups"
BACKUPS_KEPT: Final = 5
_MIGRATIONS: Final = Path(__file__).parent / "migrations"

log = structlog.get_logger()


class DamagedDatabase(CommunError):
    """``details``: ``home``."""

    code = "damaged_database"
    problem = N_("The database in “%(home)s” is damaged.")
    cure = N_("Move commun.db away and put a copy from the folder “backups” in its place.")


def revision(path: Path) -> str | None:
    """The revision of the tables in the file, or None where there are none yet."""
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if row is None else str(row[0])


class NewerDatabase(CommunError):
    """``details``: ``home``."""

    code = "newer_database"
    problem = N_("The data folder “%(home)s” was used by a newer Commun than this one.")
    cure = N_("Install the newer Commun again, or name another folder with --home.")


class UpgradeFailed(CommunError):
    """``details``: ``home``."""

    code = "upgrade_failed"
    problem = N_(
        "The database in “%(home)s” could not be changed into the form that this Commun needs. It is as it was."
    )
    cure = N_("Go on with the Commun that used it last, and report what stands above.")


def is_current(path: Path) -> bool:
    """Whether there is nothing to migrate. Raises DamagedDatabase, and NewerDatabase: what this Commun does not know,
    it leaves alone.
    """
    try:
        found = revision(path)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
            raise DamagedDatabase(home=str(path.parent)) from error
        raise
    if found is not None and found > REVISION:
        raise NewerDatabase(home=str(path.parent))
    return found == REVISION


def upgrade(path: Path, to: str = "head") -> None:
    """Migrates, after a backup if there is anything to lose. All of it happens or none of it. Raises UpgradeFailed
    where the tables are not what the revision says.
    """
    before = revision(path)
    if before is not None:
        backup(path, before)
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    engine = create_engine(
        f"sqlite+pysqlite:///{path}", poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            config.attributes["connection"] = connection
            command.upgrade(config, to)
            connection.exec_driver_sql("COMMIT")
        except BaseException as error:
            with suppress(DBAPIError):  # a full disk has undone it already
                connection.exec_driver_sql("ROLLBACK")
            if not isinstance(error, Exception) or find_reason(error, path.parent) is not None:
                raise
            log.exception("the database could not be migrated", before=before)
            raise UpgradeFailed(home=str(path.parent)) from error
    log.info("database_migrated", before=before, after=revision(path))


def backup(path: Path, before: str) -> Path:
    """A copy of the database in ``backups``, readable by its owner only; the newest ones are kept."""
    folder = path.parent / BACKUPS
    private_folder(folder)
    target = folder / f"{path.stem}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-before-{before}.db"
    private_file(target)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    for old in sorted(folder.glob(f"{path.stem}-*.db"))[:-BACKUPS_KEPT]:
        old.unlink()
    return target
