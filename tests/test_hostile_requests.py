"""Requests that want more than they say: another server asked, a second request inside the first, fields from elsewhere.

docs/security.md names these tests beside the points of ASVS that they are about.
"""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import httpx2
import pytest

from commun.authority import ANY, TABLE, WITH_KEY, Who
from fake_engine import FakeEngine
from inhabitants import Person, everything_stored, inhabitant
from site_server import Site, serving

OFTEN = "1000000/minute"
JSON = {"accept": "application/json"}
PLACE = re.compile(r"{\w+(?::path)?}")
FIELDS = (
    *(
        "url",
        "next",
        "back",
        "source",
        "name",
        "title",
        "question",
        "request",
        "invitation",
        "persona",
        "issuer",
        "iss",
    ),
    *(
        "code",
        "state",
        "host",
        "callback",
        "webhook",
        "image",
        "avatar",
        "href",
        "q",
        "token",
        "instructions",
        "history",
    ),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("hostile") / "home"
    options = {"sign_in_rate_limit": OFTEN, "rate_limit": OFTEN, "public_shares": True}
    with serving(home, FakeEngine("![x](http://127.0.0.1/)"), **options) as running:
        yield running


@pytest.fixture
def administrator(site: Site) -> Person:
    """Another one for each test: some addresses end a session."""
    made = inhabitant(site, Who.ADMINISTRATOR)
    made.new_key()
    return made


class Listener:
    """A server that somebody would like to have asked: it counts who comes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.came = 0
        self._known = threading.Event()
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            with connection:
                self.came += 1
                if connection.recv(64).startswith(b"known"):
                    self._known.set()

    def all_have_come(self) -> int:
        """How many, once whoever came before is counted: connections are taken in their order."""
        with socket.create_connection(("127.0.0.1", self.port)) as known:
            known.sendall(b"known")
        assert self._known.wait(120)
        return self.came - 1

    def close(self) -> None:
        self._socket.close()


# --- another server asked in our name (SSRF)


def test_no_address_that_anybody_sends_is_asked(administrator: Person) -> None:
    """In the place of every id, in every field, behind the question mark and in the head, by an administrator."""
    key = {"authorization": f"Bearer {administrator.key}"}
    with closing(Listener()) as listener:
        address = f"http://127.0.0.1:{listener.port}/secret"
        head = {"referer": address, "x-forwarded-host": f"127.0.0.1:{listener.port}", "origin": address} | key
        for row in sorted(TABLE):
            method, path = row.split()
            who = inhabitant(administrator.site, Who.ADMINISTRATOR)
            verb = "GET" if method == ANY else method
            fields = dict.fromkeys(FIELDS, address)
            prompt = {"model": address, "messages": [{"role": "user", "content": address}], "prompt": address}
            sent = {"json": prompt} if row.startswith("POST /v1") else {"data": fields} if verb == "POST" else {}
            for place in ("1" * 24, address.replace("/", "%2F")) if PLACE.search(path) else ("",):
                given = head if TABLE[row] in WITH_KEY else {"referer": address}
                with who.browser(headers=given) as client:
                    client.request(verb, PLACE.sub(lambda _, place=place: place, path), params=fields, **sent)
        assert listener.all_have_come() == 0


def test_the_listener_would_have_noticed(site: Site) -> None:
    """Else the test above would prove nothing."""
    del site
    with closing(Listener()) as listener:
        with pytest.raises(httpx2.HTTPError):
            httpx2.get(f"http://127.0.0.1:{listener.port}/")
        assert listener.all_have_come() == 1


# --- a second request inside the first


SMUGGLED = b"POST /settings/name HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\nname=Canary"
CHUNK = b"0\r\n\r\n"
UNCLEAR = {
    "both": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "two lengths": b"Content-Length: 5\r\nContent-Length: 200\r\n\r\n" + CHUNK,
    "a sign": b"Content-Length: +5\r\n\r\n" + CHUNK,
    "a space before the colon": b"Content-Length : 5\r\n\r\n" + CHUNK,
    "another coding": b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNK,
    "a line feed alone": b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNK,
}


@pytest.mark.parametrize("end", UNCLEAR.values(), ids=list(UNCLEAR))
def test_a_request_whose_end_is_unclear_is_the_last_of_its_connection(site: Site, end: bytes) -> None:
    """What comes after it is nobody's request: a proxy that saw another end would answer somebody else with it."""
    where = site.url.removeprefix("http://").split(":")
    request = b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\n" + end + SMUGGLED
    with socket.create_connection((where[0], int(where[1])), timeout=120) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answered = b"".join(iter(lambda: connection.recv(65_536), b""))
    statuses = re.findall(rb"HTTP/1\.1 (\d{3})", answered)
    assert statuses[0] == b"400"
    assert len(statuses) == 1


# --- fields from elsewhere


def test_what_a_form_asks_is_read_from_its_body_alone(administrator: Person) -> None:
    """Not from the question mark, a cookie or the head: whoever sees the address has not seen what was sent."""
    person = inhabitant(administrator.site)
    person.ask()
    acts = {
        "/settings/name": {"name": "Canary"},
        f"/people/{person.account_id}/role": {"role": "administrator"},
        f"/people/{person.account_id}/quota": {"daily_tokens": "1", "at_once": "1"},
        "/people/invitations": {"role": "administrator", "days": "7"},
        "/settings/preferences": {"language": "fr", "theme": "dark"},
        "/ask": {"question": "Canary?"},
        "/folders": {"name": "Canary"},
        "/classes": {"name": "Canary", "hours": "1", "places": "5", "daily_tokens": "100"},
    }
    before = everything_stored(administrator.site)
    for path, fields in acts.items():
        with administrator.browser(headers=JSON | fields) as client:
            for name, value in fields.items():
                client.cookies.set(name, value)
            client.post(path, params=fields)
    assert everything_stored(administrator.site) == before


def test_of_a_field_that_is_sent_twice_what_is_checked_is_what_is_done(administrator: Person) -> None:
    site = administrator.site
    form = {"content-type": "application/x-www-form-urlencoded", **JSON}
    for sent, kept in (
        (["administrator", "member"], "member"),
        (["founder", "member"], "member"),
        (["member", "x"], ""),
    ):
        person = inhabitant(site, Who.ADMINISTRATOR)
        body = "&".join(f"role={each}" for each in sent)
        with administrator.browser(headers=form) as client:
            answered = client.post(f"/people/{person.account_id}/role", content=body, params={"role": "administrator"})
            role = client.get("/people", headers={"accept": "text/html"}).status_code
        assert (answered.status_code, role) == (303 if kept else 400, 200)
        (row,) = [each for each in everything_stored(site)["accounts"] if each.id == person.account_id]
        assert row.role == (kept or "administrator")
