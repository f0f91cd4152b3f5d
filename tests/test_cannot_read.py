"""An administrator with everything an administrator has, and the whole data folder: nothing that a member wrote is there.

Every address is tried, with the administrator's session, key and the member's own ids; every table, file and log line is
searched; every sealed value is tried with every key that the administrator and the machine hold.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from commun.authority import ANY, TABLE, WITH_KEY, Door, Who
from commun.recording.audit_key import open_audit_key
from commun.store.people import Role
from commun.store.schema import metadata
from commun.store.vault import AccountKey, VaultError
from fake_engine import FakeEngine
from inhabitants import Person, inhabitant
from site_server import Site, serving

OFTEN = "1000000/minute"
ANSWER = "canary-answer-51ee"
CANARIES = {
    "question": "canary-question-77b1",
    "answer": ANSWER,
    "title": "canary-title-0c2d",
    "search": "canary-search-e9a4",
    "temporary": "canary-temporary-93fb",
    "guest": "canary-guest-5e70",
    "program": "canary-program-4d18",
    "password": "canary password 1b7e staple",
    "remark": "canary-remark-a8d3",
    "folder": "canary-folder-b09e",
    "folder's instructions": "canary-of-a-folder-17ac",
    "instructions": "canary-instructions-5f42",
}
SENT = {  # to the administrator, by the member: what is found at /sent, and nowhere else
    "sent question": "canary-sent-question-66fa",
    "sent answer": "canary-sent-answer-2e90",
    "sent remark": "canary-sent-remark-d15c",
}
MINE = {"enable", "disable", "role", "quota"}  # what is done to the member last, since it ends what else is tried


@dataclass
class World:
    site: Site
    home: Path
    administrator: Person
    member: Person
    reader: Person = field(init=False)
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> dict[str, str]:
        return CANARIES | SENT | self.secrets


@pytest.fixture
def world(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[World]:
    del capfd  # from the beginning: what is logged while the member writes is searched, too
    home, engine = tmp_path / "home", FakeEngine(ANSWER)
    with serving(home, engine, sign_in_rate_limit=OFTEN, rate_limit=OFTEN, public_shares=True) as site:
        made = World(site, home, inhabitant(site, Who.ADMINISTRATOR, name="Ada"), invited(site))
        write_everything(made)
        engine.answer = SENT["sent answer"]
        send_one(made)
        let_read(made)
        engine.answer = "To somebody else."
        yield made


def invited(site: Site) -> Person:
    """A member as members come: by an invitation, with a password."""
    invitations = site.app.state.services.invitations
    token = site.run(invitations.make(Role.MEMBER))
    signed_in = site.run(invitations.accept(token, "Bob", CANARIES["password"]))
    return Person(site, signed_in.viewer.account_id, signed_in.token)


def write_everything(world: World) -> None:
    """A member at work, in every way that leaves something."""
    member = world.member
    folder = instructed(member)
    conversation, answer = member.ask(CANARIES["question"])
    member.new_key()
    with member.browser() as client:
        said = client.get(f"/c/{conversation}").text
        assert ANSWER in said
        (receipt,) = set(re.findall(r"/receipt/([0-9a-f]{64})", said))
        client.post(f"/c/{conversation}/rename", data={"title": CANARIES["title"]})
        assert CANARIES["title"] in client.get("/").text
        said = {"message": answer, "whole": "yes", "thumb": "down", "remark": CANARIES["remark"]}
        client.post(f"/c/{conversation}/feedback", data=said)
        assert CANARIES["remark"] in client.get(f"/c/{conversation}/feedback", params={"message": answer}).text
        client.post(f"/c/{conversation}/move", data={"folder": folder})
        client.post(f"/c/{conversation}/again", data={"message": answer})
        client.get("/search", params={"q": CANARIES["search"]})
        client.post("/temporary", data={"question": CANARIES["temporary"]})
        shared = client.post(f"/receipt/{receipt}/share", data={"days": "7"}).text
        code = re.search(r'id="new-code">([^<]+)<', client.post("/settings/recovery").text)
        settings = client.get("/settings").text
    body = {"model": "default", "messages": [{"role": "user", "content": CANARIES["program"]}], "store": True}
    headers = {"authorization": f"Bearer {member.key}"}
    httpx2.post(f"{world.site.url}/v1/chat/completions", json=body, headers=headers).raise_for_status()
    link = re.search(r"/share/([\w-]{20,})", shared)
    assert code
    assert link
    world.secrets = {"cookie": member.token, "key": member.key[7:], "code": code[1], "share": link[1]}
    member.things = {"conversation": conversation, "answer": answer, "receipt": receipt, "session": "none"}
    member.things["folder"] = folder
    (member.things["key"],) = re.findall(r"/settings/keys/(\w+)/revoke", settings)
    (member.things["share_id"],) = re.findall(r"/settings/shares/(\w+)/revoke", settings)
    member.things["guest's answer"] = asked_in_a_class(world)


def asked_in_a_class(world: World) -> str:
    """What a guest was answered, as long as it can be followed."""
    guest = inhabitant(world.site, Who.GUEST)
    with guest.browser() as client:
        said = client.post("/temporary", data={"question": CANARIES["guest"]}).text
    assert CANARIES["guest"] in said
    assert ANSWER in said
    world.secrets["guest's cookie"] = guest.token
    return re.findall(r'class="message answer" id="m-([\w-]+)"', said)[-1]


def instructed(member: Person) -> str:
    """What the member tells every answer, and every answer in a folder; the folder's id."""
    with member.browser() as client:
        client.post("/settings/instructions", data={"instructions": CANARIES["instructions"], "used": "yes"})
        folder = client.post("/folders", data={"name": "First called otherwise"}).headers["location"]
        client.post(folder, data={"name": CANARIES["folder"], "instructions": CANARIES["folder's instructions"]})
        assert CANARIES["instructions"] in client.get("/settings").text
        assert CANARIES["folder's instructions"] in client.get(folder).text
    return folder.removeprefix("/folders/")


