"""Conversations of other assistants, brought in over the page: a real server, a real upload, the vault's owner."""

import io
import json
import os
import re
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commun.importing import items
from commun.web import reading_apart
from exports import chatgpt_zip, open_webui_chat, two_branches
from fake_engine import FakeEngine
from site_server import Site, serving

JSON = {"Accept": "application/json"}
MOST = 300_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path / "home", FakeEngine(), max_body_bytes=20_000, max_import_bytes=MOST) as running:
        yield running


@pytest.fixture
def member(site: Site) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True) as client:
        client.get(site.link()).raise_for_status()
        yield client


def bring_in(client: httpx2.Client, data: bytes, name: str = "export.zip") -> str:
    """The page's section once the import is over, its tags left out."""
    client.post("/settings/import", files={"file": (name, data)}).raise_for_status()
    until = time.monotonic() + 120
    while "refresh" in (page := client.get("/settings/data")).headers:
        assert time.monotonic() < until
        time.sleep(0.05)
    section = page.text.partition('id="import"')[2].partition("</section>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", section).split())


def titles(client: httpx2.Client) -> list[str]:
    return re.findall(r'class="[^"]*title[^"]*"[^>]*>([^<]+)<', client.get("/").text)


def opened(client: httpx2.Client, title: str) -> str:
    """The page of the conversation of this title."""
    found = re.search(rf'href="(/c/\w+)"[^>]*>(?:<[^>]+>)*\s*{title}', client.get("/").text)
    assert found, title
    return client.get(found[1]).text


def test_a_chatgpt_zip_larger_than_any_other_request_comes_in_whole_and_only_once(member: httpx2.Client) -> None:
    many = [two_branches(f"conv-{number}", f"Title number {number}") for number in range(40)]
    for number, one in enumerate(many):
        one["mapping"]["q1"]["message"]["content"]["parts"].append(str(number) + "lorem " * 20)
    data = chatgpt_zip(many[:25], many[25:], stored=True)
    assert 20_000 < len(data) < MOST
    assert "40 conversations were brought in." in bring_in(member, data)
    page = opened(member, "Title number 7")
    assert "Second answer." in page
    assert "Third answer." in page
    assert "First answer." not in page, "it is on the branch that is not shown"
    told = bring_in(member, data)
    assert "0 conversations were brought in. 40 were already there." in told


