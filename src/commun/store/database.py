"""The database file: one writer thread with group commit, a few readers, and who may open it (docs/adr/0002).

Who owns what: the *writer thread* owns the only connection that writes. Functions given to ``write`` are queued; all
that are waiting are run in one transaction, each in its own savepoint, so that one that fails takes no other with it.

The commit point: a caller of ``write`` hears the result only after COMMIT. What it was told survives kill -9; with
``flush`` (the rule; ``synchronous=FULL``) it survives a power cut too. Without it (``synchronous=NORMAL``) a power cut
may take the last writes, never leave half of them; the next flushed write carries the earlier ones to the disk with
it. Reads run in a small pool, each in its own snapshot.

Refuses to: hand out a connection that outlives the function it was lent to; let two servers use one data folder.
"""

import asyncio
import contextlib
import queue
import secrets
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from commun.store.folder import FolderLock, private_file, private_folder, usable
from commun.store.upgrade import is_current, upgrade

DATABASE_FILE: Final = "commun.db"
READERS: Final = 4
MAX_BATCH: Final = 256  # bounds how long a commit's oldest caller waits for its youngest
BUSY_TIMEOUT_MS: Final = 10_000  # another process writes for milliseconds (command line)
CHECK_TIMEOUT_S: Final = 5.0
TRUNCATE_TIMEOUT_MS: Final = 500  # a long search must not hold the writer up: the log is truncated next time

T = TypeVar("T")
log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Job:
    """``future`` is None when nobody waits for the result. ``flush``: on the disk before anybody is told. ``outside``:
    after the batch, in no transaction.
    """

    work: Callable[[Connection], Any]
    future: "asyncio.Future[Any] | None"
    flush: bool = True
    outside: bool = False
    result: Any = None
    error: BaseException | None = None


def connect(path: Path, *, writer: bool) -> Engine:
    """An engine whose connections are in autocommit mode: transactions are begun and ended in plain sight."""
    engine = create_engine(
        f"sqlite+pysqlite:///{path}",
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,  # an error's text ends up in logs
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000, "cached_statements": 256},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA temp_store = MEMORY")  # nothing of a query ever reaches a temporary file
        if writer:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA secure_delete = ON")
        else:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    return engine


