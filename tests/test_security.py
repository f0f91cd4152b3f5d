"""Rules that hold for every address, tried on every address of the table: docs/security.md says which and why."""

import gzip
import itertools
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest

from commun.authority import ANY, TABLE, WITH_KEY, Door, Who
from commun.web.guard import PUBLISHED
from fake_engine import FakeEngine
from inhabitants import Person, everything_stored, inhabitant
from site_server import Site, serving

NUMBERS = itertools.count()
OFTEN = "1000000/minute"
PUBLIC_URL = "https://chat.example.org"
PLACE = re.compile(r"{\w+(?::path)?}")
JSON = {"accept": "application/json"}
CROSS_SITE = ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"})
EVIL = "https://evil.example/"
PARAMETERS = ("next", "url", "back", "return", "redirect", "current", "told", "token", "lang", "q", "message", "done")
CHANGING = sorted(row for row in TABLE if not row.startswith(("GET", ANY)) and TABLE[row] not in WITH_KEY)
READING = sorted(row for row in TABLE if row.startswith("GET"))
PAGES = [row for row in READING if TABLE[row] not in WITH_KEY]
OTHER_LOGS = ("/witness/",)  # read no cookie: heads are signed
STEPS = ("/welcome", "/welcome/try", "/settings/delete", "/what-we-can-see")  # of one purpose, on the way to a page
MACHINES = ("/openapi.json", "/healthz", "/readyz", "/metrics")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("security") / "home"
    options = {"sign_in_rate_limit": OFTEN, "rate_limit": OFTEN, "public_shares": True, "public_url": PUBLIC_URL}
    with serving(home, FakeEngine(), **options) as running:
        yield running


@pytest.fixture
def administrator(site: Site) -> Person:
    """Whoever may go everywhere. Another one for each test: some addresses end a session."""
    made = inhabitant(site, Who.ADMINISTRATOR, name=f"Ada {next(NUMBERS)}")
    made.new_key()
    return made


def browser(person: Person, **headers: str) -> httpx2.Client:
    cookies = {"__Host-commun_session": person.token}
    return httpx2.Client(base_url=person.site.url, cookies=cookies, headers=headers, timeout=120)


def address(row: str, value: str = "1" * 24) -> str:
    return PLACE.sub(lambda _: value, row.split()[1])


def send(client: httpx2.Client, row: str, **more: object) -> httpx2.Response:
    method = row.split(maxsplit=1)[0]
    return client.request("GET" if method == ANY else method, address(row), **more)


def person_asks(person: Person) -> str:
    """A conversation of theirs; its id."""
    with browser(person) as client:
        return client.post("/ask", data={"question": "q"}).headers["location"].removeprefix("/c/").partition("#")[0]


# --- requests that another site makes


@pytest.mark.parametrize("row", [row for row in CHANGING if not row.split()[1].startswith(OTHER_LOGS)])
def test_another_site_changes_nothing_anywhere(site: Site, administrator: Person, row: str) -> None:
    before = everything_stored(site)
    for headers in CROSS_SITE:
        with browser(administrator, **JSON) as client:
            answered = send(client, row, headers=headers, data={"question": "x", "role": "member", "days": "7"})
        assert (answered.status_code, answered.json()["error"]["code"]) == (403, "cross_origin"), headers
        assert "set-cookie" not in answered.headers or administrator.token not in answered.headers["set-cookie"]
    assert everything_stored(site) == before


def test_reading_changes_nothing(site: Site, administrator: Person) -> None:
    """So no link and no picture on another site does."""
    with browser(administrator) as client:
        client.get("/")  # the first page notes which edition was told
    before = everything_stored(site)
    for row in PAGES:
        if row != "GET /sign-in":  # its link is a token that nobody else has
            with browser(administrator) as client:
                send(client, row)
    assert everything_stored(site) == before


@pytest.mark.parametrize("row", sorted(TABLE))
def test_no_other_site_may_read_an_answer(administrator: Person, row: str) -> None:
    with browser(administrator, origin="https://evil.example") as client:
        answered = send(client, row, headers={"authorization": f"Bearer {administrator.key}"})
        asked = client.options(address(row), headers={"access-control-request-method": "POST"})
    for each in (answered, asked):
        told = {name: value for name, value in each.headers.items() if name.startswith("access-control-")}
        assert told == {} or (address(row).startswith(PUBLISHED) and told == {"access-control-allow-origin": "*"})
    assert asked.status_code in {401, 403, 404, 405}