def test_a_long_conversation_comes_in_beside_short_ones(member: httpx2.Client) -> None:
    long = two_branches("long", "A long one")
    long["mapping"]["a3"]["message"]["content"]["parts"] = ["lorem ipsum " * (items.LONG // 12 + 1)]
    broken = {"mapping": {}, "filler": "x" * items.LONG}
    told = bring_in(member, chatgpt_zip([two_branches(), long, broken, two_branches("last", "The last")]))
    assert "3 conversations were brought in. 1 could not be read" in told
    assert opened(member, "A long one").count("lorem ipsum") > items.LONG // 12
    assert "Third answer." in opened(member, "The last")


def test_an_answer_of_another_assistant_says_so_and_has_no_receipt(member: httpx2.Client) -> None:
    bring_in(member, chatgpt_zip([two_branches()]))
    page = opened(member, "Weather")
    assert page.count("Brought in from ChatGPT · gpt-4o") == 2
    assert "Commun answered" not in page
    assert "Another assistant wrote it: it has no receipt here." in page
    assert "/receipt/" not in page
    address = re.search(r"/c/\w+", page)
    assert address
    text = member.get(f"{address[0]}/export.md").text
    assert "## ChatGPT · gpt-4o" in text
    assert "## Commun" not in text


def test_what_was_brought_in_goes_on_with_an_answer_that_is_this_assistants(site: Site, member: httpx2.Client) -> None:
    bring_in(member, chatgpt_zip([two_branches()]))
    page = opened(member, "Weather")
    parent = re.findall(r'class="message answer" id="m-(\w+)"', page)[-1]
    address = re.search(r"/c/\w+", page)
    assert address
    reply = member.post(f"{address[0]}/ask", data={"question": "And here?", "parent": parent}, headers=JSON)
    assert reply.status_code == 200
    answer = re.findall(r'class="message answer" id="m-(\w+)"', reply.json().get("append") or reply.json()["main"])[-1]
    member.get(f"/answers/{answer}/events")
    page = member.get(address[0]).text
    assert page.count("Commun answered") == 1
    assert page.count("Brought in from") == 2
    prompt = site.engine.calls[-1][0]
    assert "Third answer." in str(prompt), "the model reads what was said before"


def test_open_webuis_json_comes_in_with_its_branches(member: httpx2.Client) -> None:
    told = bring_in(member, json.dumps([open_webui_chat()]).encode(), "chat-export.json")
    assert "1 conversations were brought in." in told
    assert "1 images were named in their place." in told
    page = opened(member, "Quorum")
    assert "Brought in from Open WebUI · llama3:8b" in page
    assert "2/2" in re.sub(r"\s", "", page) or "1/2" in re.sub(r"\s", "", page)


def test_ones_own_export_comes_back_in_another_commun_with_every_branch(member: httpx2.Client, tmp_path: Path) -> None:
    reply = member.post("/ask", data={"question": "Where from?"}, headers=JSON).json()
    answer = re.findall(r'class="message answer" id="m-(\w+)"', reply["main"])[-1]
    member.get(f"/answers/{answer}/events")
    member.post(f"{reply['url']}/again", data={"message": answer}, headers=JSON)
    exported = member.get("/settings/export").content
    assert "0 conversations were brought in. 1 were already there." in bring_in(member, exported)
    with serving(tmp_path / "other", FakeEngine()) as site, httpx2.Client(
        base_url=site.url, timeout=120, follow_redirects=True
    ) as other:  # fmt: skip
        other.get(site.link()).raise_for_status()
        assert "1 conversations were brought in." in bring_in(other, exported)
        page = opened(other, "Where from")
        assert "Brought in from another Commun" in page
        assert "/receipt/" not in page
        again = other.get("/settings/export").content
    trees = [json.loads(archive.read(name))
             for archive in (zipfile.ZipFile(io.BytesIO(data)) for data in (exported, again))
             for name in archive.namelist() if re.fullmatch(r"conversations/.+\.json", name)]  # fmt: skip
    shapes = [sorted((one["role"], one["content"]["text"]) for one in tree["messages"]) for tree in trees]
    assert shapes[0] == shapes[1]


def conversations_in(exported: bytes) -> list[dict[str, Any]]:
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"conversations/.+\.json", name)]
        return [json.loads(archive.read(name)) for name in names]


