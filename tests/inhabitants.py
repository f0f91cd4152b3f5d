"""People of a running Commun, made in its database: whoever they are, with what each of them has."""

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
from sqlalchemy import Connection, insert, select, update

from commun.authority import Who
from commun.store import sessions as rows
from commun.store.schema import accounts, metadata, sessions
from commun.store.tokens import identify
from commun.store.tree import new_id
from site_server import Site

MONTH_S = 30 * 86_400.0
JSON = {"accept": "application/json"}


@dataclass
class Person:
    """``token``: the session's cookie, "" for a stranger. ``things``: ids of what is theirs, after ``fill``."""

    site: Site
    account_id: str
    token: str
    key: str = ""
    things: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def browser(self, **options: Any) -> Iterator[httpx2.Client]:
        cookies = {"commun_session": self.token} if self.token else {}
        with httpx2.Client(base_url=self.site.url, cookies=cookies, timeout=120, **options) as client:
            yield client

    def new_key(self) -> str:
        self.key = self.site.run(self.site.app.state.services.accounts.make_api_key(self.account_id, "a program"))
        return self.key

    def ask(self, question: str = "Why?") -> tuple[str, str]:
        """A finished conversation: its id and its answer's."""
        with self.browser() as client:
            seen = client.post("/ask", data={"question": question})
        found = re.fullmatch(r"/c/(\w+)#m-(\w+)", seen.headers["location"])
        assert found
        return found[1], found[2]

    def fill(self) -> None:
        """One of everything: a conversation in a folder, an answer with its receipt, a key, another browser, a share."""
        self.new_key()
        conversation, answer = self.ask()
        self.things = {"conversation": conversation, "answer": answer}
        other = another_session(self.site, self.account_id)
        with self.browser() as client:
            said = client.get(f"/c/{conversation}").text
            (self.things["receipt"],) = set(re.findall(r"/receipt/([0-9a-f]{64})", said))
            shared = client.post(f"/receipt/{self.things['receipt']}/share", data={"days": "7"}, headers=JSON)
            assert shared.status_code == 200, shared.text
            client.post(f"/c/{conversation}/feedback", data={"message": answer, "thumb": "down"})
            client.post("/settings/recovery")
            made = client.post("/folders", data={"name": "A folder"})
            self.things["folder"] = made.headers["location"].removeprefix("/folders/")
            client.post(f"/c/{conversation}/move", data={"folder": self.things["folder"]})
            client.post("/settings/instructions", data={"instructions": "Be brief.", "used": "yes"})
            settings = client.get("/settings").text
        (self.things["way"],) = re.findall(r"/settings/ways-in/(\w+)/remove", settings)
        for thing in ("key", "share"):
            (self.things[thing],) = re.findall(rf"/settings/{thing}s/(\w+)/revoke", settings)
        self.things["session"] = other

    def share_with(self, reader: "Person", conversation: str) -> str:
        """Lets somebody read it, who accepts; what both call the reading."""
        with self.browser() as client:
            (link,) = re.findall(r"http://[^/]+(/with/[\w-]+)<", client.post(f"/c/{conversation}/readers").text)
        with reader.browser() as client:
            return client.post(link).headers["location"].removeprefix("/reading/")

    def send_to(self, administrator: "Person") -> None:
        """The answer that ``fill`` made, sent with a name to one administrator."""
        form = {"to": administrator.account_id, "named": "yes", "receipt": "yes", "remark": "Not so."}
        with self.browser() as client:
            assert client.post(f"/receipt/{self.things['receipt']}/send", data=form).status_code == 303
            settings = client.get("/settings").text
        (self.things["sent"],) = re.findall(r"/settings/sent/(\w+)/withdraw", settings)


def inhabitant(site: Site, who: Who = Who.MEMBER, *, name: str | None = None) -> Person:
    """Somebody new, signed in as ``who`` says."""
    if who is Who.STRANGER:
        return Person(site, "", "")
    if who is Who.GUEST:
        return Person(site, "", entered(site, open_class(site)))
    now, account_id = time.time(), new_id()
    role = "administrator" if who is Who.ADMINISTRATOR else "member"
    row = {"id": account_id, "role": role, "created": now, "language": "", "theme": "", "name": name}
    row["name_key"] = name.casefold() if name else None

    def work(connection: Connection) -> str:
        connection.execute(insert(accounts), row)
        token = rows.new_session(connection, account_id, now, now + MONTH_S)
        if who is Who.LOCKED:
            locked = update(sessions).where(sessions.c.token_hash == identify(token)).values(wrapped_key=None)
            connection.execute(locked)
        return token

    return Person(site, account_id, site.run(site.app.state.services.database.write(work)))


def open_class(site: Site, *, name: str = "History", places: int = 100, daily_tokens: int = 10**9) -> str:
    """A class of a new administrator's; its code."""
    opened_by = inhabitant(site, Who.ADMINISTRATOR).account_id
    classes = site.app.state.services.classes
    return str(site.run(classes.open(opened_by, name, hours=1, places=places, daily_tokens=daily_tokens)))


def entered(site: Site, code: str) -> str:
    """The cookie of a new guest."""
    return str(site.run(site.app.state.services.classes.enter(code)).token)


def another_session(site: Site, account_id: str) -> str:
    """A second browser of the same person; its id."""
    now = time.time()

    def work(connection: Connection) -> str:
        token = rows.new_session(connection, account_id, now, now + MONTH_S)
        return str(connection.execute(select(sessions.c.id).where(sessions.c.token_hash == identify(token))).scalar())

    return str(site.run(site.app.state.services.database.write(work)))


def everything_stored(site: Site) -> dict[str, list[Any]]:
    """Every row that people's requests write. Left out: times of last use, which each request may change, and what the
    ledger does meanwhile.
    """
    by_themselves = {"last_used", "expires", "position"}

    def work(connection: Connection) -> dict[str, list[Any]]:
        return {
            table.name: connection.execute(
                select(*(column for column in table.columns if column.name not in by_themselves))
            ).all()
            for table in metadata.sorted_tables
            if not table.name.startswith(("ledger", "epoch"))
        }

    found: dict[str, list[Any]] = site.run(site.app.state.services.database.read(work))
    return found
