"""Classes over a whole Commun: opened by an administrator, entered with a code, asked in, and gone without a trace."""

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import update

from commun.assistant.quotas import LEAST_OF_A_GUEST
from commun.authority import Who
from commun.store.class_codes import new_code
from commun.store.schema import classes, guests
from commun.upkeep import purge_classes
from commun.web.attempts import FREE_FOR_ADDRESS, FREE_FOR_CLASS_CODES, LONGEST_FOR_CLASS_CODES_S, Attempts
from commun.web.classroom import ENTRIES, TRIES
from commun.web.limits import RateLimits
from commun.web.visit import GUEST_RATE
from fake_engine import FakeEngine
from founded import found_for_tests
from inhabitants import Person, entered, everything_stored, inhabitant, open_class
from site_server import Site, serving

JSON = {"accept": "application/json"}
OFTEN = "1000000/minute"
ANSWER = "canary-class-answer-6d02"
QUESTION = "canary-class-question-f31c"
LONG = "word " * 3000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("classes") / "home"
    with serving(home, FakeEngine(ANSWER), sign_in_rate_limit=OFTEN, rate_limit=OFTEN) as running:
        yield running


@pytest.fixture(scope="module")
def administrator(site: Site) -> Person:
    return inhabitant(site, Who.ADMINISTRATOR, name="Ada")


def guest_of(site: Site, code: str) -> Person:
    return Person(site, "", entered(site, code))


def opened(administrator: Person, **form: str) -> str:
    """Its code, as the projector shows it."""
    chosen = {"name": "Class 4b", "hours": "2", "places": "30", "daily_tokens": "100000"} | form
    with administrator.browser() as client:
        page = client.post("/classes", data=chosen)
    assert page.status_code == 200, page.text
    found = re.search(r'class="class-code".*?</p>', page.text)
    assert found
    return "-".join(re.findall(r"<span>(\w+)</span>", found[0]))


def class_id(administrator: Person, name: str) -> str:
    with administrator.browser() as client:
        page = client.get("/classes").text
    found = re.search(rf">{name}</strong>.*?/classes/(\w+)/end", page, re.DOTALL)
    assert found
    return found[1]


def asked(person: Person, question: str = QUESTION) -> str:
    """The id of a temporary answer that is being written."""
    with person.browser() as client:
        reply = client.post("/temporary", data={"question": question}, headers=JSON)
    assert reply.status_code == 200, reply.text
    (answer,) = re.findall(r'class="message answer" id="m-([\w-]+)"', reply.json()["append"])
    return str(answer)


def read(person: Person, answer: str) -> httpx2.Response:
    with person.browser() as client:
        return client.get(f"/answers/{answer}/events")


# --- opening one


def test_an_administrator_opens_a_class_and_the_code_is_shown_this_once(site: Site, administrator: Person) -> None:
    code = opened(administrator, name="  Year   9  ")
    with administrator.browser() as client:
        listed = client.get("/classes").text
        assert 'href="/classes"' in client.get("/people").text
        mistaken = [
            {"name": " "},
            {"hours": "3"},
            {"hours": "100000"},
            {"places": "0"},
            {"places": "501"},
            {"places": "many"},
            {"daily_tokens": ""},
        ]
        good = {"name": "N", "hours": "2", "places": "3", "daily_tokens": "1000"}
        for mistake in mistaken:
            assert client.post("/classes", data=good | mistake).status_code == 400, mistake
    assert "Year 9" in listed
    assert "0 of 30 places taken" in listed
    assert code not in listed
    assert code.replace("-", "") not in str(everything_stored(site))


def test_another_code_replaces_the_first_and_who_is_in_it_stays(site: Site, administrator: Person) -> None:
    first = opened(administrator, name="Lost code")
    inside = guest_of(site, first)
    with administrator.browser() as client:
        page = client.post(f"/classes/{class_id(administrator, 'Lost code')}/code").text
        assert client.post("/classes/unknown/code").status_code == 404
    assert "Lost code" in page
    second = "-".join(re.findall(r"<span>(\w+)</span>", page))
    with httpx2.Client(base_url=site.url) as client:
        assert client.post("/class", data={"code": first}).status_code == 401
        assert client.post("/class", data={"code": second}).status_code == 303
    with inside.browser() as client:
        assert client.get("/temporary").status_code == 200


