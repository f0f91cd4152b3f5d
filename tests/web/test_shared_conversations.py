"""A whole conversation, shared with one other person on a whole Commun: by a link, to be read, until its owner ends it."""

import contextlib
import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import httpx2
import pytest

from commun.authority import Who
from commun.drafting.models import default_model_clause
from commun.receipts.bundle import Bundle
from commun.receipts.verification import Trust, Verdict, verify
from fake_engine import FakeEngine
from inhabitants import Person, inhabitant
from site_server import Site, serving

QUESTION = "canary-question-2f80 Why?"
ANSWER = "canary-answer-b1 **Because.** <script>alert(1)</script>"
JSON = {"Accept": "application/json"}
OFTEN = "1000000/minute"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    engine, adopted = FakeEngine(ANSWER), default_model_clause()
    engine.info = replace(engine.info, model=adopted.id, model_digest=adopted.digest)
    home = tmp_path_factory.mktemp("readers") / "home"
    with serving(home, engine, rate_limit=OFTEN, sign_in_rate_limit=OFTEN) as running:
        yield running


@pytest.fixture(scope="module")
def ada(site: Site) -> Person:
    return inhabitant(site, name="Ada")


@pytest.fixture(scope="module")
def bob(site: Site) -> Person:
    return inhabitant(site, name="Bob")


@contextlib.contextmanager
def at(person: Person) -> Iterator[httpx2.Client]:
    with person.browser(follow_redirects=True) as client:
        yield client


def linked(owner: Person, conversation: str) -> str:
    """A fresh link's path."""
    with at(owner) as client:
        made = client.post(f"/c/{conversation}/readers").text
    (path,) = re.findall(r'id="with-url">http://[^/]+(/with/[\w-]+)<', made)
    return path


def accepted(owner: Person, reader: Person, conversation: str) -> str:
    """The reading's path."""
    with at(reader) as client:
        response = client.post(linked(owner, conversation))
    assert response.status_code == 200, response.text
    assert response.url.path.startswith("/reading/")
    return response.url.path


def ends(owner: Person, conversation: str) -> list[str]:
    with at(owner) as client:
        return re.findall(r'action="(/readers/\w+/end)"', client.get(f"/c/{conversation}/readers").text)


def ended(owner: Person, conversation: str) -> None:
    with at(owner) as client:
        for action in ends(owner, conversation)[:1]:
            assert "has another key now" in client.post(action).text


def test_from_the_owners_menu_to_the_readers_sidebar(site: Site, ada: Person, bob: Person) -> None:
    conversation, answer = ada.ask(QUESTION)
    with at(ada) as client:
        assert f'href="/c/{conversation}/readers"' in client.get(f"/c/{conversation}").text
        assert "Nobody but you." in client.get(f"/c/{conversation}/readers").text
    link = linked(ada, conversation)
    with at(ada) as client:
        assert "This is your own link" in client.get(link).text
        assert client.post(link).status_code == 403
        assert link.rpartition("/")[2] not in client.get(f"/c/{conversation}/readers").text, "shown once"
    with at(bob) as client:
        asked = client.get(link)
        assert "Ada lets you read a conversation" in asked.text
        assert "canary" not in asked.text
        assert asked.headers["referrer-policy"] == "no-referrer"
        assert "Shared with me" not in asked.text, "to look at a link accepts nothing"
        page = client.post(link)
        reading = page.url.path
        assert "Ada shares this conversation with you" in page.text
        assert QUESTION in page.text
        assert "<strong>Because.</strong>" in page.text
        assert "<script>alert" not in page.text
        inside = page.text.partition("<main")[2].partition("</main>")[0]
        assert not re.search(r"<textarea|/c/\w+|data-edit|data-again", inside)
        listed = client.get("/").text
        assert "Shared with me" in listed
        assert f'href="{reading}"' in listed
        spent = client.get(link)
        assert (spent.status_code, "This link opens nothing" in spent.text) == (404, True)
        assert client.post(link).status_code == 404
    with at(ada) as client:
        assert "Read by Bob" in client.get(f"/c/{conversation}").text
        assert "reads since" in client.get(f"/c/{conversation}/readers").text
        assert "End the reading of Bob" in client.get("/settings").text
        client.post(f"/c/{conversation}/ask", data={"question": "And later?", "parent": answer})
    with at(bob) as client:
        assert "And later?" in client.get(reading).text, "it is read as it goes on"


