"""A founder's folder from before there were other people: everything in it still opens."""

import sqlite3
from contextlib import closing

import pytest

from commun.store import upgrade as upgrading
from commun.store.database import DATABASE_FILE
from commun.store.people import Kind, Role
from commun.store.recovery import new_secret, write_code
from commun.store.sessions import wrapping
from commun.store.tokens import digest, identify, new_token
from commun.store.vault import AccountKey, bind, wrap
from opened_store import open_store


def test_the_founder_of_an_older_folder_is_an_administrator_whose_code_and_cookie_still_open(tmp_path, run):
    home = tmp_path / "old"
    home.mkdir(mode=0o700)
    path = home / DATABASE_FILE
    path.touch(mode=0o600)
    upgrading.upgrade(path, to="0003")
    key, secret, cookie, link = AccountKey.generate(), new_secret(), new_token(), new_token()
    recovery = wrap(key, secret, bind("vaults", "recovery", "ada", "v1"))
    abandoned = wrap(AccountKey.generate(), new_secret(), bind("vaults", "recovery", "ada", "v0"))
    session = wrap(key, cookie.encode(), wrapping("s1", "ada", "v1"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO accounts VALUES ('ada', 'founder', 1.0, 'fr', 'dark', 'v1', 3)")
        connection.execute(
            "INSERT INTO vaults VALUES ('v0', 'ada', 1.0, ?, ?, 2.0)", (key.public.to_bytes(), abandoned)
        )
        connection.execute("INSERT INTO vaults VALUES ('v1', 'ada', 3.0, ?, ?, 4.0)", (key.public.to_bytes(), recovery))
        session_row = ("s1", "ada", identify(cookie), 5.0, 5.0, 9e12, "v1", session)
        connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", session_row)
        connection.execute("INSERT INTO links VALUES (?, 9e12)", (digest(link),))
    store = open_store(home)

    async def scenario():
        viewer = await store.accounts.viewer(cookie)
        assert (viewer.account_id, viewer.role, viewer.name) == ("ada", Role.ADMINISTRATOR, "")
        assert (viewer.language, viewer.theme, viewer.told_edition) == ("fr", "dark", 3)
        assert viewer.key.to_bytes() == key.to_bytes()
        [way] = await store.ways_in.list(viewer)
        assert (way.kind, way.created, way.opens) == (Kind.RECOVERY, 4.0, True)
        other = await store.accounts.redeem_link(link)
        assert other.viewer.account_id == "ada"
        assert other.viewer.key is None
        opened = await store.ways_in.unlock(other.token, other.viewer, write_code(secret))
        assert opened.viewer.key.to_bytes() == key.to_bytes()

    run(scenario())
    store.database.close()


def test_a_session_from_before_it_was_kept_apart_was_shown_when_it_began(tmp_path, run):
    home = tmp_path / "old"
    home.mkdir(mode=0o700)
    path = home / DATABASE_FILE
    path.touch(mode=0o600)
    upgrading.upgrade(path, to="0010")
    cookie = new_token()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO accounts (id, role, created, language, theme) VALUES ('ada', 'member', 1, '', '')"
        )
        row = ("s1", "ada", identify(cookie), 5.0, 6.0, 9e12)
        connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)", row)
    store = open_store(home)
    viewer = run(store.accounts.viewer(cookie))
    [session] = run(store.accounts.sessions(viewer))
    store.database.close()
    assert (viewer.since, session.created) == (5.0, 5.0)


def test_a_passkey_from_before_there_were_providers_is_as_it_was_and_its_number_is_its_own(tmp_path):
    path = tmp_path / DATABASE_FILE
    path.touch(mode=0o600)
    upgrading.upgrade(path, to="0006")
    row = ("w1", "ada", None, "passkey", "Key", b"number", "{}", None, None, 2.0, None)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO accounts (id, role, created, language, theme) VALUES ('ada', 'x', 1.0, '', '')")
        connection.execute("INSERT INTO unlocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    upgrading.upgrade(path)
    add = "INSERT INTO unlocks VALUES (?, 'ada', NULL, ?, '', ?, '{}', NULL, NULL, 3.0, NULL)"
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("SELECT * FROM unlocks").fetchall() == [row]
        connection.execute(add, ("w2", "provider", b"number"))
        with pytest.raises(sqlite3.IntegrityError, match="credential"):
            connection.execute(add, ("w3", "passkey", b"number"))
        connection.commit()
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM accounts")
        assert connection.execute("SELECT count(*) FROM unlocks").fetchone() == (0,)