def send_one(world: World) -> None:
    """One answer of another conversation, which the member sends to the administrators."""
    _conversation, answer = world.member.ask(SENT["sent question"])
    receipt = world.site.receipt_of(answer)
    form = {"to": world.administrator.account_id, "named": "yes", "receipt": "yes", "remark": SENT["sent remark"]}
    with world.member.browser() as client:
        client.post(f"/receipt/{receipt}/send", data=form)
        (world.member.things["sent"],) = re.findall(r"/settings/sent/(\w+)/withdraw", client.get("/settings").text)


def let_read(world: World) -> None:
    """Another member reads the member's conversation, and a link for a third lies about."""
    member, conversation = world.member, world.member.things["conversation"]
    world.reader = inhabitant(world.site, name="Cy")
    member.things["reading"] = member.share_with(world.reader, conversation)
    with member.browser() as client:
        (world.secrets["link to read"],) = re.findall(
            r"/with/([\w-]{20,})", client.post(f"/c/{conversation}/readers").text
        )
    with world.reader.browser() as client:
        read = client.get(f"/reading/{member.things['reading']}").text
        client.get(f"/reading/{member.things['reading']}/export.json")
    assert CANARIES["title"] in read
    assert ANSWER in read


def look_for(words: dict[str, str], data: bytes) -> list[str]:
    codings = (str.encode, lambda word: word.encode("utf-16-le"), lambda word: base64.b64encode(word.encode())[:-4])
    return [name for name, word in words.items() if any(coding(word) in data for coding in codings)]


def test_the_search_finds_what_the_member_sees(world: World) -> None:
    """Else it would prove nothing."""
    with world.member.browser() as client:
        page = client.get(f"/c/{world.member.things['conversation']}").content
    assert set(look_for(world.words, page)) == {"question", "answer", "title", "folder", "program", "sent question"}


def ids_for(path: str, member: Person) -> list[str]:
    """The path with each of the member's ids in its place."""
    place = re.search(r"{\w+(?::path)?}", path)
    if place is None:
        return [path]
    given = {**member.things, "account": member.account_id}
    return [re.sub(r"{\w+(?::path)?}", value, path) for value in given.values()]


def test_no_address_gives_an_administrator_what_a_member_wrote(world: World) -> None:
    administrator, member = world.administrator, world.member
    key = administrator.new_key()
    form = {
        "question": "x",
        "message": member.things["answer"],
        "title": "t",
        "role": "member",
        "days": "7",
        "note": "",
    }
    rows = sorted(TABLE, key=lambda row: row.rpartition("/")[2] in MINE)
    tried = 0
    for row in rows:
        method, path = row.split()
        if path == "/sign-out" or (TABLE[row] is Door.SIGNED_IN and path.startswith("/unlock")):
            continue  # these would end the administrator's own session
        for address in ids_for(path, member):
            headers = {"authorization": f"Bearer {key}"} if TABLE[row] in WITH_KEY else {}
            with administrator.browser(headers=headers) as client:
                verb = "GET" if method == ANY else method
                answered = client.request(verb, address, data=form if verb == "POST" else None)
            raw = answered.content + str(answered.headers).encode()
            asked_for = {"cookie", *(["title"] if "question" in path else [])}
            asked_for |= SENT.keys() if path.startswith("/sent") else set()
            found = [name for name in look_for(world.words, raw) if name not in asked_for]
            assert found == [], (row, address)
            assert world.member.token not in str(answered.headers)
            tried += 1
    assert tried > 200


