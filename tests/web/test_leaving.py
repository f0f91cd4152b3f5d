"""Deleting one's account: every row and every byte of it goes, from the database and its log; nothing of anybody else."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection, LargeBinary, String, select

from commun.authority import Who
from commun.drafting.models import default_model_clause
from commun.store.schema import accounts, metadata
from fake_engine import FakeEngine
from inhabitants import Person, everything_stored, inhabitant
from site_server import Site, serving

WORDS = "delete my account"
PASSWORD = "correct horse battery staple"
WINDOW = 24  # bytes of a seal, wherever in it, that are looked for: pages split what is long


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made, model = FakeEngine("word " * 3000), default_model_clause()
    made.info = replace(made.info, model=model.id, model_digest=model.digest)
    with serving(tmp_path / "home", made, public_shares=True) as running:
        yield running


def seals_of(site: Site, account_id: str) -> dict[str, list[bytes]]:
    """Every sealed or hashed value of this account's rows, by column; what hangs on its conversations, too."""

    def work(connection: Connection) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        chats = {row.id for row in connection.execute(select(metadata.tables["conversations"]))
                 if row.account_id == account_id}  # fmt: skip
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                mine = row.get("account_id") == account_id or row.get("conversation_id") in chats
                for column in table.c:
                    if mine and isinstance(column.type, LargeBinary) and row[column.name]:
                        found.setdefault(str(column), []).append(bytes(row[column.name]))
        return found

    result: dict[str, list[bytes]] = site.run(site.app.state.services.database.read(work))
    return result


def on_disk(home: Path) -> dict[str, bytes]:
    """The database, its log, its index of the log; and everything else of the data folder."""
    return {path.name: path.read_bytes() for path in home.rglob("*") if path.is_file() and "models" not in path.parts}


