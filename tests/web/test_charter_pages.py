"""The charter's public pages over plain HTTP: who may read them, what they say, what they serve raw, what is kept."""

import asyncio
import contextlib
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from tuf.ngclient import Updater

from commun.charter.history import verify_all
from commun.charter.repository import Repository
from commun.web.routes import web_routes
from fake_engine import FakeEngine
from site_server import Site, serving
from web.town_hall import NAMES, TownHall, both, key_of, replaced

JSON = {"Accept": "application/json"}
FRENCH = {"Accept-Language": "fr"}
HOSTILE = "<script>globalThis.pwned = true</script><img src=x onerror=pwned()>"


def refreshed(site: Site) -> None:
    """What the next second brings by itself."""
    site.run(site.app.state.services.charter.refresh())


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> TownHall:
    hall = TownHall(tmp_path_factory.mktemp("town") / "home")
    hall.found()
    hall.change(
        both(
            replaced("prompts/system.en.md", "in the language", "briefly, in the language"),
            replaced("charter.toml", "default = 0.3", "default = 0.7"),
        ),
        reason="Too long on a phone.\n\nTrop long sur un téléphone.",
        by=("Ada", "Chloé", "Élise"),
    )
    return hall


@pytest.fixture(scope="module")
def site(town: TownHall) -> Iterator[Site]:
    with serving(town.home, FakeEngine()) as running:
        yield running


@pytest.fixture
def stranger(site: Site) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site.url, timeout=120) as client:
        yield client


@contextlib.contextmanager
def member_of(site: Site) -> Iterator[httpx2.Client]:
    """A browser that has been on its first page."""
    with httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True) as client:
        assert client.get(site.link()).status_code == 200
        yield client


def test_the_charter_is_public_and_whole(town: TownHall, stranger: httpx2.Client) -> None:
    response = stranger.get("/charter")
    assert response.status_code == 200
    charter = town.in_force().charter
    for language in ("en", "fr"):
        for text in (charter.prompts.system, charter.disclosure, *(persona.prompt for persona in charter.personas)):
            assert text.in_language(language).strip() in response.text
    for model in charter.models.adopted:
        assert model.digest in response.text
        assert model.licence in response.text
    for name in NAMES:
        assert name in response.text
        assert key_of(name) in response.text
    assert town.in_force().edition.digest in response.text
    assert "3 of the 5 members" in response.text
    assert 'id="sidebar"' not in response.text
    assert "set-cookie" not in response.headers


def test_it_is_read_in_the_language_that_is_asked_for(stranger: httpx2.Client) -> None:
    assert stranger.get("/charter", headers=FRENCH).headers["content-language"] == "fr"
    assert stranger.get("/charter?lang=en", headers=FRENCH).headers["content-language"] == "en"
    assert stranger.get("/charter?lang=xx", headers=FRENCH).headers["content-language"] == "fr"


def test_every_edition_says_why_and_what_it_changed_word_by_word(stranger: httpx2.Client) -> None:
    listed = stranger.get("/charter/editions").text
    assert [int(number) for number in re.findall(r'<h2><a href="/charter/editions/(\d+)"', listed)] == [3, 2, 1]
    third = stranger.get("/charter/editions/3").text
    assert "Trop long sur un téléphone." in third
    assert "Temperature: 0.3 → 0.7." in third
    assert re.search(r"<ins><span[^>]*>added: </span>[^<]*briefly", third)
    for name in ("Ada", "Chloé", "Élise"):
        assert name in third
    assert "22 September" not in third
    assert "This is the first edition" in stranger.get("/charter/editions/1").text


@pytest.mark.parametrize("number", ["0", "4", "-1", "01", "x", "1e3", "99999999999999999999", "٣", "%00", "1%2f2"])
def test_what_is_no_edition_is_nothing(stranger: httpx2.Client, number: str) -> None:
    assert stranger.get(f"/charter/editions/{number}").status_code == 404
    assert stranger.get(f"/charter/editions/{number}/files/charter.toml").status_code == 404