def test_moving_from_one_commun_to_another_takes_thumbs_folders_and_instructions_along(
    member: httpx2.Client, tmp_path: Path
) -> None:
    reply = member.post("/ask", data={"question": "Where from?"}, headers=JSON).json()
    answer = re.findall(r'class="message answer" id="m-(\w+)"', reply["main"])[-1]
    member.get(f"/answers/{answer}/events")
    said = {"message": answer, "whole": "yes", "thumb": "down", "reason": "untrue", "remark": "canary-remark"}
    member.post(f"{reply['url']}/feedback", data=said).raise_for_status()
    folder = member.post(f"{reply['url']}/move", data={"folder": "new", "name": "School"})
    address = re.search(r"/folders/\w+", folder.text)
    assert address
    told = {"name": "School", "instructions": "Answer as to a child."}
    member.post(address[0], data=told).raise_for_status()
    empty = member.post("/folders", data={"name": "Empty"})
    member.post(str(empty.url.path), data={"name": "Empty", "instructions": "In verse."}).raise_for_status()
    own = {"instructions": "I am a teacher.", "used": "yes"}
    member.post("/settings/instructions", data=own).raise_for_status()
    exported = member.get("/settings/export").content
    assert "already there" in bring_in(member, exported)
    assert "I am a teacher." not in member.get("/settings/data").text, "they are in use already"

    with serving(tmp_path / "other", FakeEngine()) as site, httpx2.Client(
        base_url=site.url, timeout=60, follow_redirects=True
    ) as other:  # fmt: skip
        other.get(site.link()).raise_for_status()
        assert "1 conversations were brought in. 2 folders were made." in bring_in(other, exported)
        page = other.get("/settings/data").text
        assert "I am a teacher." in page
        assert "I am a teacher." not in other.get("/settings").text, "offered, and not put in force"
        (tree,) = conversations_in(other.get("/settings/export").content)
        assert tree["folder"] == "School"
        opinion = {"thumb": "down", "reasons": ["untrue"], "remark": "canary-remark"}
        assert [one["feedback"] for one in tree["messages"] if one["role"] == "assistant"] == [opinion]
        folders = re.findall(r'href="(/folders/\w+)"', other.get("/folders").text)
        instructions = {"Answer as to a child.", "In verse."}
        assert {one for one in instructions for each in folders if one in other.get(each).text} == instructions
        again = bring_in(other, exported)
        assert "0 conversations were brought in. 1 were already there." in again
        assert "folders were made" not in again
        other.post("/settings/instructions", data=own).raise_for_status()
        assert "I am a teacher." in other.get("/settings").text
        assert "I am a teacher." not in other.get("/settings/data").text
        for file in site.app.state.services.settings.home.rglob("*"):
            if file.is_file():
                data = file.read_bytes()
                assert not [one for one in (b"canary-remark", b"teacher", b"in verse") if one in data], file.name


def test_conversations_of_one_project_lie_in_one_folder_however_often_and_by_whatever_name(
    member: httpx2.Client,
) -> None:
    def project(name: str, which: str) -> dict[str, Any]:
        return two_branches(name, f"Title {name}") | {"conversation_template_id": which}

    first = chatgpt_zip(
        [project("one", "g-p-aa"), project("two", "g-p-aa"), project("three", "g-p-bb"), two_branches()]
    )
    told = bring_in(member, first)
    assert "4 conversations were brought in. 2 folders were made. 2 of them are without their names" in told
    trees = {tree["title"]: tree.get("folder") for tree in conversations_in(member.get("/settings/export").content)}
    assert sorted(name or "" for name in trees.values()) == [
        "", "Project 1 from ChatGPT", "Project 1 from ChatGPT", "Project 2 from ChatGPT",
    ]  # fmt: skip
    assert trees["Title one"] == trees["Title two"]
    assert trees["Weather"] is None
    folders = member.get("/folders").text
    address = re.search(rf'href="(/folders/\w+)"[^>]*>(?:\s*<[^>]+>)*\s*{trees["Title one"]}', folders)
    assert address
    member.post(address[1], data={"name": "Garden"}).raise_for_status()
    assert "folders were made" not in bring_in(member, first)
    told = bring_in(member, chatgpt_zip([project("four", "g-p-aa")]))
    assert "1 conversations were brought in." in told
    assert "folders were made" not in told
    trees = {tree["title"]: tree.get("folder") for tree in conversations_in(member.get("/settings/export").content)}
    assert trees["Title four"] == trees["Title one"] == "Garden"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not an export", "cannot be imported: it is not JSON"),
        (b"PK\x03\x04 damaged", "cannot be imported: it is damaged"),
        (b'[{"mapping": ', "cannot be imported: it is not JSON, or it was cut"),
        (b'[{"x": 1}, 3]', "1 could not be read"),
    ],
)
def test_what_is_no_export_is_told_on_the_page(member: httpx2.Client, data: bytes, words: str) -> None:
    assert words in bring_in(member, data)