# --- what every answer carries


@pytest.mark.parametrize("row", sorted(TABLE))
def test_every_answer_says_what_a_browser_may_do_with_it(administrator: Person, row: str) -> None:
    with browser(administrator) as client:
        answered = send(client, row)
    headers = answered.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "max-age=31536000" in headers["strict-transport-security"]
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    if answered.content:
        kind = headers["content-type"]
        assert "charset=utf-8" in kind or not kind.startswith("text/")


@pytest.mark.parametrize("row", PAGES)
def test_no_cache_keeps_what_is_somebodys(administrator: Person, row: str) -> None:
    """A page that is not everybody's is kept by nobody; one that is, by no shared cache where somebody is signed in."""
    path = row.split()[1]
    with browser(administrator) as client:
        cached = send(client, row).headers["cache-control"]
    if TABLE[row] is Door.PUBLIC:
        same_for_all = path.startswith(("/static/", "/ledger/", "/charter/", "/board", *OTHER_LOGS, *MACHINES))
        assert "no-store" in cached or "private" in cached or same_for_all
    else:
        assert "no-store" in cached


def test_a_page_that_anybody_may_keep_names_nobody(administrator: Person) -> None:
    for row in PAGES:
        with browser(administrator) as client:
            answered = send(client, row)
        cached = answered.headers["cache-control"]
        if "no-store" not in cached and "private" not in cached:
            assert "set-cookie" not in answered.headers, row
            assert "Ada" not in answered.text, row


@pytest.mark.parametrize("row", sorted(TABLE))
def test_a_cookie_is_the_hosts_alone_and_out_of_reach_of_scripts(administrator: Person, row: str) -> None:
    with browser(administrator) as client:
        answered = send(client, row)
    for cookie in answered.headers.get_list("set-cookie"):
        name, _, flags = cookie.partition("=")
        assert name.startswith("__Host-")
        said = {part.strip().lower() for part in flags.split(";")}
        assert {"httponly", "secure", "path=/"} <= said
        assert said & {"samesite=lax", "samesite=strict"}
        assert "domain" not in cookie.lower()


def test_every_page_that_asks_for_signing_in_leads_to_signing_out(site: Site) -> None:
    """To the settings, where it is said beside the button whether somebody could come back."""
    person, seen = inhabitant(site, Who.ADMINISTRATOR), 0
    conversation = person_asks(person)
    for row in PAGES:
        if TABLE[row] in {Door.PUBLIC, Door.ASKING} or row.split()[1] in STEPS:
            continue
        with browser(person) as client:
            answered = client.get(address(row, conversation))
        if answered.status_code == 200 and answered.headers["content-type"].startswith("text/html"):
            assert 'href="/settings#sessions"' in answered.text or 'action="/sign-out"' in answered.text, row
            seen += 1
    assert seen > 10


# --- where a browser is sent, and what stands in a head


@pytest.mark.parametrize("row", sorted(TABLE))
def test_nobody_is_sent_to_another_site(administrator: Person, row: str) -> None:
    hostile = dict.fromkeys(PARAMETERS, EVIL)
    for wanted in (EVIL, "//evil.example/", "/\\evil.example/", "https:evil.example"):
        with browser(administrator, **{"x-forwarded-host": "evil.example", "referer": EVIL}) as client:
            given = dict.fromkeys(PARAMETERS, wanted)
            form = given | {"question": "x", "title": "t"} if not row.startswith(("GET", ANY)) else None
            answered = send(client, row, params=given, data=form)
        location = answered.headers.get("location", "/")
        assert urlsplit(location).netloc in {"", urlsplit(administrator.site.url).netloc}, hostile
        assert location.startswith(("/", administrator.site.url))
        assert not location.startswith(("//", "/\\"))