def test_another_code_puts_everybody_out_where_it_is_ticked(tmp_path: Path) -> None:
    with slow_school(tmp_path / "home") as (site, engine):
        administrator = inhabitant(site, Who.ADMINISTRATOR)
        code = opened(administrator, name="Taken", places="1")
        inside, elsewhere = guest_of(site, code), guest_of(site, open_class(site))
        for each in (inside, elsewhere):
            asked(each, "x")
        until(lambda: engine.running == 2)
        with administrator.browser() as client:
            assert 'name="out"' in client.get("/classes").text
            page = client.post(f"/classes/{class_id(administrator, 'Taken')}/code", data={"out": "yes"}).text
        until(lambda: engine.running == 1)  # the other class goes on
        with inside.browser() as client:
            assert client.get("/temporary").status_code == 401
            assert client.post("/temporary", data={"question": "x"}, headers=JSON).status_code == 401
        assert httpx2.post(f"{site.url}/class", data={"code": code}).status_code == 401
        code = "-".join(re.findall(r"<span>(\w+)</span>", page))
        assert httpx2.post(f"{site.url}/class", data={"code": code}).status_code == 303  # the place is free


# --- coming in


def test_who_has_the_code_comes_in_and_finds_a_temporary_chat(site: Site) -> None:
    code = open_class(site, name="History & <b>art</b>")
    with httpx2.Client(base_url=site.url) as client:
        assert 'href="/class"' in client.get("/sign-in").text
        assert 'name="code"' in client.get("/class").text
        came = client.post("/class", data={"code": f" {code.lower().replace('-', ' ')} "})
        assert (came.status_code, came.headers["location"]) == (303, "/temporary")
        cookie = came.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "path=/" in cookie
        assert "max-age" not in cookie  # it ends with the browser
        assert "expires" not in cookie
        page = client.get("/temporary").text
        assert client.get("/class").headers["location"] == "/temporary"
    assert "You are in the class “History &amp; &lt;b&gt;art&lt;/b&gt;”: nothing is kept." in page
    assert 'class="disclosure"' in page
    assert 'action="/class/leave"' in page
    for absent in ('href="/settings"', 'href="/search"', 'href="/people"', "/rename", 'href="/"'):
        assert absent not in page, absent


def test_behind_https_the_cookie_is_secure_and_of_this_host(tmp_path: Path) -> None:
    with serving(tmp_path / "home", FakeEngine(), public_url="https://commun.example") as site:
        code = open_class(site)
        came = httpx2.post(f"{site.url}/class", data={"code": code})
    assert re.match(r"__Host-commun_session=[\w-]{43};", came.headers["set-cookie"])
    assert "; secure" in came.headers["set-cookie"].lower()


def test_another_site_makes_nobody_enter_or_leave(site: Site) -> None:
    code = open_class(site)
    for path in ("/class", "/class/leave", "/class/look"):
        refused = httpx2.post(site.url + path, data={"code": code}, headers={"origin": "https://elsewhere.example"})
        assert refused.status_code == 403


def test_who_was_signed_in_is_told_and_is_a_guest_afterwards(site: Site) -> None:
    member, code = inhabitant(site, name=f"Bea {time.monotonic_ns()}"), open_class(site)
    with member.browser() as client:
        assert "signed in as Bea" in client.get("/class").text
        assert client.post("/class", data={"code": new_code()}).status_code == 401
        assert client.get("/").status_code == 200  # a mistake signs nobody out
        client.post("/class", data={"code": code})
    with member.browser() as client:  # the former cookie, kept by somebody
        assert client.get("/").status_code == 401


def test_what_is_wrong_with_a_code_nobody_is_told(site: Site, administrator: Person) -> None:
    ended = opened(administrator, name="Over")
    with administrator.browser() as client:
        client.post(f"/classes/{class_id(administrator, 'Over')}/end")
    pages = set()
    for code in (ended, new_code()):
        answered = httpx2.post(f"{site.url}/class", data={"code": code})
        assert answered.status_code == 401
        assert "set-cookie" not in answered.headers
        pages.add(answered.text.replace(code, "…"))
    assert len(pages) == 1


def test_a_full_class_says_so_to_whoever_has_its_code(site: Site) -> None:
    code = open_class(site, places=1)
    inside = guest_of(site, code)
    full = httpx2.post(f"{site.url}/class", data={"code": code})
    assert full.status_code == 409
    assert "Every place in this class is taken." in full.text
    with inside.browser() as client:
        assert client.post("/class/leave").headers["location"] == "/class"
        assert client.get("/temporary").status_code == 401
    assert httpx2.post(f"{site.url}/class", data={"code": code}).status_code == 303