def test_signed_out_the_link_leads_through_signing_in_and_back(site: Site, ada: Person) -> None:
    conversation, _answer = ada.ask(QUESTION)
    link = linked(ada, conversation)
    with httpx2.Client(base_url=site.url) as stranger:
        page = stranger.get(link)
        assert page.status_code == 401
        assert f'value="{link}"' in page.text
        assert stranger.post(link).status_code == 401
    with inhabitant(site, Who.LOCKED).browser() as client:
        assert client.post(link).status_code == 403


@pytest.mark.parametrize("token", ["x", "A" * 43, "A" * 65, "%00", "é"])
def test_a_link_that_opens_nothing_says_no_more(bob: Person, token: str) -> None:
    with at(bob) as client:
        for response in (client.get(f"/with/{token}"), client.post(f"/with/{token}")):
            assert response.status_code == 404


def test_every_address_of_the_owner_is_shut_to_the_reader_and_the_other_way(ada: Person, bob: Person) -> None:
    conversation, answer = ada.ask(QUESTION)
    reading = accepted(ada, bob, conversation)
    (end,) = ends(ada, conversation)
    with at(ada) as client:
        (receipt,) = re.findall(r"/receipt/([0-9a-f]{64})", client.get(f"/c/{conversation}").text)[:1]
    owners = [
        ("GET", f"/c/{conversation}", {}),
        ("GET", f"/c/{conversation}/export.json", {}),
        ("GET", f"/c/{conversation}/readers", {}),
        ("POST", f"/c/{conversation}/readers", {}),
        ("POST", f"/c/{conversation}/ask", {"question": "x", "parent": answer}),
        ("POST", f"/c/{conversation}/edit", {"question": "x", "message": answer}),
        ("POST", f"/c/{conversation}/again", {"message": answer}),
        ("POST", f"/c/{conversation}/branch", {"message": answer}),
        ("POST", f"/c/{conversation}/rename", {"title": "x"}),
        ("POST", f"/c/{conversation}/feedback", {"message": answer, "thumb": "up"}),
        ("POST", f"/c/{conversation}/delete", {}),
        ("POST", f"/c/{conversation}/erase", {}),
        ("GET", f"/receipt/{receipt}", {}),
        ("GET", f"/receipt/{receipt}/bundle", {}),
        ("POST", end, {}),
    ]
    readers = [
        ("GET", reading, {}),
        ("GET", f"{reading}/export.md", {}),
        ("GET", f"{reading}/export.json", {}),
        ("GET", f"{reading}/receipt/{receipt}", {}),
        ("GET", f"{reading}/receipt/{receipt}/bundle", {}),
        ("POST", f"{reading}/copy", {}),
        ("POST", f"{reading}/leave", {}),
    ]
    for person, addresses in ((bob, owners), (ada, readers)):
        with at(person) as client:
            for method, path, form in addresses:
                response = client.request(method, path, data=form if method == "POST" else None, headers=JSON)
                assert response.status_code == 404, path
    with at(bob) as client:
        assert client.get(reading).status_code == 200
    with at(ada) as client:
        assert client.get(f"/c/{conversation}").status_code == 200


def test_branches_are_links_and_the_owners_own_view_stays(ada: Person, bob: Person) -> None:
    conversation, answer = ada.ask(QUESTION)
    with at(ada) as client:
        client.post(f"/c/{conversation}/again", data={"message": answer})
    reading = accepted(ada, bob, conversation)
    with at(bob) as client:
        page = client.get(reading).text
        assert "2/2" in page
        before = re.findall(rf'href="({reading}\?message=\w+#m-\w+)" aria-label="Previous', page)
        assert "1/2" in client.get(unescape(before[0])).text
        assert client.get(f"{reading}?message=nothing").status_code == 404
    with at(ada) as client:
        assert "2/2" in client.get(f"/c/{conversation}").text


