"""A running API for each test."""

from collections.abc import Iterator

import pytest

from api.server import RunningApi, running_api


@pytest.fixture
def api() -> Iterator[RunningApi]:
    with running_api() as running:
        yield running
