"""What outlasts a session is asked of who has just shown who they are: every such address, every way to show it."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes, token_hex

import httpx2
import pytest
from sqlalchemy import update

from commun.authority import FRESH, FRESH_S, TABLE, Door, Who, is_fresh
from commun.store import sessions as rows
from commun.store.people import Viewer
from commun.store.recovery import new_secret, write_code
from commun.store.schema import sessions
from commun.web.attempts import FREE, SignInAttempts
from commun.web.is_it_you import ELSE, going_on
from fake_engine import FakeEngine
from inhabitants import JSON, Person, everything_stored, inhabitant
from site_server import Site, serving
from soft_authenticator import SoftAuthenticator

OFTEN = "1000000/minute"
PASSWORD = "four unrelated garden chairs"
OLD_S = FRESH_S + 60.0
PLACE = re.compile(r"{\w+}")
# Of what somebody can do to their own account or to others', what stays easy: it protects, is one's own taste, or is
# itself a way to show who one is. A new address of these kinds stands here or in FRESH.
EASY = {
    "POST /welcome/try", "POST /unlock", "POST /settings/preferences", "POST /settings/instructions",
    "POST /settings/keys/{id}/revoke", "POST /settings/sessions/{id}/revoke", "POST /settings/sessions/revoke-others",
    "POST /settings/shares/{id}/revoke", "POST /settings/sent/{id}/withdraw", "POST /settings/import",
    "POST /settings/audits", "POST /people/invitations/{id}/revoke", "POST /people/{id}/disable",
    "POST /people/{id}/quota", "POST /classes/{id}/end",
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("is-it-you") / "home"
    with serving(home, FakeEngine(), sign_in_rate_limit=OFTEN, rate_limit=OFTEN) as running:
        yield replace(running, url=running.url.replace("127.0.0.1", "localhost"))


def viewer_of(person: Person) -> Viewer:
    found = person.site.run(person.site.app.state.services.accounts.viewer(person.token))
    assert found is not None
    return found


def grow_old(person: Person) -> None:
    """As if they had shown who they are before the time for which it counts."""
    stale = update(sessions).where(sessions.c.account_id == person.account_id).values(shown=time.time() - OLD_S)
    person.site.run(person.site.app.state.services.accounts.change(lambda connection: connection.execute(stale)))


def with_code(person: Person) -> str:
    return str(person.site.run(person.site.app.state.services.ways_in.make_recovery_code(viewer_of(person))))


def with_words(person: Person, *, password: bool = True) -> None:
    with person.browser() as client:
        if password:
            fields = {"name": f"Ada {token_hex(6)}", "password": PASSWORD}
            person.token = client.post("/settings/password", data=fields).cookies["commun_session"]
        else:
            assert client.post("/settings/passphrase", data={"passphrase": PASSWORD}).status_code == 303


def send(person: Person, row: str, **headers: str) -> httpx2.Response:
    method, path = row.split()
    with person.browser() as client:
        return client.request(method, PLACE.sub("1" * 24, path), headers=headers)


def is_asked(response: httpx2.Response) -> bool:
    about = response.headers.get("content-type", "")
    return about.startswith("application/json") and response.json().get("error", {}).get("code") == "is_it_you"


def show(person: Person, **fields: str) -> httpx2.Response:
    """Says who is there; from then on the person has the cookie that the browser was given."""
    with person.browser() as client:
        answered = client.post("/is-it-you", data={"next": "/settings#keys"} | fields)
    if answered.status_code == 303:
        person.token = answered.cookies["commun_session"]
    return answered


# --- the table, cell by cell


def test_each_row_is_one_of_the_table_that_somebody_signed_in_may_and_leads_back_to_a_page_of_theirs() -> None:
    for row, begins in FRESH.items():
        assert TABLE[row] in {Door.SIGNED_IN, Door.MEMBER, Door.ADMINISTRATOR}, row
        assert f"GET {begins.partition('#')[0]}" in TABLE, row
        assert going_on(PLACE.sub("1" * 24, begins)) == PLACE.sub("1" * 24, begins)


def test_of_what_changes_an_account_each_is_asked_about_or_easy_on_purpose() -> None:
    kinds = ("POST /welcome/", "POST /unlock", "POST /settings/", "POST /people/", "POST /classes")
    assert {row for row in TABLE if row.startswith(kinds)} == EASY | {row for row in FRESH if row.startswith("POST")}


@pytest.mark.parametrize("row", sorted(FRESH))
def test_who_showed_it_long_ago_is_asked_and_nothing_is_done(site: Site, row: str) -> None:
    person = inhabitant(site, Who.ADMINISTRATOR)
    with_code(person)
    assert not is_asked(send(person, row, **JSON)), "they had just come in"
    person = inhabitant(site, Who.ADMINISTRATOR)
    with_code(person)
    grow_old(person)
    before = everything_stored(site)
    refused = send(person, row, **JSON)
    assert (refused.status_code, is_asked(refused)) == (403, True)
    assert refused.json()["url"].startswith("/is-it-you?next=/")
    told = send(person, row)
    assert told.status_code == 403
    assert "<h1>Is it you?</h1>" in told.text
    begins = PLACE.sub("1" * 24, FRESH[row])
    assert f'name="next" value="{begins}"' in told.text
    assert everything_stored(site) == before


@pytest.mark.parametrize("row", sorted(FRESH))
def test_who_has_nothing_but_the_browser_is_asked_nothing(site: Site, row: str) -> None:
    person = inhabitant(site, Who.ADMINISTRATOR)
    grow_old(person)
    assert not is_asked(send(person, row, **JSON))


def test_a_provider_alone_shows_nothing_and_nothing_is_asked(site: Site) -> None:
    person = inhabitant(site)
    site.run(site.app.state.services.provider_accounts.link(viewer_of(person), token_bytes(32)))
    grow_old(person)
    assert not is_asked(send(person, "POST /settings/recovery", **JSON))
    assert is_asked(send(person, "POST /settings/recovery", **JSON)), "now there is a code"


def test_a_stranger_is_told_to_sign_in_and_a_member_that_it_is_not_theirs(site: Site) -> None:
    for row in FRESH:
        assert send(inhabitant(site, Who.STRANGER), row, **JSON).json()["error"]["code"] == "not_signed_in"
    member = inhabitant(site)
    with_code(member)
    grow_old(member)
    assert send(member, "POST /people/{id}/role", **JSON).json()["error"]["code"] == "refused"


def test_it_counts_for_ten_minutes_and_not_from_a_clock_that_is_ahead() -> None:
    assert FRESH_S == 600
    assert [is_fresh(1000.0, now) for now in (999.0, 1000.0, 1600.0, 1601.0)] == [False, True, True, False]


# --- showing it


def test_with_a_password_one_goes_on_in_the_same_vault_with_another_cookie(site: Site) -> None:
    person = inhabitant(site)
    conversation, _answer = person.ask()
    with_words(person)
    grow_old(person)
    former = replace(person)
    assert is_asked(send(person, "POST /settings/recovery", **JSON))
    wrong = show(person, words=f"{PASSWORD}!")
    assert wrong.status_code == 403
    assert "This is not your present password." in wrong.text
    assert 'value="/settings#keys"' in wrong.text
    assert is_asked(send(person, "POST /settings/recovery", **JSON)), "nothing was shown"
    shown = show(person, words=PASSWORD)
    assert (shown.status_code, shown.headers["location"]) == (303, "/settings#keys")
    assert send(person, "POST /settings/recovery").status_code == 200
    assert send(former, "GET /settings").status_code == 401, "the former cookie is nobody's"
    with person.browser() as client:
        assert client.get(f"/c/{conversation}").status_code == 200
        assert client.get("/is-it-you").headers["location"] == ELSE, "there is nothing to show for ten minutes"
    grow_old(person)
    assert is_asked(send(person, "POST /settings/recovery", **JSON))


def test_a_passphrase_shows_it_too_and_the_settings_say_beforehand_that_one_is_asked(site: Site) -> None:
    person = inhabitant(site)
    with_words(person, password=False)
    link = 'href="/is-it-you?next=/settings%23password"'
    assert link not in send(person, "GET /settings").text
    grow_old(person)
    assert link in send(person, "GET /settings").text
    assert "<h1>Is it you?</h1>" in send(person, "GET /is-it-you").text
    assert show(person, words="another passphrase altogether").status_code == 403
    assert show(person, words=PASSWORD).status_code == 303
    assert send(person, "GET /settings/export").headers["content-type"] == "application/zip"


def test_a_password_shows_it_that_opens_nothing_any_more(site: Site) -> None:
    """After starting over: it signs in as before."""
    person = inhabitant(site)
    with_words(person)
    started = site.run(site.app.state.services.ways_in.start_over(person.token, viewer_of(person)))
    person.token = started.token
    grow_old(person)
    assert is_asked(send(person, "POST /settings/recovery", **JSON))
    assert show(person, words=PASSWORD).status_code == 303
    assert send(person, "POST /settings/recovery").status_code == 200


def test_a_recovery_code_shows_it_and_stays_good(site: Site) -> None:
    person = inhabitant(site)
    code = with_code(person)
    for _ in range(2):
        grow_old(person)
        assert show(person, code=write_code(new_secret())).status_code == 403
        assert show(person, code=f"{code[:-1]}").status_code == 403
        assert show(person, code=code).status_code == 303
        assert not is_asked(send(person, "POST /settings/keys", **JSON))


def test_whoever_guesses_waits_as_at_the_door(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.app.state, "sign_in_attempts", SignInAttempts(lambda: 0.0), raising=False)
    person = inhabitant(site)
    code = with_code(person)
    grow_old(person)
    for _ in range(FREE + 1):
        assert show(person, code=write_code(new_secret())).status_code == 403
    waits = show(person, code=code)
    assert waits.status_code == 429
    assert int(waits.headers["retry-after"]) >= 1
    assert is_asked(send(person, "POST /settings/keys", **JSON))


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/sign-out", "/settings%23keys", "", "/c/1"]
)
def test_one_goes_on_nowhere_but_where_an_act_begins(site: Site, wanted: str) -> None:
    person = inhabitant(site)
    code = with_code(person)
    grow_old(person)
    assert show(person, code=code, next=wanted).headers["location"] == ELSE
    with person.browser() as client:
        assert client.get("/is-it-you", params={"next": wanted}).headers["location"] == ELSE


def test_opening_the_vault_shows_it_as_well(site: Site) -> None:
    person, now = inhabitant(site), time.time()
    code = with_code(person)
    database = site.app.state.services.database
    token = site.run(database.write(lambda each: rows.new_session(each, person.account_id, now, now + OLD_S)))
    locked = replace(person, token=token)
    grow_old(locked)
    assert is_asked(send(locked, "POST /unlock/start-over", **JSON))
    with locked.browser() as client:
        assert client.post("/unlock", data={"code": code}).status_code == 303
        assert not is_asked(client.post("/settings/keys", headers=JSON))


def test_the_founders_link_shows_it_as_well_and_gives_another_cookie(site: Site) -> None:
    link = site.link().replace("127.0.0.1", "localhost")
    with httpx2.Client(base_url=site.url, timeout=20) as browser:
        browser.get(link)
        found = site.run(site.app.state.services.accounts.viewer(browser.cookies["commun_session"]))
        founder = Person(site, found.account_id, browser.cookies["commun_session"])
        with_code(founder)
        grow_old(founder)
        assert is_asked(browser.post("/settings/keys", headers=JSON))
        browser.get(site.link().replace("127.0.0.1", "localhost"))
        assert browser.cookies["commun_session"] != founder.token
        assert send(founder, "GET /settings").status_code == 401, "the former cookie is nobody's"
        assert not is_asked(browser.post("/settings/keys", headers=JSON)), "it comes from whoever runs the machine"


# --- with a passkey


@pytest.fixture
def key(site: Site) -> SoftAuthenticator:
    return SoftAuthenticator(origin=site.url, host="localhost")


def with_passkey(person: Person, key: SoftAuthenticator) -> None:
    """One that derives nothing: it shows who somebody is, and opens no vault."""
    with person.browser(headers=JSON) as client:
        options = client.post("/settings/passkeys/options", json={}).json()
        sent = {"name": "Key", "credential": key.make(options), "prf": None}
        assert client.post("/settings/passkeys", json=sent).status_code == 200


def show_passkey(person: Person, key: SoftAuthenticator, *, asked_at: str = "/is-it-you") -> httpx2.Response:
    with person.browser(headers=JSON) as client:
        options = client.post(f"{asked_at}/passkey/options", json={}).json()
        sent = {"credential": key.use(options), "next": "/settings#keys"}
        answered = client.post("/is-it-you/passkey", json=sent)
    if answered.status_code == 200:
        person.token = answered.cookies["commun_session"]
        with person.browser(headers=JSON) as client:
            assert client.post("/is-it-you/passkey", json=sent).status_code == 401, "one answer serves once"
    return answered


def test_a_passkey_shows_it_and_the_vault_stays_open(site: Site, key: SoftAuthenticator) -> None:
    person = inhabitant(site)
    with_passkey(person, key)
    grow_old(person)
    assert is_asked(send(person, "POST /settings/keys", **JSON))
    with person.browser(headers=JSON) as client:
        options = client.post("/is-it-you/passkey/options", json={}).json()
        assert len(options["allowCredentials"]) == 1
    assert show_passkey(person, key).json() == {"url": "/settings#keys"}
    assert send(person, "POST /settings/recovery").status_code == 200


def test_another_persons_passkey_and_another_ceremonys_answer_show_nothing(site: Site, key: SoftAuthenticator) -> None:
    person, other = inhabitant(site), inhabitant(site)
    theirs = SoftAuthenticator(origin=site.url, host="localhost")
    with_passkey(person, key)
    with_passkey(other, theirs)
    grow_old(person)
    for authenticator, asked_at in ((theirs, "/is-it-you"), (key, "/sign-in")):
        refused = show_passkey(person, authenticator, asked_at=asked_at)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "passkey_refused")
    assert is_asked(send(person, "POST /settings/keys", **JSON))


# --- and afterwards


def test_it_outlives_a_restart_and_so_does_its_end(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, FakeEngine()) as site:
        late, early = inhabitant(site), inhabitant(site)
        for each in (late, early):
            with_code(each)
        grow_old(late)
    with serving(home, FakeEngine()) as site:
        assert is_asked(send(replace(late, site=site), "POST /settings/keys", **JSON))
        assert not is_asked(send(replace(early, site=site), "POST /settings/keys", **JSON))
