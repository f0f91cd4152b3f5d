"""The Atom feed of editions, held to RFC 4287 by what it requires."""

from collections.abc import Iterator
from datetime import datetime
from xml.etree import ElementTree as ET

import httpx2
import pytest

from fake_engine import FakeEngine
from site_server import Site, serving
from web.town_hall import TownHall, replaced

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> TownHall:
    made = TownHall(tmp_path_factory.mktemp("feed") / "home")
    made.found(name="Mairie & <Commun>")
    made.change(replaced("charter.toml", "days = 0", "days = 30"), reason="Less <is> kept & \u0007 more.")
    return made


@pytest.fixture(scope="module")
def site(hall: TownHall) -> Iterator[Site]:
    with serving(hall.home, FakeEngine()) as running:
        yield running


def feed_of(site: Site, address: str = "/charter/feed.atom?lang=en") -> ET.Element:
    response = httpx2.get(site.url + address)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/atom+xml; charset=utf-8"
    return ET.fromstring(response.content)


def only(parent: ET.Element, name: str) -> str:
    """The text of an element that must be there once."""
    (found,) = parent.findall(ATOM + name)
    assert found.text
    return found.text


def link(parent: ET.Element, relation: str) -> str:
    (found,) = [each for each in parent.findall(ATOM + "link") if each.get("rel") == relation]
    return found.get("href") or ""


def test_it_has_all_that_atom_requires(site: Site) -> None:
    feed = feed_of(site)
    assert feed.tag == f"{ATOM}feed"
    ids = [only(feed, "id")]
    assert only(feed, "title") == "Mairie & <Commun>: editions of the charter"
    assert link(feed, "self") == ids[0] == f"{site.url}/charter/feed.atom?lang=en"
    assert link(feed, "alternate") == f"{site.url}/charter"
    assert feed.findall(f"{ATOM}author/{ATOM}name")
    times = []
    for entry in feed.findall(f"{ATOM}entry"):
        ids.append(only(entry, "id"))
        assert ids[-1].startswith("ni:///sha-256;")
        assert only(entry, "title")
        assert only(entry, "content")
        assert link(entry, "alternate").startswith(f"{site.url}/charter/editions/")
        assert httpx2.get(link(entry, "alternate")).status_code == 200
        assert [name.text for name in entry.findall(f"{ATOM}author/{ATOM}name")]
        times.append(datetime.fromisoformat(only(entry, "updated")))
    assert len(set(ids)) == len(ids) == 4
    assert times == sorted(times, reverse=True)
    assert datetime.fromisoformat(only(feed, "updated")) == max(times)


def test_an_entry_says_why_by_whom_and_what_changed(site: Site) -> None:
    entry = feed_of(site).findall(f"{ATOM}entry")[0]
    assert only(entry, "title") == "Edition 3"
    assert only(entry, "summary") == "Less <is> kept & ⟦U+0007⟧ more."
    assert "Conversations are now kept for 30 days" in only(entry, "content")
    assert [name.text for name in entry.findall(f"{ATOM}author/{ATOM}name")] == ["Ada", "Benoît", "Chloé"]


def test_each_language_has_its_own(site: Site) -> None:
    french = feed_of(site, "/charter/feed.atom?lang=fr")
    assert french.get("{http://www.w3.org/XML/1998/namespace}lang") == "fr"
    assert only(french, "id") != only(feed_of(site), "id")
    assert [only(each, "id") for each in french.findall(f"{ATOM}entry")] == [
        only(each, "id") for each in feed_of(site).findall(f"{ATOM}entry")
    ]


def test_its_links_lead_to_the_public_address(hall: TownHall, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("public") / "home"
    other = TownHall(home)
    other.found()
    with serving(home, FakeEngine(), public_url="https://chat.example.org/") as site:
        feed = feed_of(site)
    assert link(feed, "alternate") == "https://chat.example.org/charter"


def test_a_freeze_is_news(tmp_path_factory: pytest.TempPathFactory) -> None:
    hall = TownHall(tmp_path_factory.mktemp("frozen") / "home")
    hall.found()
    hall.change(replaced("charter.toml", "days = 0", "days = 30"))
    hall.freeze(reason="Not what we had read.")
    with serving(hall.home, FakeEngine()) as site:
        entry = feed_of(site).findall(f"{ATOM}entry")[0]
    assert only(entry, "title") == "Edition 3 (frozen)"
    assert "Not what we had read." in only(entry, "content")