def test_the_source_files_are_served_as_they_were_signed(town: TownHall, stranger: httpx2.Client) -> None:
    edition = town.in_force().edition
    for name, data in edition.files.items():
        response = stranger.get(f"/charter/editions/3/files/{name}")
        assert response.content == data
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in response.headers["content-security-policy"]
    for name in ("nothing.md", "../charter.toml", "%2e%2e/%2e%2e/keys", "prompts", ""):
        assert stranger.get(f"/charter/editions/3/files/{name}").status_code == 404


def test_the_published_folder_is_served_and_nothing_beside_it(town: TownHall, stranger: httpx2.Client) -> None:
    (town.home / "charter" / "notes.txt").write_text("not published")
    (town.home / "charter" / "metadata" / "9.root.json").symlink_to(town.home / "commun.db")
    try:
        for name in ("metadata/timestamp.json", "metadata/1.root.json", "metadata/3.targets.json"):
            response = stranger.get(f"/charter/repository/{name}")
            assert response.content == (town.home / "charter" / name).read_bytes()
            assert response.headers["content-type"] == "application/json"
        for name in (
            "notes.txt", ".lock", "metadata", "metadata/", "metadata/99.root.json", "../charter-trust/root.json",
            "%2e%2e/commun.db", "metadata/..%2f..%2fkeys", "/etc/passwd", "metadata/1.root.json/x",
        ):  # fmt: skip
            response = stranger.get(f"/charter/repository/{name}")
            assert response.status_code == 404, name
        assert stranger.get("/charter/repository/metadata/9.root.json").status_code == 503
    finally:
        (town.home / "charter" / "notes.txt").unlink()
        (town.home / "charter" / "metadata" / "9.root.json").unlink()


def test_who_downloads_it_verifies_it_without_us(town: TownHall, stranger: httpx2.Client, tmp_path: Path) -> None:
    response = stranger.get("/charter/charter.zip")
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        archive.extractall(tmp_path)
    in_force, editions = verify_all(Repository(tmp_path / "charter"), now=datetime.now(UTC))
    assert in_force.edition.digest == town.in_force().edition.digest
    assert len(editions) == 3
    command = [sys.executable, "-m", "commun.cli", "charter", "verify", str(tmp_path / "charter")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.count("✓") >= 3


def test_pythons_own_tuf_client_reads_it_from_this_address(town: TownHall, site: Site, tmp_path: Path) -> None:
    root = (town.home / "charter/metadata/1.root.json").read_bytes()
    base = f"{site.url}/charter/repository"
    updater = Updater(str(tmp_path), f"{base}/metadata/", str(tmp_path), f"{base}/targets/", bootstrap=root)
    updater.refresh()
    for name, data in town.in_force().edition.files.items():
        target = updater.get_targetinfo(name)
        assert target is not None
        path = updater.download_target(target, str(tmp_path / name.replace("/", "-")))
        assert Path(path).read_bytes() == data


def test_a_reader_who_has_it_is_not_sent_it_again(site: Site, stranger: httpx2.Client) -> None:
    for path in ("/charter", "/charter/editions", "/charter/editions/2", "/charter/feed.atom", "/charter/charter.zip",
                 "/charter/repository/metadata/1.root.json", "/charter/editions/1/files/charter.toml"):  # fmt: skip
        first = stranger.get(path)
        tag = first.headers["etag"]
        assert first.headers["cache-control"] == "public, no-cache", path
        again = stranger.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b""), path
        assert stranger.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    with member_of(site) as member:
        response = member.get("/charter", headers={"If-None-Match": stranger.get("/charter").headers["etag"]})
    assert response.status_code == 200
    assert response.headers["cache-control"] == "private, no-cache"
    assert "To your conversations" in response.text