class Database:
    """``path``: the database file; its folder is the data folder, made private (0700) if it does not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: FolderLock | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._write_engine: Engine | None = None
        self._read_engine: Engine | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._of_thread = threading.local()
        self._read_connections: list[Connection] = []
        self._left = False  # whether the write-ahead log still has what was to be forgotten

    def open(self, *, exclusive: bool = False) -> None:
        """Makes or migrates the database and starts the writer. ``exclusive``: the server's way, held until
        ``close``. Raises DataFolderBusy when another server holds the folder (also without ``exclusive`` where a
        migration is needed: the tables are not changed under a running server), DataFolderUnusable, and what
        ``upgrade`` raises.
        """
        with usable(self.path.parent):
            self._open(exclusive=exclusive)

    def _open(self, *, exclusive: bool) -> None:
        private_folder(self.path.parent)
        lock = FolderLock(self.path.parent)
        if exclusive:
            lock.take()
            self._lock = lock
        try:
            private_file(self.path)
            if not is_current(self.path):
                with contextlib.nullcontext() if exclusive else lock:
                    upgrade(self.path)
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self._write_engine = connect(self.path, writer=True)
        self._read_engine = connect(self.path, writer=False)
        connection = self._write_engine.connect()
        self._writer = threading.Thread(target=self._run, args=(connection,), name="commun-writer", daemon=True)
        self._writer.start()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="commun-reader")

    def close(self) -> None:
        """Finishes what is queued, empties the write-ahead log and lets the folder go. May be called twice."""
        if self._writer is not None:
            self._jobs.put(None)
            self._writer.join()
            self._writer = None
        if self._readers is not None:
            self._readers.shutdown()
            self._readers = None
        for connection in self._read_connections:
            connection.close()
        self._read_connections.clear()
        self._of_thread = threading.local()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs ``work`` in a reader thread, in one snapshot; it sees everything that was committed before."""
        if self._readers is None:
            raise RuntimeError("the database is not open")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def _read(self, work: Callable[[Connection], T]) -> T:
        connection: Connection | None = getattr(self._of_thread, "connection", None)
        if connection is None:
            if self._read_engine is None:
                raise RuntimeError("the database was never opened")
            connection = self._of_thread.connection = self._read_engine.connect()
            self._read_connections.append(connection)
        driver = connection.connection.driver_connection
        if driver is None:
            raise RuntimeError("the connection is closed")
        driver.execute("BEGIN")
        try:
            return work(connection)
        finally:
            driver.execute("COMMIT")

    async def write(self, work: Callable[[Connection], T], *, flush: bool = True) -> T:
        """Runs ``work`` in the writer; returns after COMMIT. What it raises undoes its own writes only and is raised
        here. If the caller is cancelled, the work is done all the same.
        """
        return await self._submit(work, flush=flush)

    def post(self, work: Callable[[Connection], object]) -> None:
        """Like ``write`` for what nobody waits for and may be lost in a crash (last-used times). Never blocks."""
        self._jobs.put(_Job(work, None, flush=False))

    async def check_writable(self) -> None:
        """Writes a number that nobody reads; raises whatever stands in the way (a full disk, TimeoutError)."""

        def work(connection: Connection) -> None:
            connection.exec_driver_sql(f"PRAGMA user_version = {secrets.randbelow(1 << 31)}")

        await asyncio.wait_for(self.write(work, flush=False), CHECK_TIMEOUT_S)

    async def forget(self) -> None:
        """Copies the write-ahead log into the database and cuts it to nothing, so that deleted bytes really go. Where a
        reader holds the log, ``forget_left`` does it later.
        """
        self._left = True
        self._left = not await self._submit(_truncate, outside=True)

    async def forget_left(self) -> None:
        """Tries again what ``forget`` could not do. For upkeep."""
        if self._left:
            await self.forget()

    async def _submit(self, work: Callable[[Connection], T], *, flush: bool = True, outside: bool = False) -> T:
        if self._writer is None:
            raise RuntimeError("the database is not open")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(work, future, flush, outside))
        return await future

    def _run(self, connection: Connection) -> None:
        """The writer thread, until None comes out of the queue."""
        going_on = True
        while going_on:
            batch = [self._jobs.get()]
            with contextlib.suppress(queue.Empty):
                while batch[-1] is not None and len(batch) < MAX_BATCH:
                    batch.append(self._jobs.get_nowait())
            going_on = batch[-1] is not None
            jobs = [job for job in batch if job is not None]
            commit([job for job in jobs if not job.outside], connection)
            for job in jobs:
                if job.outside:
                    _attempt(job, connection)
            _tell(jobs)
        with contextlib.suppress(Exception):
            _truncate(connection)
        connection.close()


def commit(jobs: list[_Job], connection: Connection) -> None:
    """Runs ``jobs`` in one transaction. A job's error is its own; an error of the transaction is everybody's."""
    driver = connection.connection.driver_connection
    if not jobs or driver is None:
        return
    try:
        # Set for each transaction, before it: within one, SQLite ignores it.
        driver.execute(f"PRAGMA synchronous = {'FULL' if any(job.flush for job in jobs) else 'NORMAL'}")
        driver.execute("BEGIN IMMEDIATE")
        for job in jobs:
            driver.execute("SAVEPOINT job")
            _attempt(job, connection)
            if job.error is not None:
                driver.execute("ROLLBACK TO job")
            driver.execute("RELEASE job")
        driver.execute("COMMIT")  # the commit point: from here on, what was written is kept
    except Exception as error:  # noqa: BLE001  (disk full, lock held: every caller must hear of it)
        with contextlib.suppress(Exception):
            driver.execute("ROLLBACK")
        for job in jobs:
            job.error = job.error or error


def _attempt(job: _Job, connection: Connection) -> None:
    try:
        job.result = job.work(connection)
    except Exception as error:  # noqa: BLE001  (handed to whoever asked)
        job.error = error


def _tell(jobs: Iterable[_Job]) -> None:
    """Wakes the callers, one call per event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        if job.future is not None:
            by_loop.setdefault(job.future.get_loop(), []).append(job)
        elif job.error is not None:
            log.warning("background_write_failed", error=type(job.error).__name__)
    for loop, told in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody listens
            loop.call_soon_threadsafe(_resolve, told)


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future is None or job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


def _truncate(connection: Connection) -> bool:
    """Whether the log was cut: not while somebody reads what stands in it."""
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {TRUNCATE_TIMEOUT_MS}")
    busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return not busy