def pieces(seal: bytes) -> list[bytes]:
    last = max(len(seal) - WINDOW, 0)
    return [seal[at : at + WINDOW] for at in {0, last // 4, last // 2, 3 * last // 4, last}]


def rows_that_name(site: Site, account_id: str) -> list[str]:
    def work(connection: Connection) -> list[str]:
        return [
            str(column)
            for table in metadata.sorted_tables
            for column in table.c
            if isinstance(column.type, String)
            and connection.execute(select(column).where(column == account_id)).first()
        ]

    found: list[str] = site.run(site.app.state.services.database.read(work))
    return found


def leave(person: Person, **fields: str) -> httpx2.Response:
    with person.browser() as client:
        return client.post("/settings/delete", data=fields)


def test_no_byte_of_what_was_sealed_is_left_in_any_file_and_nothing_of_another_person_is_touched(site: Site) -> None:
    home = site.app.state.services.settings.home
    leaving, staying = inhabitant(site), inhabitant(site)
    inhabitant(site, Who.ADMINISTRATOR)
    for person in (leaving, staying):
        person.fill()
        for _ in range(3):
            person.ask("And more? " * 50)
    site.run(site.app.state.services.recorder.look())
    seals, theirs = seals_of(site, leaving.account_id), seals_of(site, staying.account_id)
    assert {"messages.content", "conversations.sealed_key", "receipts.sealed", "sessions.wrapped_key"} <= set(seals)
    assert max(map(len, seals["messages.content"])) > 8192, "longer than a page of the database"
    before = on_disk(home)
    assert all(any(piece in data for data in before.values()) for piece in pieces(seals["conversations.sealed_key"][0]))
    response = leave(leaving, words=WORDS)
    assert response.status_code == 200, response.text
    assert "The account is deleted" in response.text
    for name, data in on_disk(home).items():
        for column, found in seals.items():
            for seal in found:
                assert not any(piece in data for piece in pieces(seal)), f"{column} in {name}"
    assert rows_that_name(site, leaving.account_id) == []
    assert seals_of(site, staying.account_id) == theirs
    with staying.browser() as client:
        assert client.get(f"/c/{staying.things['conversation']}").status_code == 200


def test_the_ledger_keeps_its_entries_and_goes_on(site: Site) -> None:
    recorder = site.app.state.services.recorder
    leaving, staying = inhabitant(site), inhabitant(site, Who.ADMINISTRATOR)
    leaving.ask()
    site.run(recorder.look())
    before = recorder.head.size
    leave(leaving, words=WORDS)
    staying.ask()
    site.run(recorder.look())
    assert recorder.trouble is None
    assert recorder.head.size >= before


def test_whoever_had_a_cookie_a_key_or_a_link_is_a_stranger_afterwards(site: Site) -> None:
    inhabitant(site, Who.ADMINISTRATOR)
    leaving = inhabitant(site)
    leaving.fill()
    with leaving.browser() as client:
        page = client.post(f"/receipt/{leaving.things['receipt']}/share", data={"days": "7"}).text
        link = re.search(r"/share/[\w-]+", page)
        assert link
        assert client.get(link[0]).status_code == 200
        gone = client.post("/settings/delete", data={"words": WORDS})
        assert "commun_session=" in gone.headers["set-cookie"]
        assert client.get(link[0]).status_code == 404
    with leaving.browser() as client:
        assert client.get("/settings").status_code == 401
    reply = httpx2.get(f"{site.url}/v1/models", headers={"authorization": f"Bearer {leaving.key}"})
    assert reply.status_code == 401


@pytest.mark.parametrize("typed", ["", "delete", "delete my accounts", "supprimer mon compte"])
def test_nothing_happens_unless_the_words_are_typed(site: Site, typed: str) -> None:
    person = inhabitant(site)
    before = everything_stored(site)
    reply = leave(person, words=typed)
    assert reply.status_code == 403
    assert "delete my account" in reply.text
    assert everything_stored(site) == before


def test_case_and_spaces_are_forgiven_and_a_name_is_typed_where_there_is_one(site: Site) -> None:
    inhabitant(site, Who.ADMINISTRATOR)
    assert leave(inhabitant(site), words="  Delete  MY account ").status_code == 200
    named = inhabitant(site, name="Anne Martin")
    assert leave(named, words=WORDS).status_code == 403
    assert leave(named, words="anne martin").status_code == 200


def test_the_password_is_asked_for_where_there_is_one_and_guessing_is_limited(site: Site) -> None:
    inhabitant(site, Who.ADMINISTRATOR)
    person = inhabitant(site)
    with person.browser(follow_redirects=True) as client:
        client.post("/settings/password", data={"name": "anne", "password": PASSWORD}).raise_for_status()
        assert 'type="password"' in client.get("/settings/delete").text
        for typed in ("", "wrong"):
            assert client.post("/settings/delete", data={"words": "anne", "password": typed}).status_code == 403
        for _ in range(6):
            last = client.post("/settings/delete", data={"words": "anne", "password": "wrong"})
        assert last.status_code == 429
    assert rows_that_name(site, person.account_id)


def test_the_right_password_and_name_delete_it(site: Site) -> None:
    inhabitant(site, Who.ADMINISTRATOR)
    person = inhabitant(site)
    with person.browser(follow_redirects=True) as client:
        client.post("/settings/password", data={"name": "anne", "password": PASSWORD}).raise_for_status()
        assert client.post("/settings/delete", data={"words": "anne", "password": PASSWORD}).status_code == 200
    assert rows_that_name(site, person.account_id) == []


def test_who_cannot_open_the_vault_any_more_can_still_have_it_erased(site: Site) -> None:
    inhabitant(site, Who.ADMINISTRATOR)
    person = inhabitant(site, Who.LOCKED)
    with person.browser() as client:
        assert client.get("/settings/delete").status_code == 200
    assert leave(person, words=WORDS).status_code == 200
    assert rows_that_name(site, person.account_id) == []
    with httpx2.Client(base_url=site.url) as stranger:
        assert stranger.get("/settings/delete").status_code == 401


def test_the_only_administrator_of_others_stays_and_of_nobody_else_goes(site: Site) -> None:
    administrator, member = inhabitant(site, Who.ADMINISTRATOR), inhabitant(site)
    before = everything_stored(site)
    reply = leave(administrator, words=WORDS)
    assert reply.status_code == 409
    assert "administrator" in reply.text
    assert everything_stored(site) == before
    assert administrator.ask()[0], "answers are written for it as before"
    assert leave(member, words=WORDS).status_code == 200
    assert leave(administrator, words=WORDS).status_code == 200
    with httpx2.Client(base_url=site.url, follow_redirects=True) as founder:
        assert founder.get(site.link()).status_code == 200, "the machine's next link makes a new founder"


def test_every_table_that_names_an_account_goes_with_it() -> None:
    """A table that is added later must hang on the account, or this finds it."""

    def cascades(column: Any) -> bool:
        return any(key.column is accounts.c.id and key.ondelete == "CASCADE" for key in column.foreign_keys)

    named = [table.c.account_id for table in metadata.sorted_tables if "account_id" in table.c]
    assert len(named) >= 8
    assert [str(column) for column in named if not cascades(column)] == []