def test_what_was_read_before_the_damage_stays(member: httpx2.Client) -> None:
    whole = json.dumps([two_branches("one", "First"), two_branches("two", "Second")])
    told = bring_in(member, whole[: len(whole) - 200].encode())
    assert "it was cut" in told
    assert "1 conversations were brought in." in told
    assert "Second answer." in opened(member, "First")


def test_a_file_that_is_too_large_or_none_is_refused_in_words(member: httpx2.Client) -> None:
    reply = member.post("/settings/import", files={"file": ("x.zip", b"x" * (MOST + 1))})
    assert reply.status_code == 413
    assert str(MOST) in reply.text
    for files in ({"file": ("", b"")}, {"a": ("a", b"[]"), "b": ("b", b"[]")}):
        reply = member.post("/settings/import", files=files)
        assert reply.status_code == 422
    assert member.post("/settings/import", data={"file": "x"}).status_code == 422
    other = member.post("/c/x/rename", files={"file": ("x", b"x" * 30_000)})
    assert other.status_code == 413, "the larger bound is for this address alone"


def test_a_bomb_is_refused_and_the_server_goes_on(member: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "FREE_BYTES", 1 << 20)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", b'[{"mapping": "' + bytes([0x20]) * 60_000_000 + b'"}]')
    assert len(made.getvalue()) < MOST
    assert "it unpacks to more than is believed" in bring_in(member, made.getvalue())


def test_nobody_brings_in_anything_without_being_signed_in(site: Site) -> None:
    with httpx2.Client(base_url=site.url) as stranger:
        reply = stranger.post("/settings/import", files={"file": ("x.zip", chatgpt_zip([two_branches()]))})
    assert reply.status_code == 401
    with httpx2.Client(base_url=site.url) as elsewhere:
        reply = elsewhere.post(
            "/settings/import", files={"file": ("x.zip", b"[]")}, headers={"Sec-Fetch-Site": "cross-site"}
        )
    assert reply.status_code == 403


def test_while_one_runs_a_second_one_of_the_same_person_waits(
    member: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    go_on = threading.Event()
    split = items.split

    def held(*args):
        go_on.wait(10)
        return split(*args)

    monkeypatch.setattr(items, "split", held)
    member.post("/settings/import", files={"file": ("x.json", b"[]")}).raise_for_status()
    page = member.get("/settings/data")
    assert "Reading…" in page.text
    assert page.headers["refresh"]
    assert "import-file" not in page.text
    assert member.post("/settings/import", files={"file": ("x.json", b"[]")}).status_code == 503
    go_on.set()


def test_nothing_of_what_is_brought_in_lies_open_in_the_data_folder(site: Site, member: httpx2.Client) -> None:
    value = two_branches("canary-name", "canary-title")
    value["mapping"]["q1"]["message"]["content"]["parts"] = ["canary-words"]
    bring_in(member, chatgpt_zip([value]))
    for file in site.app.state.services.settings.home.rglob("*"):
        if file.is_file():
            assert b"canary" not in file.read_bytes(), file.name


ENDLESS = "import os, sys, time, pathlib; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(3600)"


def test_a_server_that_ends_takes_the_process_with_it_that_reads_a_long_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "pid"
    monkeypatch.setattr(reading_apart, "COMMAND", [sys.executable, "-c", ENDLESS, str(told)])
    with serving(tmp_path / "home", FakeEngine()) as site, httpx2.Client(
        base_url=site.url, timeout=120, follow_redirects=True
    ) as client:  # fmt: skip
        client.get(site.link()).raise_for_status()
        data = chatgpt_zip([{"mapping": {}, "filler": "x" * items.LONG}])
        client.post("/settings/import", files={"file": ("export.zip", data)}).raise_for_status()
        until = time.monotonic() + 120
        while not (told.exists() and told.read_text()):
            assert time.monotonic() < until
            time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)
