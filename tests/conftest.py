"""Shared fixtures. Every test gets its own data folder and no COMMUN_* variable from outside.

The tests run alone or beside others: a file's tests stay together in one process (``--dist loadfile``), the files are
shared out between the processes of pytest-xdist.
"""

import fcntl
import functools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

DAY_S, MINUTE_S = 86_400, 60
PATIENCE_S = 120.0  # for what happens within milliseconds unless the machine is busy; who waits for it ends at once

# How long something takes says nothing about whether it is right: no example has a deadline.
settings.register_profile("commun", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("commun")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first, so that at the end no process waits for another."""

    def marked(name: str) -> set[Path]:
        return {item.path for item in items if item.get_closest_marker(name)}

    engine, browser = marked("engine"), marked("browser")
    items.sort(key=lambda item: (item.path not in engine, item.path not in browser))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Much is counted by the day (UTC), and a day that ends amid a test is none of its mistakes: what would begin in the
    last minute begins on the next day.
    """
    left = DAY_S - time.time() % DAY_S
    if left < MINUTE_S:
        time.sleep(left + 1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("COMMUN_") and name != "COMMUN_VECTORS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("COMMUN_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_read_once() -> Iterator[None]:
    """A client reads all of the system's, also to ask a server without TLS: 25 ms, thousands of times."""
    import httpcore2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpcore2, "default_ssl_context", functools.cache(httpcore2.default_ssl_context))
        yield


@pytest.fixture(scope="session", autouse=True)
def _a_busy_machine_is_waited_for() -> Iterator[None]:
    """A client that is told nothing else gives up after five seconds of silence."""
    from httpx2._config import DEFAULT_TIMEOUT_CONFIG

    with pytest.MonkeyPatch.context() as patch:
        for part in ("connect", "read", "write", "pool"):
            patch.setattr(DEFAULT_TIMEOUT_CONFIG, part, PATIENCE_S)
        yield


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the real default model, converted once for the whole run, whichever process needs it first.
    Link it with ``running.with_models``."""
    from commun.engine.weights import ModelLibrary

    folder = tmp_path_factory.getbasetemp()
    home = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder  # the run's own, in either case
    with one_at_a_time(home / "models.lock"):
        if not (home / "models" / "default").exists():
            ModelLibrary(home).add("default", progress=lambda *_: None)
    return home / "models"