def test_the_history_is_verified_once_and_kept(site: Site, stranger: httpx2.Client) -> None:
    stranger.get("/charter/editions")
    adopted = site.app.state.adopted
    history = site.run(adopted.history())
    for _ in range(3):
        stranger.get("/charter/editions/1")
    assert site.run(adopted.history()) is history


def test_hostile_words_of_a_board_are_shown_and_do_nothing(tmp_path: Path) -> None:
    hall = TownHall(tmp_path / "home")
    hall.found(name=HOSTILE.replace('"', "'"))
    hall.change(
        both(
            replaced("prompts/system.en.md", "You are", HOSTILE + " You are"),
            replaced("prompts/humour.fr.md", "Répondez", "Répondez аdmin"),
            replaced("charter.toml", 'en = "Editor"', "en = '<img src=x onerror=pwned()>'"),
            replaced("models/default.toml", "source = ", 'source = "javascript:alert(1)"\n# '),
        ),
        reason=HOSTILE,
    )
    with serving(hall.home, FakeEngine()) as site, httpx2.Client(base_url=site.url, timeout=120) as client:
        for path in ("/charter", "/charter/editions", "/charter/editions/3", "/charter/feed.atom"):
            response = client.get(path)
            assert response.status_code == 200
            assert "<img src=x" not in response.text, path
            assert "<script>" not in response.text, path
            assert 'href="javascript:' not in response.text, path
        page = client.get("/charter").text
        assert "CYRILLIC SMALL LETTER A⟧" in page
        assert "A character that can be taken for another one" in client.get("/charter/editions/3").text


def test_one_person_alone_is_said_to_be_alone(tmp_path: Path) -> None:
    with serving(tmp_path / "home", FakeEngine()) as site, httpx2.Client(base_url=site.url, timeout=120) as client:
        page = client.get("/charter").text
        assert "One person decides here: Founder." in page
        assert "commun charter board invite" in page
        assert "Nobody alone can change these rules" not in page
        assert client.get("/charter/editions/1").status_code == 200


def test_a_freeze_an_amendment_in_flight_and_a_stale_charter_are_said(tmp_path: Path) -> None:
    hall = TownHall(tmp_path / "home")
    hall.found(until=(datetime.now(UTC) - timedelta(days=1)).date())
    hall.change(replaced("charter.toml", "days = 0", "days = 30"))
    with serving(hall.home, FakeEngine()) as site, httpx2.Client(base_url=site.url, timeout=120) as client:
        before = client.get("/charter")
        assert "Stale since" in before.text
        hall.lay_on_the_desk(replaced("charter.toml", "most = 2", "most = 1"), reason="Calmer.", by=("Ada", "Dara"))
        signing = client.get("/charter", headers={"If-None-Match": before.headers["etag"]})
        assert signing.status_code == 200
        assert "2 of 3 signed." in signing.text
        assert "Calmer." in signing.text
        hall.freeze(by="Élise", reason="We had not read this.")
        refreshed(site)
        frozen = client.get("/charter").text
        assert "Edition 3 is frozen" in frozen
        assert "We had not read this." in frozen
        assert "This edition is frozen" in client.get("/charter/editions/3").text
        with member_of(site) as member:
            for path in ("/", "/settings", "/search", "/temporary", "/c/nothing"):
                page = member.get(path).text
                assert "Edition 3 of the charter is frozen: edition 2 answers" in page, path
                assert "The charter is stale since" in page, path


