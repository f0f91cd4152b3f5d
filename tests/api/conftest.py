"""One running API for each file of tests."""

from collections.abc import Iterator

import pytest

from api.server import RunningApi, running_api


@pytest.fixture(scope="module")
def api() -> Iterator[RunningApi]:
    with running_api() as running:
        yield running
