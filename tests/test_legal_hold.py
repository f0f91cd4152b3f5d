"""A legal hold from its adoption to its lifting: a board of two on the command line, a running Commun, its ledger."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from commun.charter.errors import NotEnoughYet
from commun.store.database import DATABASE_FILE
from commun.upkeep import purge
from fake_engine import FakeEngine
from site_server import Site, serving
from test_charter_cli import AMENDMENT, Member, changed_folder, joined, only, send

JSON = {"Accept": "application/json"}
UNTIL = (datetime.now(UTC) + timedelta(days=100)).date()
FREE = "\n[retention]\ndays = 30"
HELD = f"{FREE}\nhold_until = {UNTIL}"
DAY_S = 86_400


@dataclass
class Office:
    """``alice`` has the data folder that is served; ``bob`` signs at home."""

    alice: Member
    bob: Member
    site: Site
    client: httpx2.Client

    def proposed(self, before: str, after: str, name: str) -> Path:
        """A change that Alice has signed, as it reaches Bob."""
        told = self.alice.run(
            "propose", changed_folder(self.alice, before, after, name=name), "--reason", "A court asks."
        )
        found = AMENDMENT.search(told)
        assert found
        self.alice.run("sign", found[1], "--yes", secret=True)
        return send(self.alice, self.bob, found[1])

    def adopted(self, before: str, after: str, name: str) -> str:
        """What Bob has read and signed, in force. Returns what he read."""
        sent = self.proposed(before, after, name)
        with pytest.raises(NotEnoughYet):
            self.alice.run("adopt", sent)
        read = self.bob.run("diff", sent)
        self.bob.run("sign", sent, "--yes", secret=True)
        self.alice.run("adopt", sent)
        self.site.run(self.site.app.state.services.charter.refresh())
        return read

    def upkeep(self) -> None:
        self.site.run(purge(self.site.app.state.services))

    def rows(self) -> int:
        """Conversations that are stored, deleted or not."""
        with contextlib.closing(sqlite3.connect(self.alice.home / DATABASE_FILE)) as database:
            return int(database.execute("SELECT COUNT(*) FROM conversations").fetchone()[0])

    def age(self, days: int) -> None:
        """As if the clock had gone on by so many days."""
        with contextlib.closing(sqlite3.connect(self.alice.home / DATABASE_FILE, timeout=120)) as database, database:
            database.execute(
                "UPDATE conversations SET updated = updated - ?, deleted = deleted - ?", [days * DAY_S] * 2
            )


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    alice = Member(tmp_path / "alice")
    alice.run("init", "--name", "Mairie", "--member", "Alice", secret=True)
    bob = joined(alice, "Bob", quorum=2)
    sent = send(alice, bob, only(alice))
    bob.run("sign", sent, "--yes", secret=True)
    alice.run("adopt", sent)
    with (
        serving(alice.home, FakeEngine()) as site,
        httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True) as client,
    ):
        client.get(site.link()).raise_for_status()
        yield Office(alice, bob, site, client)


def test_what_a_board_of_two_holds_outlives_its_days_and_goes_when_they_lift_it(office: Office) -> None:
    client = office.client
    old, deleted = (str(client.post("/ask", data={"question": "Why?"}, headers=JSON).json()["url"]) for _ in range(2))
    read = office.adopted("\n[retention]\ndays = 0", HELD, "held")
    assert f"A legal hold begins: until {UNTIL}" in read
    assert f"until {UNTIL}: nothing stored is erased" in office.alice.run("show")
    client.post(f"{deleted}/delete")
    office.age(40)
    office.upkeep()
    assert office.rows() == 2
    assert client.get(old).status_code == 200
    assert client.get(deleted).status_code == 404
    assert "erased, being older" not in client.get("/ledger").text
    read = office.adopted(HELD, FREE, "lifted")
    assert f"There is no legal hold any more (so far: until {UNTIL}" in read
    office.upkeep()
    assert office.rows() == 0
    assert client.get(old).status_code == 404
    deadline = time.monotonic() + 120
    while "One conversation was erased, being older than 30 days" not in client.get("/ledger").text:
        assert time.monotonic() < deadline, "the other one was its owner's own wish, and is not counted"
        time.sleep(0.1)