def test_no_table_no_file_and_no_log_line_holds_it(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    def cells(connection: Any) -> list[tuple[str, Any]]:
        return [
            (f"{table.name}.{column.name}", value)
            for table in metadata.sorted_tables
            for row in connection.execute(select(table)).all()
            for column, value in zip(table.columns, row, strict=True)
        ]

    database = world.site.app.state.services.database
    held = world.site.run(database.read(cells))
    assert len(held) > 200
    for place, value in held:
        data = value if isinstance(value, bytes) else str(value).encode()
        assert look_for(world.words, data) == [], place
    files = [file for file in world.home.rglob("*") if file.is_file() and "models" not in file.parts]
    assert any(file.name.endswith("-wal") for file in files)
    for file in files:
        assert look_for(world.words, file.read_bytes()) == [], file
    out, err = capfd.readouterr()
    assert "/people" in out + err or "/ask" in out + err  # the log was captured
    assert look_for(world.words, (out + err).encode()) == []


def test_no_key_that_an_administrator_or_the_machine_holds_opens_it(world: World) -> None:
    """Whoever writes a program of their own with these keys, past every check of whose it is."""
    services, member = world.site.app.state.services, world.member
    mine = world.site.run(services.accounts.viewer(world.administrator.token))
    theirs = world.site.run(services.accounts.viewer(member.token))
    conversation, receipt = member.things["conversation"], member.things["receipt"]
    keys = [mine.key, AccountKey.generate()]
    audit_key = world.home / "keys/audit.key"
    keys += [open_audit_key(audit_key)] if audit_key.exists() else []

    reading = (services.reading.list, lambda viewer: services.reading.get(viewer, member.things["reading"]))
    readers = world.site.run(services.accounts.viewer(world.reader.token))
    works = (
        lambda viewer: services.conversations.get(viewer, conversation),
        services.conversations.list,
        services.readers.list,
        lambda viewer: services.conversations.search(viewer, "canary"),
        lambda viewer: services.receipts.get(viewer, receipt),
    )
    assert CANARIES["title"] in str([world.site.run(work(theirs)) for work in works])  # the member's own key opens it
    assert all(CANARIES["title"] in str(world.site.run(work(readers))) for work in reading)  # and so does the reader's
    for key in keys:
        tried = [(work, theirs) for work in works] + [(work, readers) for work in reading]
        for work, whose in tried:
            try:
                found = str(world.site.run(work(replace(whose, key=key))))
            except VaultError:
                continue
            assert look_for(world.words, found.encode()) == []


def test_what_was_sent_opens_with_the_administrators_vault_and_with_nothing_else(world: World) -> None:
    services, sent = world.site.app.state.services, world.member.things["sent"]
    mine = world.site.run(services.accounts.viewer(world.administrator.token))
    with world.administrator.browser() as client:
        assert set(look_for(world.words, client.get(f"/sent/{sent}").content)) == SENT.keys()
    opened = world.site.run(services.sent.get(mine, sent)).content
    assert set(look_for(world.words, opened)) == SENT.keys()
    audit_key = world.home / "keys/audit.key"
    for key in [AccountKey.generate(), *([open_audit_key(audit_key)] if audit_key.exists() else [])]:
        with pytest.raises(VaultError):
            world.site.run(services.sent.get(replace(mine, key=key), sent))


def test_nobody_can_be_reset_into_their_vault(world: World) -> None:
    """There is no address for it, and who comes back by a new invitation begins empty."""
    administration = [row for row in TABLE if TABLE[row] is Door.ADMINISTRATOR]
    assert not [row for row in administration if re.search(r"password|reset|unlock|sign-in|session|link", row)]
    other = Person(world.site, "", world.site.run(again(world.site)).token)
    with other.browser() as client:
        assert CANARIES["title"] not in client.get("/").text
        assert client.get(f"/c/{world.member.things['conversation']}").status_code == 404


async def again(site: Site) -> Any:
    invitations = site.app.state.services.invitations
    return await invitations.accept(await invitations.make(Role.MEMBER), "Bob again", "another long password of mine")