@pytest.mark.parametrize("row", sorted(TABLE))
def test_nothing_that_is_sent_becomes_a_header(administrator: Person, row: str) -> None:
    injected = "x\r\nset-cookie: canary=1\r\nx-canary: 1"
    quoted = "x%0d%0aset-cookie:%20canary=1%0d%0ax-canary:%201"
    method = row.split(maxsplit=1)[0]
    with browser(administrator, **{"accept-language": "fr;q=1,\tx-canary"}) as client:
        answered = client.request(
            "GET" if method == ANY else method,
            address(row, quoted),
            params=dict.fromkeys(PARAMETERS, injected),
            data=dict.fromkeys((*PARAMETERS, "question", "title", "name", "note"), injected)
            if method == "POST"
            else None,
        )
    assert "x-canary" not in answered.headers
    assert "canary" not in str(answered.headers.get_list("set-cookie"))
    assert answered.status_code < 500


def test_the_file_that_is_offered_has_a_name_of_our_own(site: Site) -> None:
    person = inhabitant(site)
    with browser(person) as client:
        asked = client.post("/ask", data={"question": "q"})
        conversation = re.search(r"/c/(\w+)", asked.headers["location"])
        assert conversation
        client.post(f"/c/{conversation[1]}/rename", data={"title": 'x"; filename="evil.exe'})
        for kind in ("md", "json"):
            offered = client.get(f"/c/{conversation[1]}/export.{kind}").headers["content-disposition"]
            assert offered == f'attachment; filename="commun-{conversation[1]}.{kind}"'


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "QUERY"])
def test_no_address_takes_a_method_that_it_does_not_name(administrator: Person, method: str) -> None:
    with browser(administrator) as client:
        for row in TABLE:
            if not row.startswith(ANY):
                assert client.request(method, address(row)).status_code in {404, 405}, row


# --- bodies that are larger than they look


def test_a_compressed_body_is_not_unpacked(administrator: Person) -> None:
    """Ten megabytes of question in ten kilobytes: read as the bytes that they are, which are no form."""
    bomb = gzip.compress(b"question=" + b"a" * 10_000_000)
    headers = {"content-encoding": "gzip", "content-type": "application/x-www-form-urlencoded"}
    with browser(administrator, **JSON) as client:
        assert client.post("/ask", content=bomb, headers=headers).status_code == 400
        program = {"authorization": f"Bearer {administrator.key}", "content-encoding": "gzip"}
        assert client.post("/v1/chat/completions", content=bomb, headers=program).status_code == 400


@pytest.mark.parametrize("row", [row for row in CHANGING if not row.split()[1].startswith((*OTHER_LOGS, "/board"))])
def test_a_form_of_too_many_parts_breaks_nothing(administrator: Person, row: str) -> None:
    many = "&".join(f"f{number}=x" for number in range(5_000))
    files = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="f%d"; filename="x"\r\n\r\nx\r\n' % number for number in range(50)
    )
    person = inhabitant(administrator.site, Who.ADMINISTRATOR)  # some of these end what is left of a session
    with browser(person, **JSON) as client:
        form = {"content-type": "application/x-www-form-urlencoded"}
        parts = {"content-type": "multipart/form-data; boundary=b"}
        for content, headers in ((many, form), (files + b"--b--\r\n", parts)):
            assert send(client, row, content=content, headers=headers).status_code < 500


def test_json_that_is_nested_beyond_reason_is_refused(administrator: Person) -> None:
    deep = b'{"model":"default","messages":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    headers = {"authorization": f"Bearer {administrator.key}"}
    with browser(administrator) as client:
        for path in ("/v1/chat/completions", "/v1/completions"):
            assert client.post(path, content=deep, headers=headers).status_code == 400
        history = b"question=x&history=" + b"[" * 100_000
        form = {"content-type": "application/x-www-form-urlencoded", **JSON}
        assert client.post("/temporary", content=history, headers=form).status_code == 400


# --- errors


def test_a_fault_inside_a_page_tells_nothing_of_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    person = inhabitant(site)

    async def broken(*_given: object, **_named: object) -> None:
        raise RuntimeError("canary-fault /etc/passwd SELECT")

    conversations = site.app.state.services.conversations
    monkeypatch.setattr(type(conversations), "list", broken)
    for headers in ({}, JSON):
        with browser(person, **headers) as client:
            answered = client.get("/")
        assert answered.status_code == 500
        assert "internal_error" in answered.text
        assert not re.search(r"canary|Traceback|RuntimeError|\.py", answered.text)
