"""Everything that is kept for one person, as one ZIP: all of theirs, verifiable, and nothing of anybody else's."""

import asyncio
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import insert, update

from commun.drafting.models import default_model_clause
from commun.receipts.verification import Verdict, verify
from commun.store import sessions as rows
from commun.store.schema import accounts, sessions
from commun.store.tree import new_id
from fake_engine import FakeEngine
from site_server import Site, serving

JSON = {"Accept": "application/json"}
MINE, THEIRS = "canary-mine-77c1", "canary-theirs-91d0"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made, model = FakeEngine(), default_model_clause()
    made.info = replace(made.info, model=model.id, model_digest=model.digest)
    with serving(tmp_path_factory.mktemp("export") / "home", made) as running:
        yield running


def somebody(site: Site) -> httpx2.Client:
    """Another person, signed in, with a vault of their own."""
    services = site.app.state.services

    def work(connection):
        account_id = new_id()
        row = {"id": account_id, "role": "member", "created": 1.0, "language": "", "theme": ""}
        connection.execute(insert(accounts), row)
        return rows.new_session(connection, account_id, 2e9, 4e9)

    token = site.run(services.database.write(work))
    return httpx2.Client(base_url=site.url, timeout=120, cookies={"commun_session": token})


def ask(client: httpx2.Client, question: str, address: str = "/ask", **fields: str) -> tuple[str, str]:
    """The conversation's id and the answer's, which has ended."""
    reply = client.post(address, data={"question": question, **fields}, headers=JSON).json()
    answer = re.findall(r'class="message answer" id="m-(\w+)"', reply.get("main") or reply["append"])[-1]
    client.get(f"/answers/{answer}/events")
    return str(reply.get("url", "")).removeprefix("/c/"), answer


def exported(client: httpx2.Client) -> zipfile.ZipFile:
    response = client.get("/settings/export")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    assert archive.testzip() is None
    return archive


def test_all_branches_their_markdown_and_their_proofs_are_in_it_and_nothing_of_another_person(
    site: Site, member: httpx2.Client
) -> None:
    chat, first = ask(member, MINE)
    _, second = ask(member, f"{MINE} again", f"/c/{chat}/ask", parent=first)
    member.post(f"/c/{chat}/again", data={"message": second}, headers=JSON)
    with somebody(site) as other:
        ask(other, THEIRS)
        archive = exported(member)
    names = archive.namelist()
    whole = b"".join(archive.read(name) for name in names)
    assert THEIRS.encode() not in whole
    tree = json.loads(archive.read(next(name for name in names if name.endswith(f"{chat}.json"))))
    assert len(tree["messages"]) == 5
    assert len([one for one in tree["messages"] if one["role"] == "assistant"]) == 3
    text = archive.read(next(name for name in names if name.endswith(f"{chat}.md"))).decode()
    assert text.startswith(f"# {MINE}")
    assert "## Commun" in text
    proofs = [name for name in names if name.startswith("proofs/")]
    assert len(proofs) >= 2
    for name in proofs:
        report = verify(archive.read(name))
        assert report.verdict is not Verdict.REFUSED, report.detail
    assert MINE in archive.read("conversations.md").decode()
    assert names[0] == "README.txt"


def test_the_account_is_in_it_without_any_secret(site: Site, member: httpx2.Client) -> None:
    key = site.run(site.app.state.services.accounts.ensure_founder())
    made = site.run(site.app.state.services.accounts.make_api_key(key, "laptop"))
    account = json.loads(exported(member).read("account.json"))
    tables = account["tables"]
    assert len(tables["accounts"]) == 1
    assert [one["name"] for one in tables["api_keys"]] == ["laptop"]
    assert tables["sessions"]
    told = json.dumps(account)
    assert made not in told
    assert not re.search("token_hash|wrapped_key|verifier|public_key|sealed_key", told)
    assert {one["account_id"] for name, those in tables.items() if name != "accounts" for one in those} == {key}