def test_who_tries_codes_waits_and_a_whole_class_behind_one_address_does_not(tmp_path: Path) -> None:
    with serving(tmp_path / "home", FakeEngine(), rate_limit=OFTEN) as site:
        site.app.state.class_attempts = Attempts(  # the first wait is two seconds, which do not go by
            FREE_FOR_CLASS_CODES, longest_s=LONGEST_FOR_CLASS_CODES_S, clock=lambda: 600.0
        )
        code = open_class(site)
        with httpx2.Client(base_url=site.url) as client:
            typos = [client.post("/class", data={"code": new_code()}).status_code for _ in range(FREE_FOR_ADDRESS + 2)]
            assert set(typos) == {401}
            for _ in range(5):
                assert client.post("/class", data={"code": code}).status_code == 303  # nobody waits for their typos
                client.cookies.clear()
            for _ in range(FREE_FOR_CLASS_CODES + 1 - len(typos)):
                site.app.state.class_attempts.begin("127.0.0.1")
            waits = client.post("/class", data={"code": new_code()})
        assert waits.status_code == 429
        assert 1 <= int(waits.headers["retry-after"]) <= LONGEST_FOR_CLASS_CODES_S


def standing_still(spec: str) -> RateLimits:
    """The minute does not go on, however long the requests take."""
    return RateLimits(spec, clock=lambda: 600.0)


def test_one_person_does_not_take_all_places_at_once(tmp_path: Path) -> None:
    with serving(tmp_path / "home", FakeEngine(), rate_limit=OFTEN) as site:
        site.app.state.class_entries = standing_still(ENTRIES)
        code = open_class(site, places=100)
        statuses = [httpx2.post(f"{site.url}/class", data={"code": code}).status_code for _ in range(61)]
        other = httpx2.post(f"{site.url}/class", data={"code": open_class(site)})
    assert statuses == [303] * 60 + [429]
    assert other.status_code == 303, "another class behind the same address is kept out by nobody"


def test_whoever_tries_one_code_after_the_other_is_counted_whatever_the_codes(tmp_path: Path) -> None:
    most = int(TRIES.partition("/")[0])
    with serving(tmp_path / "home", FakeEngine(), rate_limit=OFTEN) as site:
        site.app.state.class_tries = standing_still(TRIES)
        for _ in range(most - 1):
            site.app.state.class_tries.check("127.0.0.1")
        statuses = [httpx2.post(f"{site.url}/class", data={"code": new_code()}).status_code for _ in range(2)]
    assert statuses == [401, 429]


# --- asking


def test_a_guest_asks_and_nothing_of_it_is_stored(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    guest = guest_of(site, open_class(site))
    before = everything_stored(site)
    answer = asked(guest)
    told = read(guest, answer).text
    assert ANSWER in told
    (receipt,) = set(re.findall(r"/receipt/([0-9a-f]{64})", told))
    with guest.browser() as client:
        without_scripts = client.post("/temporary", data={"question": QUESTION, "history": ""}).text
        assert client.get(f"/receipt/{receipt}").status_code == 200
    assert ANSWER in without_scripts
    assert QUESTION in without_scripts
    after = everything_stored(site)
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"receipts", "classes", "spent_nonces"}
    rows = [row for row in after["receipts"] if row not in before["receipts"]]
    assert len(rows) == 2
    for row in rows:
        assert (row.conversation_id, row.message_id, row.account_id, row.sealed) == (None, None, None, None)
    home = site.app.state.services.settings.home
    held = {file: file.read_bytes() for file in home.rglob("*") if file.is_file() and "models" not in file.parts}
    out, err = capfd.readouterr()
    held[Path("the log")] = (out + err).encode()
    for canary in (QUESTION, ANSWER, guest.token):
        assert [file for file, content in held.items() if canary.encode() in content] == []


def test_an_answer_is_its_own_guest_s(site: Site) -> None:
    code = open_class(site)
    guest, neighbour, elsewhere = guest_of(site, code), guest_of(site, code), guest_of(site, open_class(site))
    answer = asked(guest)
    for other in (neighbour, elsewhere, inhabitant(site), inhabitant(site, Who.ADMINISTRATOR)):
        stream, unknown = read(other, answer), read(other, "a" + "0" * 15)
        assert (stream.status_code, stream.content) == (unknown.status_code, unknown.content) == (204, b"")
        with other.browser() as client:
            assert client.post(f"/answers/{answer}/stop", headers=JSON).status_code == 404
    assert ANSWER in read(guest, answer).text


