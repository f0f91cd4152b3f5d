"""A person's own instructions on the pages: what the model is told, what the charter forbids, what is shown and shared."""

import io
import json
import re
import time
import zipfile
from collections.abc import Iterator

import httpx2
import pytest

from commun.authority import Who
from commun.engine.base import Message
from fake_engine import FakeEngine
from founded import found_for_tests
from inhabitants import JSON, Person, inhabitant
from site_server import Site, serving

OWN = "I teach physics. Answer in French, <b>briefly</b>."
OF_FOLDER = "Only about the sea."


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("instructions") / "home"
    with serving(home, FakeEngine(), rate_limit="100000/minute", public_shares=True) as running:
        yield running


@pytest.fixture(scope="module")
def forbidding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("forbidding") / "home"
    found_for_tests(home, {"system_messages = true": "system_messages = false"})
    with serving(home, FakeEngine()) as running:
        yield running


@pytest.fixture
def person(site: Site) -> Person:
    return inhabitant(site)


@pytest.fixture
def browser(person: Person) -> Iterator[httpx2.Client]:
    with person.browser() as client:
        yield client


def write(browser: httpx2.Client, text: str = OWN, *, used: bool = True) -> None:
    found = browser.post("/settings/instructions", data={"instructions": text, "used": "yes" if used else ""})
    assert (found.status_code, found.headers["location"]) == (303, "/settings#instructions-title")


def told(site: Site) -> str:
    """The system message of the last question."""
    messages: tuple[Message, ...] = site.engine.calls[-1][0].messages
    assert [message.role for message in messages[1:]].count("system") == 0
    return messages[0].content


def adopted(site: Site) -> str:
    charter = site.app.state.services.charter.get().charter
    return str(charter.system_prompt("en", charter.prompts.persona))


def in_folder(browser: httpx2.Client, text: str = OF_FOLDER) -> str:
    folder = browser.post("/folders", data={"name": "Sea"}).headers["location"]
    browser.post(folder, data={"name": "Sea", "instructions": text})
    return folder.removeprefix("/folders/")


def test_every_question_on_the_pages_is_told_them_after_the_charters_prompt(
    site: Site, person: Person, browser: httpx2.Client
) -> None:
    person.ask()
    assert told(site) == adopted(site)
    write(browser)
    conversation, answer = person.ask()
    assert told(site) == f"{adopted(site)}\n\n{OWN}"
    browser.post(f"/c/{conversation}/again", data={"message": answer})
    assert told(site) == f"{adopted(site)}\n\n{OWN}"
    browser.post("/temporary", data={"question": "And now?"})
    assert told(site) == f"{adopted(site)}\n\n{OWN}"

    folder = in_folder(browser)
    browser.post("/ask", data={"question": "Begun in it?", "folder": folder})
    assert told(site) == f"{adopted(site)}\n\n{OWN}\n\n{OF_FOLDER}"
    browser.post(f"/c/{conversation}/move", data={"folder": folder})
    browser.post(f"/c/{conversation}/again", data={"message": answer})
    assert told(site) == f"{adopted(site)}\n\n{OWN}\n\n{OF_FOLDER}"
    write(browser, used=False)
    browser.post(f"/c/{conversation}/again", data={"message": answer})
    assert told(site) == f"{adopted(site)}\n\n{OF_FOLDER}"


def test_a_program_with_a_key_of_theirs_is_told_none(site: Site, person: Person, browser: httpx2.Client) -> None:
    write(browser)
    body = {"model": "default", "messages": [{"role": "user", "content": "Hello."}]}
    headers = {"authorization": f"Bearer {person.new_key()}"}
    httpx2.post(f"{site.url}/v1/chat/completions", json=body, headers=headers).raise_for_status()
    assert OWN not in told(site)


def test_the_settings_keep_the_text_that_is_off_and_say_what_it_costs(browser: httpx2.Client) -> None:
    write(browser, used=False)
    page = browser.get("/settings").text
    assert "&lt;b&gt;briefly&lt;/b&gt;" in page
    assert 'name="used" value="yes">' in page
    assert f"{len(OWN)} of 1500 characters" in page
    assert f"{len(OWN.split())} of the" in page  # the scripted engine's tokens are words
    too_long = browser.post("/settings/instructions", data={"instructions": "x" * 1501, "used": "yes"}, headers=JSON)
    assert too_long.json()["error"]["code"] == "instructions_too_long"
    assert "briefly" in browser.get("/settings").text