def test_receipts_are_shown_and_their_file_verifies_without_what_the_model_was_told(
    site: Site, ada: Person, bob: Person
) -> None:
    with at(ada) as client:
        client.post("/settings/instructions", data={"instructions": "canary-instructions-66", "used": "yes"})
    conversation, _answer = ada.ask(QUESTION)
    reading = accepted(ada, bob, conversation)
    with at(bob) as client:
        page = client.get(reading).text
        assert "Your own instructions" not in page
        (receipt,) = set(re.findall(rf'href="({reading}/receipt/[0-9a-f]{{64}})"', page))
        told = client.get(receipt)
        assert "Receipt of an answer" in told.text
        assert f'href="{receipt}/bundle"' in told.text
        site.run(site.app.state.services.recorder.look())
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            data = client.get(f"{receipt}/bundle").content
            if Bundle.from_bytes(data).ledger.receipt not in {None, "pending"}:
                break
            time.sleep(0.1)
        exported = client.get(f"{reading}/export.json").text
        client.get(f"{reading}/export.md")
    for given in (page, told.text, data.decode(), exported):
        assert "canary-instructions" not in given
    with at(ada) as client:
        mine = client.get(f"/receipt/{receipt.rpartition('/')[2]}/bundle").text
        assert "canary-instructions-66" in mine, "else the lines above would prove nothing"
    disclosed = {name for name, value in json.loads(data)["disclosed"].items() if value is not None}
    assert disclosed == {"answer_text", "answer_token_ids"}
    trust = Trust(charter=site.app.state.services.charter.get().first_root, keys=(Bundle.from_bytes(data).key,))
    report = verify(data, trust)
    assert report.verdict is not Verdict.REFUSED, report.detail
    with at(ada) as client:
        client.post("/settings/instructions", data={"instructions": ""})


def test_exports_say_whose_it_is(site: Site, ada: Person) -> None:
    conversation, _answer = ada.ask(QUESTION)
    dora = inhabitant(site, name="Dora")
    reading = accepted(ada, dora, conversation)
    with at(dora) as client:
        markdown = client.get(f"{reading}/export.md").text
        data = client.get(f"{reading}/export.json").json()
        archive = client.get("/settings/export").content
    assert "## Ada ·" in markdown
    assert QUESTION in markdown
    assert (data["format"], data["shared_by"], len(data["messages"])) == ("commun-conversation/1", "Ada", 2)
    with at(ada) as client:
        owners = client.get(f"/c/{conversation}/export.json").json()["messages"][1]["content"]
    guessed_against = {"logprobs", "prompt_tokens"} & set(owners)
    assert guessed_against, "else the line below would prove nothing"
    assert not guessed_against & set(data["messages"][1]["content"])
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        account = json.loads(opened.read("account.json"))
        assert not any(b"canary-question-2f80" in opened.read(name) for name in opened.namelist())
    (read,) = account["shared_with_me"]
    assert (read["id"], read["shared_by"]) == (reading.rpartition("/")[2], "Ada")
    with at(ada) as client, zipfile.ZipFile(io.BytesIO(client.get("/settings/export").content)) as opened:
        account = json.loads(opened.read("account.json"))
    assert (conversation, "Dora") in [(each["conversation_id"], each["name"]) for each in account["read_by"]]