def test_without_a_valid_charter_nothing_is_answered_and_everything_says_why(tmp_path: Path) -> None:
    hall = TownHall(tmp_path / "home")
    hall.found()
    with serving(hall.home, FakeEngine()) as site, member_of(site) as member:
        data = member.post("/ask", data={"question": "Before?"}, headers=JSON).json()
        answer = re.search(r'id="m-(\w+)" data-id="\w+" data-running', data["main"])
        assert answer
        member.get(f"/answers/{answer[1]}/events")
        path = next(hall.home.glob("charter/targets/prompts/*.system.en.md"))
        good = path.read_bytes()
        path.write_bytes(good.replace(b"You", b"I"))
        refreshed(site)
        for page in ("/", "/temporary", data["url"], "/charter", "/charter/editions", "/charter/feed.atom"):
            response = member.get(page)
            assert response.status_code == 503, page
            assert 'lang="fr"' in response.text, page
            assert 'lang="en"' in response.text, page
            assert "No charter is in force: nothing is answered" in response.text, page
        assert "Hello, this is a scripted answer." in member.get(data["url"]).text
        assert 'id="composer"' not in member.get(data["url"]).text
        for form in ("/ask", f"{data['url']}/ask", "/temporary"):
            assert member.post(form, data={"question": "Now?"}).status_code == 503, form
            error = member.post(form, data={"question": "Now?"}, headers=JSON)
            assert error.status_code == 503
            assert error.json()["error"]["code"].startswith("charter_")
        assert member.get(f"{data['url']}/export.md").status_code == 200
        path.write_bytes(good)
        refreshed(site)
        assert member.get("/").status_code == 200
        assert member.post(f"{data['url']}/ask", data={"question": "And now?"}).status_code == 200


def test_an_old_edition_that_is_damaged_is_said_and_silences_nobody(tmp_path: Path) -> None:
    hall = TownHall(tmp_path / "home")
    hall.found()
    for days in range(4):
        hall.change(replaced("charter.toml", f"days = {days}", f"days = {days + 1}"))
    with serving(hall.home, FakeEngine()):
        pass  # the ledger has them all
    (hall.home / "charter/metadata/1.targets.json").write_text("{}")
    with serving(hall.home, FakeEngine()) as site, member_of(site) as member:
        page = member.get("/charter")
        assert page.status_code == 200
        assert "The published history does not hold" in page.text
        assert "1.targets.json" in page.text
        for path in ("/charter/editions", "/charter/editions/6", "/charter/feed.atom"):
            response = member.get(path)
            assert response.status_code == 503, path
            assert "No charter is in force" not in response.text, path
        assert member.post("/ask", data={"question": "Still there?"}).status_code == 200


@pytest.mark.parametrize("rule", ["only", "never"])
def test_the_rule_for_temporary_chats_is_kept(tmp_path: Path, rule: str) -> None:
    hall = TownHall(tmp_path / "home")
    hall.found()
    with serving(hall.home, FakeEngine()) as site, member_of(site) as member:
        url = member.post("/ask", data={"question": "Stored?"}).url.path
        hall.change(replaced("charter.toml", 'rule = "offered"', f'rule = "{rule}"'))
        refreshed(site)
        home = member.get("/").text
        if rule == "only":
            assert 'action="/temporary" class="composer"' in home
            assert 'href="/temporary"' not in home
            for form in ("/ask", f"{url}/ask"):
                refused = member.post(form, data={"question": "x"}, headers=JSON)
                assert refused.status_code == 400
                assert "temporary" in refused.json()["error"]["problem"]
            assert 'class="composer"' not in member.get(url).text
            assert member.post("/temporary", data={"question": "x"}, headers=JSON).status_code == 200
        else:
            assert 'href="/temporary"' not in home
            assert member.get("/temporary").status_code == 400
            assert member.post("/temporary", data={"question": "x"}, headers=JSON).status_code == 400
            assert member.post("/ask", data={"question": "x"}, headers=JSON).status_code == 200