def test_answer_and_receipt_say_quietly_that_they_were_used(site: Site, person: Person, browser: httpx2.Client) -> None:
    plain, _ = person.ask()
    write(browser)
    conversation, answer = person.ask()
    assert "Your own instructions" in browser.get(f"/c/{conversation}").text
    assert "Your own instructions" not in browser.get(f"/c/{plain}").text
    receipt = site.receipt_of(answer)
    for shown in (
        browser.get(f"/receipt/{receipt}").text,
        browser.get(f"/receipt/{receipt}", headers=JSON).json()["html"],
    ):
        assert f"{len(OWN)} characters, told to the model after the charter’s" in shown
        assert "briefly" not in shown


@pytest.mark.parametrize("conversation", [False, True])
def test_who_publishes_an_answer_sees_before_that_they_are_in_it_and_can_leave_them_out(
    site: Site, person: Person, browser: httpx2.Client, conversation: bool
) -> None:
    write(browser)
    _, answer = person.ask()
    receipt = site.receipt_of(answer)
    form = browser.get(f"/receipt/{receipt}/share").text
    assert f"Your own instructions are part of what it read: {len(OWN)} characters" in form
    wishes = {"days": "1"} | ({"conversation": "yes"} if conversation else {})
    made = browser.post(f"/receipt/{receipt}/share", data=wishes, headers=JSON).json()["html"]
    link = re.search(r"/share/[\w-]+", made)
    assert link
    public = httpx2.get(site.url + link[0]).text
    assert ("&lt;b&gt;briefly&lt;/b&gt;" in public) is conversation
    assert ("Instructions of whoever asked" in public) is conversation
    assert "Your own instructions" not in public
    if conversation:
        charters = public.partition("The charter’s instructions")[2].partition("Instructions of whoever asked")[0]
        assert "physics" not in charters


def test_who_sends_an_answer_sees_them_apart_from_the_charters_and_so_does_who_gets_it(
    site: Site, person: Person, browser: httpx2.Client
) -> None:
    board = inhabitant(site, Who.ADMINISTRATOR)
    write(browser)
    _, answer = person.ask()
    address = f"/receipt/{site.receipt_of(answer)}/send"
    form = browser.get(address).text
    sent = {"to": re.findall(r'name="to" value="(\w+)"', form), "named": "yes", "before": "yes"}
    assert browser.post(address, data=sent).headers["location"].endswith("?done=named")
    with board.browser() as client:
        (link,) = re.findall(r'<a href="(/sent/\w+)"', client.get("/sent").text)
        received = client.get(link).text
    for page in (form, received):
        _before, found, rest = page.partition("The charter’s instructions")
        charters, parted, own = rest.partition("Instructions of whoever asked")
        assert found, "the charter's words are named"
        assert parted, "and so are whoever asked's"
        assert "physics" not in charters
        assert "&lt;b&gt;briefly&lt;/b&gt;" in own


def test_where_the_charter_forbids_it_they_are_kept_and_not_used_and_the_settings_say_so(forbidding: Site) -> None:
    person = inhabitant(forbidding)
    with person.browser() as browser:
        write(browser)
        folder = in_folder(browser)
        browser.post("/ask", data={"question": "Hello?", "folder": folder})
        assert told(forbidding) == adopted(forbidding)
        browser.post("/temporary", data={"question": "Hello?"})
        assert told(forbidding) == adopted(forbidding)
        for address in ("/settings", f"/folders/{folder}"):
            assert "The charter’s clause “callers.system_messages” forbids" in browser.get(address).text
        assert "briefly" in browser.get("/settings").text


def test_the_export_holds_folders_and_instructions_and_an_import_brings_the_folder_back(
    site: Site, person: Person, browser: httpx2.Client
) -> None:
    write(browser)
    folder = in_folder(browser)
    browser.post("/ask", data={"question": "Tides?", "folder": folder})
    archive = browser.get("/settings/export").content
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        account = json.loads(files.read("account.json"))
        (exported,) = [name for name in files.namelist() if name.startswith("conversations/") and name.endswith("json")]
        assert json.loads(files.read(exported))["folder"] == "Sea"
    assert account["instructions"] == {"text": OWN, "used": True}
    assert [(one["name"], one["instructions"]) for one in account["folders"]] == [("Sea", OF_FOLDER)]

    other = inhabitant(site)
    with other.browser() as elsewhere:
        elsewhere.post("/settings/import", files={"file": ("export.zip", archive, "application/zip")})
        deadline = time.monotonic() + 120
        while "Tides?" not in elsewhere.get("/conversations").text:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        page = elsewhere.get("/folders").text
        assert "Sea" in page
        assert "1 conversation" in page
