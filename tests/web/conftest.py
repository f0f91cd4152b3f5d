"""Who visits a module's ``site``: somebody without a cookie, and somebody who is signed in."""

from collections.abc import Iterator

import httpx2
import pytest

from site_server import Site


@pytest.fixture
def stranger(site: Site) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site.url, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def member(site: Site) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True) as client:
        assert client.get(site.link()).status_code == 200
        yield client
