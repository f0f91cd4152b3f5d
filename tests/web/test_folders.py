"""Folders on the pages: made, filled, instructed, emptied, deleted; the list beside every page, and the list of all."""

import re
from collections.abc import Iterator

import httpx2
import pytest

from commun.web import sidebar
from fake_engine import FakeEngine
from inhabitants import JSON, Person, inhabitant
from site_server import Site, serving


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("folders") / "home", FakeEngine(), rate_limit="100000/minute") as running:
        yield running


@pytest.fixture
def person(site: Site) -> Person:
    return inhabitant(site)


@pytest.fixture
def browser(person: Person) -> Iterator[httpx2.Client]:
    with person.browser() as client:
        yield client


def made(browser: httpx2.Client, name: str = "Lessons") -> str:
    """A new folder's id."""
    found = browser.post("/folders", data={"name": name})
    assert found.status_code == 303
    return found.headers["location"].removeprefix("/folders/")


def in_sidebar(html: str, folder: str) -> str:
    """What the list beside the page shows of a folder."""
    found = re.search(rf'<details class="folder" data-folder="{folder}".*?</details>', html, re.DOTALL)
    return found[0] if found else ""


def test_a_folder_is_made_filled_and_emptied_without_any_script(person: Person, browser: httpx2.Client) -> None:
    folder = made(browser, "  Les  <i>élèves</i> ")
    conversation, _ = person.ask("Why is the sky blue?")
    assert "Why is the sky blue?" not in in_sidebar(browser.get("/").text, folder)

    choices = browser.get(f"/c/{conversation}/move").text
    assert f'value="{folder}"' in choices
    moved = browser.post(f"/c/{conversation}/move", data={"folder": folder})
    assert moved.headers["location"] == f"/c/{conversation}"
    page = browser.get(f"/folders/{folder}").text
    assert "Les &lt;i&gt;élèves&lt;/i&gt;" in page
    assert f'<a href="/c/{conversation}"' in page
    shown = in_sidebar(browser.get("/").text, folder)
    assert "Why is the sky blue?" in shown
    assert browser.get("/").text.count("Why is the sky blue?") == shown.count("Why is the sky blue?")

    browser.post(f"/c/{conversation}/move", data={"folder": ""})
    assert "Why is the sky blue?" not in in_sidebar(browser.get("/").text, folder)
    assert "Why is the sky blue?" in browser.get("/").text


def test_a_chat_that_is_begun_in_a_folder_lies_there_and_a_folder_can_be_made_while_moving(
    person: Person, browser: httpx2.Client
) -> None:
    folder = made(browser)
    new = browser.get(f"/?folder={folder}").text
    assert f'<input type="hidden" name="folder" value="{folder}">' in new
    begun = browser.post("/ask", data={"question": "Begun here?", "folder": folder}).headers["location"]
    assert "Begun here?" in browser.get(f"/folders/{folder}").text
    conversation = re.match(r"/c/(\w+)", begun)[1]  # type: ignore[index]
    browser.post(f"/c/{conversation}/move", data={"folder": "new", "name": "Another"})
    assert "Begun here?" not in re.sub(r"(?s)<nav.*?</nav>", "", browser.get(f"/folders/{folder}").text)
    assert "Another" in browser.get(f"/c/{conversation}").text


def test_renamed_deleted_and_what_lies_in_it_stays_or_goes_as_wished(person: Person, browser: httpx2.Client) -> None:
    kept, gone = made(browser, "Stays"), made(browser, "Goes")
    for folder, question in ((kept, "Kept question"), (gone, "Gone question")):
        browser.post("/ask", data={"question": question, "folder": folder})
    browser.post(f"/folders/{kept}", data={"name": "Renamed", "instructions": "In rhymes."})
    page = browser.get(f"/folders/{kept}").text
    assert "Renamed" in page
    assert ">In rhymes.</textarea>" in page

    assert browser.post(f"/folders/{kept}/delete").headers["location"] == "/folders"
    browser.post(f"/folders/{gone}/delete", data={"conversations": "yes"})
    left = browser.get("/").text
    assert "Kept question" in left
    assert "Gone question" not in left
    assert browser.get(f"/folders/{kept}").status_code == 404
    assert "Renamed" not in left


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/folders", {"name": "  "}),
        ("/folders/{folder}", {"name": ""}),
        ("/folders/{folder}", {"name": "x", "instructions": "i" * 1501}),
        ("/c/{conversation}/move", {"folder": "new", "name": " "}),
    ],
)
def test_what_is_no_name_and_what_is_too_long_is_refused_and_changes_nothing(
    person: Person, browser: httpx2.Client, path: str, data: dict[str, str]
) -> None:
    folder, (conversation, _) = made(browser, "As it was"), person.ask()
    refused = browser.post(path.format(folder=folder, conversation=conversation), data=data, headers=JSON)
    assert refused.status_code == 400
    page = browser.get("/folders").text
    assert page.count("folder-list") == 1
    assert re.findall(r'<strong dir="auto">([^<]*)</strong>', page) == ["As it was"]


