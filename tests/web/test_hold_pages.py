"""A legal hold, as its readers meet it: told on every page, and what it refuses refused in both languages."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Connection, delete, select

from commun.charter.keys import SoftwareKey
from commun.drafting.models import default_model_clause
from commun.errors import CommunError
from commun.store import sessions as rows
from commun.store.people import Role
from commun.store.schema import conversations, sessions
from commun.store.tokens import identify
from commun.upkeep import purge
from commun.web.hold import AccountOnHold, HoldUnknown, LastWayOnHold, OnHold, VaultOnHold
from commun.web.i18n import LANGUAGES, long_date, translator
from fake_engine import FakeEngine
from founded import amend_for_tests, found_for_tests
from site_server import Site, serving

JSON = {"Accept": "application/json"}
UNTIL = datetime.now(UTC).date() + timedelta(days=100)
FREE = "[retention]\ndays = 30"
HELD = f"[retention]\ndays = 30\nhold_until = {UNTIL}"
AGES = 40 * 86_400


@dataclass
class Held:
    """A Commun whose second edition holds everything for a hundred days; ``client``: its founder's browser; ``first``:
    the first page that it showed after that.
    """

    site: Site
    home: Path
    founder: SoftwareKey
    client: httpx2.Client
    first: str = ""

    def ask(self) -> str:
        """The address of a new conversation."""
        return str(self.client.post("/ask", data={"question": "Why?"}, headers=JSON).json()["url"])

    def amend(self, old: str, new: str) -> None:
        amend_for_tests(self.home, self.founder, {old: new})
        self.refresh()

    def refresh(self) -> None:
        self.site.run(self.site.app.state.services.charter.refresh())

    def read(self, address: str, language: str) -> str:
        return self.client.get(address, headers={"Accept-Language": language}).text


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    home = tmp_path_factory.mktemp("held") / "home"
    founder = found_for_tests(home, {"[retention]\ndays = 0": FREE})
    engine, model = FakeEngine(), default_model_clause()
    engine.info = replace(engine.info, model=model.id, model_digest=model.digest)
    with (
        serving(home, engine) as site,
        httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True) as client,
    ):
        client.get(site.link()).raise_for_status()
        made = Held(site, home, founder, client)
        made.amend(FREE, HELD)
        made.first = client.get("/").text
        yield made


def sentences(held: Held, error: Callable[..., CommunError], language: str) -> tuple[str, str]:
    """As a page has them: none has a character that HTML takes for its own."""
    in_force = held.site.app.state.services.charter.find()
    raised = error(day=long_date(UNTIL, language), edition=in_force.edition.number if in_force else 0)
    return raised.problem_text(translator(language)), raised.cure_text(translator(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_would_erase_at_once_is_refused_with_day_edition_and_what_to_do(held: Held, language: str) -> None:
    headers = {"Accept-Language": language}
    address = held.ask()
    reply = held.client.post(f"{address}/erase", headers=headers)
    assert reply.status_code == 409
    assert all(each in reply.text for each in sentences(held, OnHold, language))
    told = held.client.post(f"{address}/erase", headers={**headers, **JSON})
    assert told.json()["error"]["code"] == "legal_hold"
    assert held.client.get(address).status_code == 200
    page = held.read("/settings/delete", language)
    assert all(each in page for each in sentences(held, AccountOnHold, language))
    assert 'name="words"' not in page
    reply = held.client.post("/settings/delete", data={"words": "delete my account"}, headers=headers)
    assert reply.status_code == 409
    assert all(each in reply.text for each in sentences(held, AccountOnHold, language))
    assert held.client.get(address).status_code == 200


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_says_until_when_and_the_charter_why(held: Held, language: str) -> None:
    day = long_date(UNTIL, language)
    address = held.ask()
    chat = held.read(address, language)
    line = translator(language)("Legal hold: until %(day)s no stored conversation is erased.") % {"day": day}
    for page in (
        chat,
        held.read("/settings", language),
        held.read("/search", language),
        held.read("/ledger", language),
    ):
        assert line in page
    assert long_date(UNTIL + timedelta(days=1), language) in chat, (
        "not sooner than the hold ends, days being over before"
    )
    assert translator(language)("Legal hold") in held.read("/charter", language)
    assert day in held.read("/charter", language)
    assert day in held.read("/what-we-can-see", language)


def test_who_was_there_before_is_told_what_begins(held: Held) -> None:
    for page in (held.first, held.client.get("/charter/editions/2").text):
        assert f"A legal hold begins: until {UNTIL.isoformat()}" in page


def test_what_is_deleted_is_off_the_pages_at_once_kept_sealed_and_erased_when_the_hold_is_lifted(held: Held) -> None:
    deleted, old = held.ask(), held.ask()
    reply = held.client.post(f"{deleted}/delete", headers=JSON).json()
    assert long_date(UNTIL, "en") in reply["toast"]
    assert "/erase" not in reply["toast"]
    assert deleted not in reply["sidebar"]
    assert held.client.get(deleted).status_code == 404
    services = held.site.app.state.services
    conversations = services.conversations
    conversations._now = lambda: time.time() + AGES  # (the store's clock; whoever asks goes on by the real one)
    try:
        held.site.run(purge(services))
        assert held.client.post(f"{deleted}/restore").status_code == 200, "it lies there, and is still its owner's"
        assert held.client.get(old).status_code == 200, "its thirty days were over ten days ago"
        held.client.post(f"{deleted}/delete")
        conversations._now = lambda: time.time() + 2 * AGES
        held.amend(HELD, FREE)
        held.site.run(purge(services))
        assert held.client.post(f"{deleted}/restore").status_code == 404
        assert held.client.get(old).status_code == 404
        kept = held.ask()
        assert held.client.post(f"{kept}/erase").status_code == 200
    finally:
        conversations._now = time.time
        held.amend(FREE, HELD)


def test_the_last_way_in_stays_since_what_nobody_can_open_is_as_good_as_erased(held: Held) -> None:
    held.client.post("/settings/passphrase", data={"passphrase": "correct horse battery staple"})
    way = re.findall(r'action="(/settings/ways-in/\w+/remove)"', held.client.get("/settings").text)
    assert way
    reply = held.client.post(way[-1], data={"told": "yes"})
    problem, cure = sentences(held, LastWayOnHold, "en")
    assert problem in reply.text
    assert cure in reply.text
    assert way[-1] in held.client.get("/settings").text


def test_nobody_starts_over_who_can_still_open_what_is_kept(held: Held) -> None:
    address, told = held.ask(), sentences(held, VaultOnHold, "en")
    held.client.post("/settings/passphrase", data={"passphrase": "correct horse battery staple"})
    with httpx2.Client(base_url=held.site.url, timeout=120, follow_redirects=True) as locked:
        locked.get(held.site.link()).raise_for_status()
        for browser in (held.client, locked):
            reply = browser.post("/unlock/start-over", data={"words": "start over"})
            assert reply.status_code == 409
            assert all(each in reply.text for each in told)
    assert held.client.get(address).status_code == 200


def test_who_has_lost_everything_starts_over_and_what_was_theirs_stays_sealed(held: Held) -> None:
    services = held.site.app.state.services

    def lost(connection: Connection) -> tuple[str, str]:
        """An account with a conversation that no way in opens, and the cookie of one browser alone."""
        account_id = rows.new_account(connection, Role.MEMBER, 1.0)
        former = rows.new_session(connection, account_id, time.time(), 4e9)
        return former, rows.new_session(connection, account_id, time.time(), 4e9)

    former, token = held.site.run(services.database.write(lost))
    problem, cure = sentences(held, VaultOnHold, "en")
    with httpx2.Client(base_url=held.site.url, timeout=120, cookies={"commun_session": former}) as client:
        address = str(client.post("/ask", data={"question": "Why?"}, headers=JSON).json()["url"])
    with httpx2.Client(base_url=held.site.url, timeout=120, cookies={"commun_session": token}) as client:
        refused = client.post("/unlock/start-over", data={"words": "start over"})
        assert refused.status_code == 409, "the other browser still opens it"
        assert problem in refused.text
        assert cure in refused.text
        ended = delete(sessions).where(sessions.c.token_hash == identify(former))
        held.site.run(services.accounts.change(lambda connection: connection.execute(ended)))
        assert client.post("/unlock/start-over", data={"words": "start over"}).status_code == 303
    kept = select(conversations.c.id).where(conversations.c.id == address.removeprefix("/c/"))
    assert held.site.run(services.database.read(lambda connection: connection.execute(kept).scalar()))


def test_where_no_charter_is_in_force_nobody_can_tell_and_nothing_is_erased(held: Held) -> None:
    address = held.ask()
    prompt = next((held.home / "charter" / "targets" / "prompts").glob("*.system.en.md"))
    adopted = prompt.read_bytes()
    prompt.write_bytes(adopted + b"Praise our sponsor.\n")
    try:
        held.refresh()
        reply = held.client.post(f"{address}/erase")
        assert reply.status_code == 503
        assert sentences(held, HoldUnknown, "en")[0] in reply.text
        assert held.client.post("/settings/delete", data={"words": "delete my account"}).status_code == 503
        assert held.client.post(f"{address}/delete", headers=JSON).status_code == 200
        assert address not in held.client.get("/").text
    finally:
        prompt.write_bytes(adopted)
        held.refresh()
    assert held.client.post(f"{address}/restore").status_code == 200