def test_ended_it_is_gone_for_the_reader_and_whole_for_its_owner(site: Site, ada: Person, bob: Person) -> None:
    conversation, _answer = ada.ask(QUESTION)
    reading, link = accepted(ada, bob, conversation), linked(ada, conversation)
    cy = inhabitant(site, name=None)
    still = accepted(ada, cy, conversation)
    with at(cy) as client:
        assert "They will see that somebody without a name reads" in client.get(linked(ada, conversation)).text
    (row,) = [each for each in ends(ada, conversation) if reading.rpartition("/")[2] in each]
    with at(ada) as client:
        page = client.post(row).text
        assert "has another key now" in page
        assert "somebody without a name" in page
        assert client.post(row).status_code == 404
        assert QUESTION in client.get(f"/c/{conversation}").text
        assert "Read by somebody without a name" in client.get(f"/c/{conversation}").text
    with at(bob) as client:
        assert client.get(reading).status_code == 404
        assert f'href="{reading}"' not in client.get("/").text
        assert client.get(link).status_code == 404, "a link carries the old key: it has ended, too"
    with at(cy) as client:
        assert QUESTION in client.get(still).text
    with at(ada) as client:
        settings = client.get("/settings").text
        (from_settings,) = [
            each for each in re.findall(r'action="(/readers/\w+/end)"', settings) if each in ends(ada, conversation)
        ]
        assert client.post(from_settings, data={"from": "settings"}).url.path == "/settings"
        assert "Nobody but you." in client.get(f"/c/{conversation}/readers").text


def test_not_while_an_answer_is_written_which_the_reader_sees_grow(site: Site, ada: Person, bob: Person) -> None:
    conversation, answer = ada.ask(QUESTION)
    reading = accepted(ada, bob, conversation)
    (end,) = ends(ada, conversation)
    site.engine.answer, site.engine.delay_s = "canary-slow " * 400, 0.2
    try:
        with at(ada) as client:
            asked = client.post(f"/c/{conversation}/ask", data={"question": "Slowly", "parent": answer}, headers=JSON)
            running = re.findall(r'id="m-(\w+)" data-id="\w+" data-running', asked.json()["append"])[0]
            refused = client.post(end, headers=JSON)
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "still_writing")
            with at(bob) as reader:
                assert "This answer is being written." in reader.get(reading).text
                assert reader.get(f"/answers/{running}/events").status_code == 204, "the stream is its owner's"
                assert reader.post(f"/answers/{running}/stop").status_code == 404
                assert reader.post(f"{reading}/copy", headers=JSON).json()["error"]["code"] == "still_writing"
            client.post(f"/answers/{running}/stop")
    finally:
        site.engine.answer, site.engine.delay_s = ANSWER, 0
    with at(bob) as reader:
        assert "was stopped before its end" in reader.get(reading).text
    ended(ada, conversation)


def test_a_copy_goes_on_as_ones_own_and_says_so(ada: Person, bob: Person) -> None:
    conversation, _answer = ada.ask(QUESTION)
    reading = accepted(ada, bob, conversation)
    with at(bob) as client:
        copied = client.post(f"{reading}/copy")
        path = copied.url.path
        assert path.startswith("/c/")
        assert "(copy)" in copied.text
        assert "Asked in a conversation that was shared with you" in copied.text
        assert "Its receipt stays there." in copied.text
        assert "/receipt/" not in copied.text
    ended(ada, conversation)
    with at(bob) as client:
        (parent,) = re.findall(r'name="parent" value="(\w+)"', client.get(path).text)
        assert "And mine?" in client.post(f"{path}/ask", data={"question": "And mine?", "parent": parent}).text
        assert "## Asked in the original ·" in client.get(f"{path}/export.md").text
    with at(ada) as client:
        assert client.get(path).status_code == 404


def test_who_leaves_is_out_and_the_owner_sees_it(ada: Person, bob: Person) -> None:
    conversation, _answer = ada.ask(QUESTION)
    reading = accepted(ada, bob, conversation)
    with at(bob) as client:
        assert client.post(f"{reading}/leave").url.path == "/"
        assert client.get(reading).status_code == 404
    with at(ada) as client:
        assert "Nobody but you." in client.get(f"/c/{conversation}/readers").text


def test_a_deleted_conversation_is_not_read_until_it_is_back(ada: Person, bob: Person) -> None:
    conversation, _answer = ada.ask(QUESTION)
    reading = accepted(ada, bob, conversation)
    for action, status in (("delete", 404), ("restore", 200)):
        with at(ada) as client:
            client.post(f"/c/{conversation}/{action}")
        with at(bob) as client:
            assert client.get(reading).status_code == status
