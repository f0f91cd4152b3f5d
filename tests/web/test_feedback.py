"""Thumbs, reasons and remarks on a whole Commun: forms that work alone, answers for our own script, and exports."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from commun.store.feedback import MAX_REMARK
from fake_engine import FakeEngine
from inhabitants import JSON, Person, inhabitant
from site_server import Site, serving

REMARK = "canary-remark-3be0 It is <b>not</b> so."


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("feedback") / "home", FakeEngine("Because.")) as running:
        yield running


@pytest.fixture(scope="module")
def person(site: Site) -> Person:
    return inhabitant(site)


@pytest.fixture
def member(person: Person) -> Iterator[httpx2.Client]:
    with person.browser() as client:
        yield client


@pytest.fixture
def answer(person: Person) -> tuple[str, str]:
    """A conversation's id and its answer's."""
    return person.ask()


def pressed(page: str) -> dict[str, tuple[str, str]]:
    """What a press of each thumb would send, and whether it is pressed."""
    found = re.findall(r'name="thumb" value="(\w*)" data-thumb="(\w+)" aria-pressed="(\w+)"', page)
    return {thumb: (value, state) for value, thumb, state in found}


def say(member: httpx2.Client, answer: tuple[str, str], **wishes: object) -> httpx2.Response:
    data = {"message": answer[1], **wishes}
    return member.post(f"/c/{answer[0]}/feedback", data=data, headers=JSON)


def test_a_thumb_is_a_form_that_ends_in_the_page(member: httpx2.Client, answer: tuple[str, str]) -> None:
    conversation, message = answer
    page = member.get(f"/c/{conversation}").text
    assert pressed(page) == {"up": ("up", "false"), "down": ("down", "false")}
    for thumb, shown in (
        ("down", {"up": ("up", "false"), "down": ("", "true")}),
        ("up", {"up": ("", "true"), "down": ("down", "false")}),
        ("", {"up": ("up", "false"), "down": ("down", "false")}),
    ):
        ended = member.post(f"/c/{conversation}/feedback", data={"message": message, "thumb": thumb})
        assert (ended.status_code, ended.headers["location"]) == (
            303,
            f"/c/{conversation}?message={message}#m-{message}",
        )
        page = member.get(f"/c/{conversation}").text
        assert pressed(page) == shown
        assert (" data-why hidden " in page) == (not thumb), "why is asked once something was said"


def test_our_own_script_is_told_what_is_now_so(member: httpx2.Client, answer: tuple[str, str]) -> None:
    told = say(member, answer, thumb="down").json()
    assert (told["thumb"], told["said"]) == ("down", True)
    assert told["told"]
    assert say(member, answer, thumb="").json()["said"] is False


def test_why_is_asked_in_words_and_kept_and_taken_back(member: httpx2.Client, answer: tuple[str, str]) -> None:
    conversation, message = answer
    address = f"/c/{conversation}/feedback?message={message}"
    form = member.get(address).text
    assert "This stays in your vault. Nobody else sees it unless you send this answer." in form
    assert 'name="back"' not in form
    said = {"thumb": "down", "reason": ["other", "untrue"], "remark": REMARK, "whole": "yes"}
    assert say(member, answer, **said).json()["thumb"] == "down"
    form = member.get(address, headers=JSON).json()["html"]
    assert re.findall(r'value="(\w+)" checked', form) == ["down", "untrue", "other"]
    assert "canary-remark-3be0 It is &lt;b&gt;not&lt;/b&gt; so." in form
    assert say(member, answer, thumb="up").json()["said"], "a thumb alone leaves the remark"
    assert "canary-remark-3be0" in member.get(address).text
    assert say(member, answer, whole="yes", back="yes", thumb="up", remark="x").json()["said"] is False
    assert 'name="back"' not in member.get(address).text


def test_a_long_remark_is_cut_and_nonsense_is_refused(member: httpx2.Client, answer: tuple[str, str]) -> None:
    assert say(member, answer, whole="yes", remark="é" * (2 * MAX_REMARK)).status_code == 200
    form = member.get(f"/c/{answer[0]}/feedback?message={answer[1]}").text
    assert f">{'é' * MAX_REMARK}</textarea>" in form
    for wishes in ({"thumb": "sideways"}, {"whole": "yes", "reason": "boredom"}):
        assert say(member, answer, **wishes).status_code == 400
    question = re.search(r'class="message question" id="m-(\w+)"', member.get(f"/c/{answer[0]}").text)
    assert question
    for message in (question[1], "0" * 24, ""):
        assert say(member, (answer[0], message), thumb="up").status_code == 404
        assert member.get(f"/c/{answer[0]}/feedback?message={message}").status_code == 404


def test_it_is_in_its_owners_exports_and_changes_no_answer(member: httpx2.Client, answer: tuple[str, str]) -> None:
    conversation, message = answer
    before = member.get(f"/c/{conversation}/export.json").json()
    said = {"thumb": "down", "reasons": ["untrue"], "remark": REMARK}
    say(member, answer, thumb="down", reason="untrue", remark=REMARK, whole="yes")
    exported = member.get(f"/c/{conversation}/export.json").json()
    (found,) = [each for each in exported["messages"] if each["id"] == message]
    assert found.pop("feedback") == said
    assert exported == before
    assert "canary-remark" not in member.get(f"/c/{conversation}/export.md").text
    with zipfile.ZipFile(io.BytesIO(member.get("/settings/export").content)) as archive:
        (name,) = [each for each in archive.namelist() if conversation in each and each.endswith(".json")]
        whole = json.loads(archive.read(name))
    assert [each["feedback"] for each in whole["messages"] if "feedback" in each] == [said]


def test_a_temporary_chat_has_none(member: httpx2.Client) -> None:
    page = member.post("/temporary", data={"question": "Why?"}).text
    assert "Because." in page
    assert pressed(page) == {}


def test_where_nobody_else_administers_sending_is_not_offered(site: Site, tmp_path: Path) -> None:
    with serving(tmp_path / "home", FakeEngine("Because.")) as alone:
        person = inhabitant(alone)
        conversation, message = person.ask()
        with person.browser() as client:
            form = client.get(f"/c/{conversation}/feedback?message={message}").text
            receipt = alone.receipt_of(message)
            assert 'name="send"' not in form
            page = client.get(f"/receipt/{receipt}/send").text
            assert "Nobody else is an administrator" in page
            assert 'name="named"' not in page
            refused = client.post(f"/receipt/{receipt}/send", data={"named": "yes"}, headers=JSON)
            assert refused.status_code == 409