def test_what_an_older_key_sealed_is_named_and_not_opened(site: Site) -> None:
    with somebody(site) as client:
        chat, _ = ask(client, MINE)
        start_over(site, client)
        archive = exported(client)
    account = json.loads(archive.read("account.json"))
    assert [one["id"] for one in account["sealed_with_an_older_key"]] == [chat]
    assert MINE.encode() not in b"".join(archive.read(name) for name in archive.namelist())
    assert "cannot be opened" in archive.read("conversations.md").decode()


def start_over(site: Site, client: httpx2.Client) -> None:
    """As the page does where the key is lost."""
    locked = another_browser(site, client)
    assert locked.post("/unlock/start-over", data={"words": "start over"}).status_code == 303
    token = locked.cookies["commun_session"]
    client.cookies.clear()
    client.cookies.set("commun_session", token)


def another_browser(site: Site, client: httpx2.Client) -> httpx2.Client:
    """Signed in to the same account, its vault locked."""
    services, token = site.app.state.services, client.cookies["commun_session"]
    account_id = site.run(services.accounts.viewer(token)).account_id
    other = site.run(services.database.write(lambda connection: rows.new_session(connection, account_id, 2e9, 4e9)))
    made = httpx2.Client(base_url=site.url, timeout=120)
    made.cookies.set("commun_session", other, domain=httpx2.URL(site.url).host)
    return made


def test_starting_over_is_for_who_has_lost_the_key_and_says_so_in_writing(site: Site) -> None:
    with somebody(site) as client, another_browser(site, client) as locked:
        chat, _ = ask(client, MINE)
        reply = client.post("/unlock/start-over", data={"words": "start over"}, headers=JSON)
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "nothing_lost")
        assert 'name="words"' in locked.get("/unlock").text
        for typed in ({}, {"words": "yes"}):
            reply = locked.post("/unlock/start-over", data=typed)
            assert reply.status_code == 403
            assert "To start over, type: start over." in reply.text
        assert client.get(f"/c/{chat}").status_code == 200
        assert locked.post("/unlock/start-over", data={"words": " Start  over"}).status_code == 303
        assert locked.get("/settings").status_code == 200


def test_nobody_takes_anything_without_an_open_vault(site: Site, stranger: httpx2.Client) -> None:
    assert stranger.get("/settings/export").status_code == 401
    with somebody(site) as client:
        ask(client, MINE)
        token = client.cookies["commun_session"]
        lock = update(sessions).where(sessions.c.token_hash == rows.identify(token)).values(wrapped_key=None)
        site.run(site.app.state.services.database.write(lambda connection: connection.execute(lock)))
        asyncio.run(asyncio.sleep(5.5))  # the server remembers who somebody is for five seconds
        assert client.get("/settings/export").status_code == 403


def test_it_is_sent_while_it_is_made(site: Site) -> None:
    """The last conversation is not given before the first bytes have arrived."""
    conversations = site.app.state.services.conversations
    with somebody(site) as client:
        last = [ask(client, f"{number} {MINE}")[0] for number in range(4)][-1]
        arrived = asyncio.Event()
        get = conversations.get

        async def held(viewer, conversation_id):
            if conversation_id == last:
                await asyncio.wait_for(arrived.wait(), 120)
            return await get(viewer, conversation_id)

        conversations.get = held
        try:
            with client.stream("GET", "/settings/export") as response:
                chunks = response.iter_raw()
                begun = next(chunks)
                site.loop.call_soon_threadsafe(arrived.set)
                whole = begun + b"".join(chunks)
        finally:
            del conversations.get
    assert len([name for name in zipfile.ZipFile(io.BytesIO(whole)).namelist() if name.endswith(".md")]) == 5


def test_the_page_offers_it(member: httpx2.Client) -> None:
    assert 'href="/settings/data"' in member.get("/settings").text
    assert 'href="/settings/export"' in member.get("/settings/data").text


def test_every_file_has_a_name_that_unpacks_inside_its_folder(member: httpx2.Client, tmp_path: Path) -> None:
    ask(member, "../../etc/passwd\\..\\x")
    for name in exported(member).namelist():
        assert re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name), name
        assert ".." not in name
