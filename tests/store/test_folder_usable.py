"""Which errors of the system say something of the data folder, and which do not."""

import errno
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from commun.errors import DataFolderUnusable
from commun.store.folder import find_reason, usable

HOME = Path("/srv/commun")


@pytest.mark.parametrize("place", [HOME, HOME / "keys" / "audit.key", HOME.parent], ids=str)
def test_what_is_refused_in_the_folder_or_above_it_is_said_of_it(place: Path) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", str(place))
    assert find_reason(error, HOME) == "who runs Commun may not write there"


def test_a_full_disk_names_no_file() -> None:
    assert find_reason(OSError(errno.ENOSPC, "No space left on device"), HOME) == "there is no space left"


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied", "/opt/models/big.gguf"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        OSError(errno.EMFILE, "Too many open files"),
        TimeoutError(),
        FileNotFoundError(errno.ENOENT, "No such file", str(HOME / "keys" / "ledger.key")),
        ValueError("another thing"),
    ],
    ids=repr,
)
def test_what_says_nothing_of_the_folder_is_not_blamed_on_it(error: Exception) -> None:
    assert find_reason(error, HOME) is None
    with pytest.raises(type(error)), usable(HOME):
        raise error


def test_a_database_that_sqlite_may_not_write_is_told_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "commun.db").write_bytes(b"")
    engine = create_engine(f"sqlite+pysqlite:///file:{tmp_path}/commun.db?mode=ro&uri=true")
    with engine.connect() as connection, pytest.raises(DataFolderUnusable) as told, usable(tmp_path):
        connection.exec_driver_sql("CREATE TABLE one (two)")
    assert told.value.details == {"home": str(tmp_path), "reason": "who runs Commun may not write there"}
    assert isinstance(told.value.__cause__, OperationalError)


def test_another_error_of_sqlite_is_none_of_the_folders(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "one.db") as database, pytest.raises(sqlite3.OperationalError), usable(tmp_path):
        database.execute("SELECT nothing FROM nowhere")
    database.close()
