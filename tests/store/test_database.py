"""The one writer, the readers, and the data folder that belongs to one server."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
import traceback

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from commun.errors import DataFolderBusy
from commun.store.database import DATABASE_FILE, Database
from commun.store.schema import links as links_table
from opened_store import open_store

INSERT = "INSERT INTO links VALUES (?, ?)"


def links(connection):
    return [row[0] for row in connection.exec_driver_sql("SELECT token_hash FROM links ORDER BY token_hash")]


def adding(name, fail=False):
    def work(connection):
        connection.exec_driver_sql(INSERT, (name, 0.0))
        if fail:
            raise ValueError(name)
        return name

    return work


def test_what_was_written_is_read(store, run):
    async def scenario():
        assert await store.database.write(adding(b"a")) == b"a"
        assert await store.database.read(links) == [b"a"]

    run(scenario())


def test_one_failing_write_takes_no_other_with_it(store, run):
    async def scenario():
        works = [adding(b"%02d" % number, fail=number % 3 == 0) for number in range(30)]
        results = await asyncio.gather(*(store.database.write(work) for work in works), return_exceptions=True)
        assert [isinstance(one, ValueError) for one in results] == [number % 3 == 0 for number in range(30)]
        assert await store.database.read(links) == [b"%02d" % number for number in range(30) if number % 3]

    run(scenario())


def test_a_broken_rule_of_the_tables_is_the_writers_own_error(store, run):
    async def scenario():
        await store.database.write(adding(b"a"))
        results = await asyncio.gather(
            store.database.write(adding(b"a")), store.database.write(adding(b"b")), return_exceptions=True
        )
        assert isinstance(results[0], IntegrityError)
        assert await store.database.read(links) == [b"a", b"b"]

    run(scenario())


def test_no_error_tells_what_was_written_or_looked_for(store, run):
    """Errors end up in logs, and their parameters would with them."""
    canary = b"bird-7f3a"

    async def scenario():
        await store.database.write(adding(canary))
        refused = [
            store.database.write(adding(canary)),
            store.database.write(lambda connection: connection.execute(insert(links_table), {"token_hash": canary})),
            store.database.read(lambda connection: connection.exec_driver_sql("SELECT ? FROM nowhere", (canary,))),
            store.database.read(lambda connection: connection.exec_driver_sql(INSERT, (canary, 0.0))),
        ]
        return await asyncio.gather(*refused, return_exceptions=True)

    errors = run(scenario())
    assert all(isinstance(error, DBAPIError) for error in errors)
    for error in errors:
        assert "7f3a" not in "".join(traceback.format_exception(error)) + repr(error) + str(error)


def test_writes_that_wait_share_a_commit(store, run):
    async def scenario():
        release = asyncio.get_running_loop().create_future()
        commits = []

        def slow(connection):
            asyncio.run_coroutine_threadsafe(asyncio.wait_for(release, 120), loop).result()

        def counting(connection):
            driver = connection.connection.driver_connection
            commits.append(driver.total_changes)
            adding(b"%03d" % len(commits))(connection)

        loop = asyncio.get_running_loop()
        first = asyncio.ensure_future(store.database.write(slow))
        await asyncio.sleep(0.05)
        rest = [asyncio.ensure_future(store.database.write(counting)) for _ in range(100)]
        await asyncio.sleep(0.05)
        seen = []
        rest[0].add_done_callback(lambda _: seen.append(len(commits)))
        release.set_result(None)
        await asyncio.gather(first, *rest)
        assert seen == [100]

    run(scenario())


def test_a_reader_cannot_write(store, run):
    async def scenario():
        with pytest.raises(Exception, match="readonly"):
            await store.database.read(adding(b"a"))
        assert await store.database.read(links) == []

    run(scenario())


def test_closing_finishes_what_is_queued(store, run):
    async def scenario():
        for number in range(50):
            store.database.post(adding(b"%02d" % number))
        store.database.close()
        store.database.open()
        assert len(await store.database.read(links)) == 50

    run(scenario())


def test_a_closed_database_says_so(store, run):
    store.database.close()

    async def scenario():
        with pytest.raises(RuntimeError, match="not open"):
            await store.database.write(links)
        with pytest.raises(RuntimeError, match="not open"):
            await store.database.read(links)

    run(scenario())


def test_a_second_server_on_one_folder_is_refused_and_the_command_line_is_not(store, run):
    with pytest.raises(DataFolderBusy):
        Database(store.database.path).open(exclusive=True)
    other = open_store(store.home, exclusive=False)
    run(other.database.write(adding(b"from the command line")))
    other.database.close()
    assert run(store.database.read(links)) == [b"from the command line"]
    store.database.close()
    again = Database(store.database.path)
    again.open(exclusive=True)
    again.close()


def test_two_processes_write_without_losing_anything(store, run):
    script = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from opened_store import open_store\n"
        "store = open_store(Path(sys.argv[1]), exclusive=False)\n"
        "async def main():\n"
        "    for number in range(50):\n"
        "        await store.accounts.make_api_key(await store.accounts.ensure_founder(), str(number))\n"
        "asyncio.run(main()); store.database.close()\n"
    )
    here = str(__import__("pathlib").Path(__file__).parent)
    other = subprocess.Popen([sys.executable, "-c", script, str(store.home), here], stdout=subprocess.DEVNULL)

    async def scenario():
        founder = await store.accounts.ensure_founder()
        while other.poll() is None:
            await store.accounts.make_api_key(founder, "here")
        names = [one.name for one in await store.accounts.api_keys(founder)]
        assert {str(number) for number in range(50)} <= set(names)

    run(scenario())
    assert other.returncode == 0


def test_the_folder_and_its_files_are_their_owners_only(store, run):
    run(store.database.write(adding(b"a")))
    assert stat.S_IMODE(store.home.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in store.home.iterdir()}
    assert set(modes) == {DATABASE_FILE, f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm", "commun.lock"}
    assert set(modes.values()) == {0o600}


def test_the_promises_made_to_sqlite_are_kept(store, run):
    names = ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "temp_store")

    def settings(connection):
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert run(store.database.write(settings)) == ["wal", 2, 1, 1, 2]
    assert run(store.database.read(lambda c: c.exec_driver_sql("PRAGMA foreign_keys").scalar())) == 1


def test_opening_a_current_database_imports_no_alembic(store):
    store.database.close()
    script = (
        "import sys; from pathlib import Path; from commun.store.database import Database\n"
        f"database = Database(Path({str(store.database.path)!r})); database.open(exclusive=True); database.close()\n"
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_write_that_must_survive_a_power_cut_carries_those_before_it_to_the_disk(store, run):
    def synchronous(connection):
        return connection.exec_driver_sql("PRAGMA synchronous").scalar()

    async def scenario():
        assert await store.database.write(synchronous, flush=False) == 1
        assert await store.database.write(synchronous) == 2
        together = (store.database.write(synchronous, flush=flush) for flush in (False, True, False))
        assert 2 in await asyncio.gather(*together)

    run(scenario())


def test_a_full_disk_is_told_to_everybody_who_waits_and_the_writer_goes_on(store, run):
    def limit(pages):
        return lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar()

    def much(connection):
        connection.exec_driver_sql(INSERT, (b"x" * 1_000_000, 0.0))

    async def scenario():
        await store.database.write(adding(b"before"))
        await store.database.write(limit(1))
        results = await asyncio.gather(
            store.database.write(adding(b"a")), store.database.write(much), return_exceptions=True
        )
        assert isinstance(results[1], OperationalError)
        await store.database.check_writable()
        told = [b"a"] if results[0] == b"a" else []
        assert await store.database.read(links) == [*told, b"before"]
        await store.database.write(limit(1_000_000))
        await store.database.write(adding(b"z"))
        assert await store.database.read(links) == [*told, b"before", b"z"]

    run(scenario())


def test_whether_it_takes_writes_is_found_by_writing(store, run):
    async def scenario():
        await store.database.check_writable()
        await store.database.write(lambda connection: connection.exec_driver_sql("PRAGMA query_only = ON"))
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await store.database.check_writable()

    run(scenario())