def test_a_chat_cannot_be_begun_in_somebody_elses_folder(site: Site, browser: httpx2.Client) -> None:
    with inhabitant(site).browser() as other:
        theirs = made(other)
    assert browser.post("/ask", data={"question": "x", "folder": theirs}, headers=JSON).status_code == 404
    assert browser.get(f"/?folder={theirs}").status_code == 200  # a new chat like any other
    assert theirs not in browser.get(f"/?folder={theirs}").text


def test_search_says_in_which_folder_it_was_found(person: Person, browser: httpx2.Client) -> None:
    folder = made(browser, "Astronomy")
    browser.post("/ask", data={"question": "Where is Betelgeuse?", "folder": folder})
    found = browser.get("/search", params={"q": "betelgeuse"}, headers=JSON).json()["html"]
    assert "Astronomy" in found


def test_an_open_folder_stays_open_for_who_left_it_so(browser: httpx2.Client) -> None:
    folder = made(browser)
    browser.post("/ask", data={"question": "Inside?", "folder": folder})
    assert " open>" not in in_sidebar(browser.get("/").text, folder)
    browser.cookies.set("commun_folders", f"cother.{folder}")
    assert " open>" in in_sidebar(browser.get("/").text, folder)
    conversation = re.search(r'href="/c/(\w+)"', in_sidebar(browser.get("/").text, folder))[1]  # type: ignore[index]
    browser.cookies.set("commun_folders", f"-{folder}")
    assert " open>" not in in_sidebar(browser.get(f"/c/{conversation}").text, folder)
    browser.cookies.delete("commun_folders")
    assert " open>" in in_sidebar(browser.get(f"/c/{conversation}").text, folder)


def test_the_list_beside_a_page_is_bounded_and_the_rest_is_one_link_away(
    person: Person, browser: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidebar, "MOST_LISTED", 4)
    monkeypatch.setattr(sidebar, "MOST_IN_FOLDER", 2)
    folder = made(browser)
    for number in range(3):
        browser.post("/ask", data={"question": f"Inside {number}", "folder": folder})
    assert "Open the folder (3)" in browser.get("/").text
    assert in_sidebar(browser.get("/").text, folder).count('href="/c/') == 2
    assert 'href="/conversations"' not in browser.get("/").text
    for number in range(3):
        person.ask(f"Outside {number}")
    beside = browser.get("/").text
    assert "Outside 0" in beside
    assert "Inside 0" not in beside
    assert 'href="/conversations"' in beside
    everything = browser.get("/conversations").text
    assert all(f"{where} {number}" in everything for where in ("Inside", "Outside") for number in range(3))
    assert f'class="in-folder" href="/folders/{folder}"' in everything


def test_all_conversations_come_page_by_page(
    person: Person, browser: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from commun.web import folders

    monkeypatch.setattr(folders, "PAGE", 2)
    monkeypatch.setattr(sidebar, "MOST_LISTED", 0)
    for number in range(3):
        person.ask(f"Number {number}")
    first, second = (browser.get("/conversations", params={"page": page}).text for page in (1, 2))
    assert ("Number 2" in first, "Number 0" in first, 'rel="next"' in first, 'rel="prev"' in first) == (1, 0, 1, 0)
    assert ("Number 2" in second, "Number 0" in second, 'rel="next"' in second, 'rel="prev"' in second) == (0, 1, 0, 1)
    for page in ("0", "-1", "x", "9" * 40):
        assert browser.get("/conversations", params={"page": page}).status_code == 200