def test_everything_else_refuses_a_guest_with_the_way_back(site: Site) -> None:
    guest = guest_of(site, open_class(site))
    with guest.browser() as client:
        for path in ("/", "/settings", "/search", "/people", "/classes", "/what-we-can-see", "/welcome", "/unlock"):
            refused = client.get(path)
            assert refused.status_code == 403, path
            assert 'href="/temporary"' in refused.text
        assert client.post("/ask", data={"question": "x"}).status_code == 403
        programs = client.post("/v1/chat/completions", json={"model": "default", "messages": []})
        assert programs.status_code == 401


def test_language_and_theme_are_chosen_without_an_account(site: Site) -> None:
    guest = guest_of(site, open_class(site))
    with guest.browser() as client:
        assert '<html lang="en" data-theme="auto"' in client.get("/temporary").text
        saved = client.post("/class/look", data={"language": "fr", "theme": "dark", "back": "/temporary"})
        assert saved.headers["location"] == "/temporary"
        assert "max-age" not in saved.headers["set-cookie"].lower()
        assert '<html lang="fr" data-theme="dark"' in client.get("/temporary").text
        assert client.post("/class/look", data={"language": "xx", "theme": "dark"}).status_code == 400
        away = client.post("/class/look", data={"language": "", "theme": "auto", "back": "//elsewhere.example"})
        assert away.headers["location"] == "/"


# --- how much, and how it ends


def test_the_class_has_one_number_of_tokens_for_all_of_it(site: Site) -> None:
    code = open_class(site, daily_tokens=20)
    one, two = guest_of(site, code), guest_of(site, code)
    read(one, asked(one, "What is the sum of these twelve words that I ask you for?"))
    database = site.app.state.services.database
    site.run(database.check_writable())
    with two.browser() as client:
        refused = client.post("/temporary", data={"question": "x"}, headers=JSON)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "class_tokens_used"
    assert "20 tokens that your class" in refused.json()["error"]["problem"]
    other = guest_of(site, open_class(site, daily_tokens=20))
    assert ANSWER in read(other, asked(other, "x")).text


def test_a_guest_asks_as_fast_as_one_types_and_no_faster(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.app.state, "guest_questions", standing_still(GUEST_RATE), raising=False)
    code = open_class(site)
    hasty, neighbour = guest_of(site, code), guest_of(site, code)
    with hasty.browser() as client:
        statuses = [client.post("/temporary", data={"question": "x"}, headers=JSON).status_code for _ in range(21)]
    assert statuses.count(200) <= 20
    assert statuses[-1] == 429
    until(lambda: site.app.state.services.assistant.waiting == 0)
    asked(neighbour, "x")


def test_a_question_that_is_stopped_in_the_queue_counts_for_the_class(tmp_path: Path) -> None:
    with serving(tmp_path / "home", FakeEngine("done", gate=asyncio.Event()), rate_limit=OFTEN, max_running=1) as site:
        first, code = guest_of(site, open_class(site)), open_class(site, daily_tokens=2 * LEAST_OF_A_GUEST)
        asked(first, "x")
        guest = guest_of(site, code)
        with guest.browser() as client:
            for _ in range(2):
                assert client.post(f"/answers/{asked(guest, 'x')}/stop", headers=JSON).status_code == 200
            until(lambda: site.app.state.services.assistant.waiting == 0)
            site.run(site.app.state.services.database.check_writable())
            refused = client.post("/temporary", data={"question": "x"}, headers=JSON)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "class_tokens_used"


@contextlib.contextmanager
def slow_school(home: Path) -> Iterator[tuple[Site, FakeEngine]]:
    engine = FakeEngine(LONG, delay_s=0.05)
    with serving(home, engine, rate_limit=OFTEN, max_running=4, max_running_each=2) as site:
        yield site, engine


def test_ending_a_class_cuts_what_is_written_and_puts_everybody_out(tmp_path: Path) -> None:
    with slow_school(tmp_path / "home") as (site, engine):
        administrator = inhabitant(site, Who.ADMINISTRATOR)
        code = opened(administrator, name="Cut")
        guests, other = [guest_of(site, code) for _ in range(2)], guest_of(site, open_class(site))
        answers = [asked(guest, "x") for guest in guests]
        others = asked(other, "x")
        streams: list[str] = []
        readers = [
            threading.Thread(target=lambda one=one, answer=answer: streams.append(read(one, answer).text))
            for one, answer in zip(guests, answers, strict=True)
        ]
        for reader in readers:
            reader.start()
        until(lambda: engine.running == 3)
        with administrator.browser() as client:
            assert client.post(f"/classes/{class_id(administrator, 'Cut')}/end").status_code == 303
        for reader in readers:
            reader.join(120)
        assert len(streams) == 2
        assert all("event: end" not in stream for stream in streams)
        until(lambda: engine.running == 1)  # the other class goes on
        for guest in guests:
            with guest.browser() as client:
                assert client.get("/temporary").status_code == 401
                assert client.post("/temporary", data={"question": "x"}, headers=JSON).status_code == 401
        with other.browser() as client:
            assert client.post(f"/answers/{others}/stop", headers=JSON).status_code == 200


