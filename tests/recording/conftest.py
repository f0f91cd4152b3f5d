"""A data folder with a charter, a database and a recorder, all of them real."""

import asyncio
from pathlib import Path

import pytest

from founded import found_for_tests


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    found_for_tests(home)
    return home


@pytest.fixture
def run():
    """Runs a coroutine to its end."""
    return asyncio.run