def test_the_persona_goes_with_the_question_and_stays_with_the_conversation(tmp_path: Path) -> None:
    engine = FakeEngine()
    with serving(tmp_path / "home", engine) as site, member_of(site) as member:
        page = member.get("/").text
        assert re.findall(r'<option value="(\w*)"', page) == ["", "editor", "humour"]
        asked = member.post("/ask", data={"question": "Tell me", "persona": "humour"})
        assert "Answer with light" in engine.calls[-1][0].messages[0].content
        assert re.search(r'<option value="humour"[^>]* selected', asked.text)
        member.post(f"{asked.url.path}/ask", data={"question": "And?"})
        assert "Answer with light" in engine.calls[-1][0].messages[0].content
        member.post(f"{asked.url.path}/ask", data={"question": "And?", "persona": ""})
        assert "Answer with light" not in engine.calls[-1][0].messages[0].content
        refused = member.post("/ask", data={"question": "x", "persona": "pirate"}, headers=JSON)
        assert refused.status_code == 400
        assert "personas" in refused.json()["error"]["problem"]
        member.post("/ask", data={"question": "Bonjour"}, headers={"Accept-Language": "fr"})
        assert "Vous êtes Commun" in engine.calls[-1][0].messages[0].content


def test_an_answer_says_its_edition_once_that_is_not_the_present_one(tmp_path: Path) -> None:
    hall = TownHall(tmp_path / "home")
    hall.found()
    with serving(hall.home, FakeEngine()) as site, member_of(site) as member:
        asked = member.post("/ask", data={"question": "Under which rules?"})
        assert "edition 2 of the charter" not in asked.text
        hall.change(replaced("charter.toml", "days = 0", "days = 30"))
        refreshed(site)
        assert "edition 2 of the charter</summary>" in member.get(asked.url.path).text


def told(client: httpx2.Client) -> bool:
    return 'id="told"' in client.get("/").text


def test_each_person_is_told_once_what_has_changed(tmp_path: Path) -> None:
    hall = TownHall(tmp_path / "home")
    hall.found()
    with serving(hall.home, FakeEngine()) as site, member_of(site) as member:
        assert not told(member)
        hall.change(replaced("charter.toml", "days = 0", "days = 30"), reason="Less is kept.")
        refreshed(site)
        member.post("/ask", data={"question": "Unaware"}, headers=JSON)  # from a page without the notice
        assert told(member)
        assert told(member)
        assert "Conversations are now kept for 30 days" in member.get("/").text
        for nonsense in ("", "x", "0", "-3", "99", "３"):
            member.post("/charter/told", data={"told": nonsense})
        assert told(member)
        response = member.post("/charter/told", data={"told": "3", "back": "//evil.example"})
        assert response.url.path == "/"
        assert not told(member)
        hall.change(replaced("charter.toml", "days = 30", "days = 60"))
        refreshed(site)
        assert told(member)
        member.post("/ask", data={"question": "I have read it", "told": "4"})
        assert not told(member)


def test_what_was_changed_and_changed_back_is_no_news(tmp_path: Path) -> None:
    hall = TownHall(tmp_path / "home")
    hall.found()
    with serving(hall.home, FakeEngine()) as site, member_of(site) as member:
        hall.change(replaced("charter.toml", "days = 0", "days = 30"))
        hall.change(replaced("charter.toml", "days = 30", "days = 0"))
        refreshed(site)
        page = member.get("/").text
        assert "A new edition of the charter is in force." in page
        assert "30 days" not in page


def test_strangers_read_and_change_nothing(stranger: httpx2.Client) -> None:
    for route in web_routes():
        if route.path.startswith("/charter"):
            if "POST" in route.methods:
                assert stranger.post(route.path, data={"told": "1"}).status_code == 401
            else:
                assert stranger.post(route.path.replace("{number}", "1").replace("{path:path}", "x")).status_code == 405


def test_many_readers_at_once_make_one_verification(tmp_path: Path) -> None:
    hall = TownHall(tmp_path / "home")
    hall.found()
    with serving(hall.home, FakeEngine()) as site:

        async def read() -> list[int]:
            async with httpx2.AsyncClient(base_url=site.url, timeout=120) as client:
                return [each.status_code for each in await asyncio.gather(*(client.get("/charter") for _ in range(20)))]

        assert asyncio.run(read()) == [200] * 20