@pytest.mark.parametrize("act", ["disable", "role"])
def test_who_is_no_administrator_any_more_has_no_class(site: Site, administrator: Person, act: str) -> None:
    other = inhabitant(site, Who.ADMINISTRATOR)
    name = f"Theirs, until {act}"
    guest = guest_of(site, opened(other, name=name))
    assert class_id(administrator, name)
    with administrator.browser() as client:
        assert client.post(f"/people/{other.account_id}/{act}", data={"role": "member"}).status_code == 303
        assert name not in client.get("/classes").text
    with guest.browser() as client:
        assert client.get("/temporary").status_code == 401


@pytest.mark.parametrize("end", ["account", "time", "idle"])
def test_a_class_that_goes_with_its_opener_or_its_time_stops_what_is_written(tmp_path: Path, end: str) -> None:
    with slow_school(tmp_path / "home") as (site, engine):
        inhabitant(site, Who.ADMINISTRATOR)
        opener = inhabitant(site, Who.ADMINISTRATOR)
        guest, other = guest_of(site, opened(opener, name="Theirs")), guest_of(site, open_class(site))
        ended = class_id(opener, "Theirs")
        for each in (guest, other):
            asked(each, "x")
        until(lambda: engine.running == 2)
        if end == "account":
            with opener.browser() as client:
                gone = client.post("/settings/delete", data={"words": "delete my account"})
            assert gone.status_code == 200, gone.text
        else:
            table, mine = (classes, classes.c.id) if end == "time" else (guests, guests.c.class_id)
            change = update(table).where(mine == ended).values(expires=1.0)
            site.run(site.app.state.services.database.write(lambda connection: connection.execute(change)))
            site.run(purge_classes(site.app.state.services))
        until(lambda: engine.running == 1)  # the other class goes on
        with guest.browser() as client:
            assert client.get("/temporary").status_code == 401


def until(true: object, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_queue_knows_a_class_as_so_many_people(tmp_path: Path) -> None:
    """One guest who floods holds up nobody else of the class."""
    gate = asyncio.Event()
    engine = FakeEngine("done", gate=gate)
    with serving(
        tmp_path / "home", engine, rate_limit=OFTEN, max_running=2, max_running_each=2, max_waiting=40
    ) as site:
        code = open_class(site)
        flood, modest = guest_of(site, code), guest_of(site, code)
        flooded = [asked(flood, "flood") for _ in range(8)]
        mine = asked(modest, "modest")
        site.loop.call_soon_threadsafe(gate.set)
        until(lambda: engine.running == 0 and len(engine.calls) == len(flooded) + 1)
        order = [call[0].messages[-1].content for call in engine.calls]
        assert order.index("modest") <= 3
        assert mine


# --- where the charter allows none


def test_a_charter_without_temporary_chats_has_no_classes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    found_for_tests(home, {'rule = "offered"': 'rule = "never"'})
    with serving(home, FakeEngine()) as site:
        administrator = inhabitant(site, Who.ADMINISTRATOR)
        code = open_class(site)  # from before the board decided
        inside = guest_of(site, code)
        form = {"name": "N", "hours": "2", "places": "3", "daily_tokens": "1000"}
        with administrator.browser() as client:
            page = client.get("/classes").text
            assert "has no temporary chats, so no class can be open" in page
            assert 'name="hours"' not in page
            refused = client.post("/classes", data=form, headers=JSON).json()["error"]
            assert refused["code"] == "outside_charter"
        door = httpx2.get(f"{site.url}/class").text
        assert "has no temporary chats, so no class can be open" in door
        assert 'name="code"' not in door
        came = httpx2.post(f"{site.url}/class", data={"code": code})
        assert came.status_code == 400
        assert "set-cookie" not in came.headers
        with inside.browser() as client:
            assert client.get("/temporary").status_code == 400
            assert client.post("/temporary", data={"question": "x"}, headers=JSON).status_code == 400
