"""How long a conversation is kept: its reader sees when it ends, may end it at once, and where nothing may be kept
nothing is.
"""

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from commun.web.i18n import long_date
from exports import chatgpt_zip, two_branches
from fake_engine import FakeEngine
from founded import amend_for_tests, found_for_tests
from site_server import Site, serving

WORDS = "canary-kept-61b2 " * 600
JSON = {"Accept": "application/json"}
FOR_GOOD = "[retention]\ndays = 0"
A_YEAR = "[retention]\ndays = 365"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@contextlib.contextmanager
def signed_in(site: Site) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True) as client:
        client.get(site.link()).raise_for_status()
        yield client


def ask(client: httpx2.Client) -> str:
    """The conversation's address."""
    return str(client.post("/ask", data={"question": WORDS}, headers=JSON).json()["url"])


@pytest.fixture
def site(home: Path) -> Iterator[Site]:
    with serving(home, FakeEngine()) as running:
        yield running


def in_days(days: int) -> str:
    return long_date((datetime.now(UTC) + timedelta(days=days)).date(), "en")


def test_a_conversation_says_when_the_charter_ends_it_and_near_the_end_beside_its_title(home: Path) -> None:
    founder = found_for_tests(home, {FOR_GOOD: A_YEAR})
    with serving(home, FakeEngine()) as site, signed_in(site) as client:
        page = client.get(ask(client)).text
        assert f"Erased on {in_days(365)} unless it goes on before" in page
        assert "until " + in_days(365) not in page
        amend_for_tests(home, founder, {A_YEAR: "[retention]\ndays = 20"})
        site.run(site.app.state.services.charter.refresh())
        page = client.get(ask(client)).text
        assert f"until {in_days(20)}" in page
        client.post("/settings/import", files={"file": ("x.zip", chatgpt_zip([two_branches()]))})
        until_there(client, "Weather")
        found = re.search(r'href="(/c/\w+)"[^>]*>(?:<[^>]+>)*\s*Weather', client.get("/").text)
        assert found
        assert f"until {in_days(20)}" in client.get(found[1]).text, "what was brought in is kept from today on"


def until_there(client: httpx2.Client, title: str) -> None:
    deadline = time.monotonic() + 120
    while title not in client.get("/").text:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_where_the_charter_keeps_them_for_good_no_end_is_told(home: Path) -> None:
    found_for_tests(home)
    with serving(home, FakeEngine()) as site, signed_in(site) as client:
        assert "Erased on" not in client.get(ask(client)).text


def test_where_nothing_may_be_stored_nothing_is_brought_in_either(home: Path) -> None:
    found_for_tests(home, {'[temporary]\nrule = "offered"': '[temporary]\nrule = "only"'})
    with serving(home, FakeEngine()) as site, signed_in(site) as client:
        reply = client.post("/settings/import", files={"file": ("x.zip", chatgpt_zip([two_branches()]))})
        assert reply.status_code in (400, 403, 422)
        assert "temporary" in reply.text
        assert "Weather" not in client.get("/").text


def test_erasing_leaves_no_byte_and_no_way_back(site: Site, home: Path) -> None:
    with signed_in(site) as client:
        erased, kept = ask(client), ask(client)
        for address in (erased, kept):
            answer = re.findall(r'class="message answer" id="m-(\w+)"', client.get(address).text)[-1]
            client.get(f"/answers/{answer}/events")
        with sqlite3.connect(f"file:{home / 'commun.db'}?mode=ro", uri=True) as connection:
            of_it = (erased.removeprefix("/c/"),)
            seals = [
                row[0] for row in connection.execute("SELECT content FROM messages WHERE conversation_id = ?", of_it)
            ]
            seals += connection.execute("SELECT sealed_key FROM conversations WHERE id = ?", of_it).fetchone()
        connection.close()
        deleted = client.post(f"{erased}/delete", headers=JSON).json()
        assert f"{erased}/erase" in deleted["toast"]
        assert client.post(f"{erased}/erase").status_code == 200
        for path in home.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                for seal in seals:
                    middle = len(seal) // 2
                    assert seal[:24] not in data, path.name
                    assert seal[middle : middle + 24] not in data, path.name
        assert client.post(f"{erased}/restore").status_code == 404
        assert client.post(f"{erased}/erase").status_code == 404
        assert client.get(kept).status_code == 200


def test_nobody_erases_what_is_somebody_elses(site: Site) -> None:
    from inhabitants import inhabitant

    with signed_in(site) as client:
        mine = ask(client)
        with inhabitant(site).browser() as other:
            assert other.post(f"{mine}/erase").status_code == 404
        assert client.get(mine).status_code == 200
