"""Migrations keep what is there, copy it first, and leave nothing half done."""

import shutil
import sqlite3
import stat
from contextlib import closing

import pytest

from commun.errors import DataFolderBusy
from commun.store import upgrade as upgrading
from commun.store.database import Database
from commun.store.schema import REVISION
from opened_store import open_store

ADDS_A_COLUMN = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "{revision}_test", "{revision}"
def upgrade():
    op.add_column("conversations", sa.Column("pinned", sa.Float))
    {then}
"""


@pytest.fixture
def newer(tmp_path, monkeypatch):
    """Makes this Commun one migration newer than it is."""

    def make(then="pass"):
        folder = tmp_path / "migrations"
        shutil.copytree(upgrading._MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions" / "test.py").write_text(ADDS_A_COLUMN.format(revision=REVISION, then=then))
        monkeypatch.setattr(upgrading, "_MIGRATIONS", folder)
        monkeypatch.setattr(upgrading, "REVISION", f"{REVISION}_test")

    return make


def columns(path, table="conversations"):
    with closing(sqlite3.connect(path)) as connection:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def written(store, run):
    async def scenario():
        signed_in = await store.sign_in()
        turn = await store.chat(signed_in.viewer, "Before?", "Before.")
        return signed_in.token, turn.conversation_id

    return run(scenario())


def test_an_upgrade_keeps_what_is_there_and_copies_it_first(store, run, newer):
    token, conversation_id = written(store, run)
    store.database.close()
    newer()
    again = open_store(store.home)

    async def scenario():
        viewer = await again.accounts.viewer(token)
        stored = await again.conversations.get(viewer, conversation_id)
        assert [one.content["text"] for one in stored.path()] == ["Before?", "Before."]

    run(scenario())
    again.database.close()
    assert "pinned" in columns(store.database.path)
    [copy] = (store.home / "backups").iterdir()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert "pinned" not in columns(copy)
    assert upgrading.revision(copy) == REVISION
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (2,)


def test_a_migration_that_fails_changes_nothing(store, run, newer):
    written(store, run)
    store.database.close()
    newer(then="raise RuntimeError('half way')")
    with pytest.raises(upgrading.UpgradeFailed) as told:
        open_store(store.home)
    assert str(told.value.__cause__) == "half way"
    assert "pinned" not in columns(store.database.path)
    assert upgrading.revision(store.database.path) == REVISION
    assert not any(file.name.endswith("-wal") for file in store.home.iterdir())


def test_the_command_line_does_not_change_the_tables_under_a_running_server(store, newer):
    newer()
    with pytest.raises(DataFolderBusy):
        Database(store.database.path).open()
    assert "pinned" not in columns(store.database.path)


def test_only_the_newest_copies_are_kept(store, monkeypatch):
    seconds = iter(range(100))
    monkeypatch.setattr(upgrading.time, "strftime", lambda *_: f"20260101T0000{next(seconds):02d}Z")
    copies = [upgrading.backup(store.database.path, "test") for _ in range(8)]
    assert sorted((store.home / "backups").iterdir()) == copies[-upgrading.BACKUPS_KEPT :]


def test_a_database_from_a_newer_commun_is_left_alone(store):
    store.database.close()
    with closing(sqlite3.connect(store.database.path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(upgrading.NewerDatabase):
        open_store(store.home)
    assert upgrading.revision(store.database.path) == "9999"


def test_a_file_that_is_no_database_is_told_and_left_alone(store):
    store.database.close()
    store.database.path.write_bytes(b"rubbish " * 1000)
    with pytest.raises(upgrading.DamagedDatabase):
        open_store(store.home)
    assert store.database.path.read_bytes() == b"rubbish " * 1000
    store.database.path.unlink()
    open_store(store.home).database.close()  # the lock was let go
