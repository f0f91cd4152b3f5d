"""A store in the test's own data folder."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from opened_store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "home")
    yield opened
    opened.database.close()


@pytest.fixture
def run():
    """Runs a coroutine to its end."""
    return asyncio.run
