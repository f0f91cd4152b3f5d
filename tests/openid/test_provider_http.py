"""Signing in at an identity provider, over HTTP: who comes in, who does not, and every way in which a provider lies."""

import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter
from sqlalchemy import update

from commun.authority import FRESH_S, Who
from commun.openid.provider import mark_of
from commun.store.people import Role
from commun.store.schema import sessions
from fake_engine import FakeEngine
from inhabitants import Person, everything_stored, inhabitant
from openid.hostile_provider import CLIENT, KEY, OTHER_KEY, SECRET, HostileProvider
from site_server import Site, serving

PASSPHRASE = "seven grey herons wade"
COOKIES = {"commun_session", "commun_provider"}
NOT_PROVEN = "did not prove who you are"


@pytest.fixture(scope="module")
def provider() -> Iterator[HostileProvider]:
    with HostileProvider() as made:
        yield made


@pytest.fixture(autouse=True)
def _honest(provider: HostileProvider) -> None:
    provider.honest()


def settings(provider: HostileProvider, **others: Any) -> dict[str, Any]:
    return {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SECRET,
        "oidc_name": "The town",
        "sign_in_rate_limit": "1000000/minute",
    } | others


@pytest.fixture(scope="module")
def site(provider: HostileProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("provider") / "home", FakeEngine(), **settings(provider)) as running:
        yield running


@pytest.fixture(scope="module")
def open_site(provider: HostileProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Whoever the provider signs in may come."""
    home = tmp_path_factory.mktemp("provider-open") / "home"
    with serving(home, FakeEngine(), **settings(provider, oidc_accounts="anybody")) as running:
        yield running


class Browser:
    """One browser and its cookies."""

    def __init__(self, site: Site, person: Person | None = None) -> None:
        cookies = {"commun_session": person.token} if person is not None else {}
        self.client = httpx2.Client(base_url=site.url, timeout=120)
        for name, value in cookies.items():
            self.client.cookies.set(name, value, domain="127.0.0.1")

    def begin(self, path: str = "/sign-in/provider", **form: str) -> str:
        """Where the browser is sent."""
        seen = self.client.post(path, data=form)
        assert seen.status_code == 200, seen.text
        (url,) = re.findall(r'http-equiv="refresh" content="0; url=([^"]+)"', seen.text)
        return unescape(url)

    def back(self, answer: dict[str, str] | list[tuple[str, str]]) -> httpx2.Response:
        return self.client.get("/sign-in/provider/back", params=answer)

    def sign_in(self, provider: HostileProvider, path: str = "/sign-in/provider", **form: str) -> httpx2.Response:
        return self.back(provider.authorize(self.begin(path, **form)))

    @property
    def session(self) -> str:
        return self.client.cookies.get("commun_session") or ""


def linked(site: Site, provider: HostileProvider, subject: str, *, passphrase: bool = True) -> Person:
    """A member who has linked an account."""
    person = inhabitant(site)
    browser = Browser(site, person)
    provider.subject = subject
    if passphrase:
        seen = browser.client.post("/settings/passphrase", data={"passphrase": PASSPHRASE})
        assert seen.status_code == 303, seen.text
    seen = browser.sign_in(provider, "/settings/provider")
    assert seen.headers["location"] == "/settings?done=provider#ways", seen.text
    return person


def refused(site: Site, browser: Browser, answer: Any, words: str, status: int) -> None:
    """Nothing is stored, nobody is signed in, and the page says what to do."""
    before = everything_stored(site)
    seen = browser.back(answer)
    assert (seen.status_code, browser.session) == (status, "")
    assert words in unescape(seen.text)
    assert "/sign-in/provider" in seen.text
    assert everything_stored(site) == before
    assert not browser.client.cookies.get("commun_provider")


# --- who comes in


def test_a_person_who_linked_an_account_is_signed_in_and_the_vault_stays_shut_until_the_passphrase(
    site: Site, provider: HostileProvider
) -> None:
    person = linked(site, provider, "linked-1")
    browser = Browser(site)
    seen = browser.sign_in(provider, next="/settings")
    assert (seen.status_code, seen.headers["location"]) == (303, "/unlock")
    assert browser.session not in {"", person.token}
    assert browser.client.get("/", headers={"accept": "application/json"}).json()["error"]["code"] == "vault_locked"
    assert "Recovery code" not in browser.client.get("/unlock").text
    opened = browser.client.post("/unlock", data={"words": PASSPHRASE})
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert browser.client.get("/").status_code == 200


def test_the_browser_is_sent_with_a_state_a_nonce_and_a_digest_and_keeps_a_cookie_of_its_own(
    site: Site, provider: HostileProvider
) -> None:
    urls = []
    for _ in range(2):
        seen = Browser(site).client.post("/sign-in/provider")
        cookie = seen.headers["set-cookie"].lower()
        assert cookie.startswith("commun_provider=")
        assert {"httponly", "samesite=lax", "path=/", "max-age=600"} <= set(cookie.split("; "))
        url = unescape(re.findall(r'url=([^"]+)"', seen.text)[0])
        urls.append(dict(httpx2.URL(url).params))
    one, other = urls
    for name in ("state", "nonce", "code_challenge"):
        assert len(one[name]) == 43
        assert one[name] != other[name]
    assert one["scope"] == "openid"
    assert one["redirect_uri"] == f"{site.url}/sign-in/provider/back"
    assert SECRET not in str(urls)


def test_behind_https_the_cookie_belongs_to_this_host_alone(provider: HostileProvider, tmp_path: Path) -> None:
    with serving(tmp_path, FakeEngine(), **settings(provider, public_url="https://chat.example.org")) as site:
        seen = Browser(site).client.post("/sign-in/provider")
        assert seen.headers["set-cookie"].startswith("__Host-commun_provider=")
        assert "; Secure" in seen.headers["set-cookie"]
        assert "https%3A%2F%2Fchat.example.org%2Fsign-in%2Fprovider%2Fback" in seen.text


def test_who_is_unknown_and_was_not_invited_gets_nothing(site: Site, provider: HostileProvider) -> None:
    browser = Browser(site)
    answer = provider.authorize(browser.begin())
    refused(site, browser, answer, "nobody here has linked that account", 401)
    assert "Sign in" in browser.client.get("/sign-in/provider/join").text
    assert (
        browser.client.post("/sign-in/provider/join", data={"name": "x", "passphrase": PASSPHRASE}).status_code == 401
    )


def test_an_invitation_is_accepted_with_a_passphrase_and_spent(site: Site, provider: HostileProvider) -> None:
    services = site.app.state.services
    token = site.run(services.invitations.make(Role.ADMINISTRATOR))
    provider.subject, provider.claims = "invited-1", {"preferred_username": "Ada L."}
    browser = Browser(site)
    assert "Come in with The town" in browser.client.get(f"/invitation/{token}").text
    seen = browser.sign_in(provider, f"/invitation/{token}/provider")
    assert seen.headers["location"] == "/sign-in/provider/join"
    assert browser.session == ""
    assert 'value="Ada L."' in browser.client.get("/sign-in/provider/join").text
    weak = browser.client.post("/sign-in/provider/join", data={"name": "Ada", "passphrase": "short"})
    assert (weak.status_code, browser.session) == (400, "")
    seen = browser.client.post("/sign-in/provider/join", data={"name": "Ada", "passphrase": PASSPHRASE})
    assert (seen.status_code, seen.headers["location"]) == (303, "/welcome")
    assert browser.client.get("/people").status_code == 200  # as the invitation said
    code = browser.client.post("/welcome/code")
    assert code.status_code == 200
    assert Browser(site).client.get(f"/invitation/{token}").status_code == 401
    again = Browser(site).client.post(f"/invitation/{token}/provider")
    assert again.status_code == 401
    other = Browser(site)
    assert other.sign_in(provider).headers["location"] == "/unlock"
    assert other.client.post("/unlock", data={"words": PASSPHRASE}).headers["location"] == "/"
    used = browser.client.post("/sign-in/provider/join", data={"name": "Eve", "passphrase": PASSPHRASE})
    assert used.status_code == 401  # an arrival makes one account


def test_two_arrivals_with_one_invitation_make_one_account(site: Site, provider: HostileProvider) -> None:
    token = site.run(site.app.state.services.invitations.make(Role.MEMBER))
    browsers = []
    for subject in ("twin-1", "twin-2"):
        provider.subject = subject
        browsers.append(Browser(site))
        browsers[-1].sign_in(provider, f"/invitation/{token}/provider")
    form = {"name": "Twin", "passphrase": PASSPHRASE}
    assert browsers[0].client.post("/sign-in/provider/join", data=form).headers["location"] == "/welcome"
    before = everything_stored(site)
    assert browsers[1].client.post("/sign-in/provider/join", data=form | {"name": "Other"}).status_code == 401
    assert everything_stored(site) == before


def test_anybody_may_come_where_the_setting_says_so_and_takes_nobodys_name(
    open_site: Site, provider: HostileProvider
) -> None:
    someone = inhabitant(open_site, name="Root")
    provider.subject, provider.claims = "anybody-1", {"preferred_username": "Root", "email": "root@example.org"}
    browser = Browser(open_site)
    assert browser.sign_in(provider).headers["location"] == "/sign-in/provider/join"
    taken = browser.client.post("/sign-in/provider/join", data={"name": "ROOT", "passphrase": PASSPHRASE})
    assert taken.status_code == 400
    assert "Somebody else already has this name" in taken.text
    made = browser.client.post("/sign-in/provider/join", data={"name": "Robin", "passphrase": PASSPHRASE})
    assert made.headers["location"] == "/welcome"
    assert browser.client.get("/people").status_code == 403  # a member
    stored = everything_stored(open_site)
    assert len(stored["accounts"]) == 2
    assert [row.account_id for row in stored["unlocks"] if row.account_id == someone.account_id] == []
    assert "example.org" not in str(stored)  # no address is kept
    (row,) = [row for row in stored["unlocks"] if row.kind == "provider"]
    assert (row.credential, row.wrapped_key, row.vault_id) == (mark_of(provider.issuer, "anybody-1"), None, None)
    assert "anybody-1" not in str(stored)


def test_a_name_that_nobody_can_write_is_not_proposed(open_site: Site, provider: HostileProvider) -> None:
    provider.subject, provider.claims = "unwritable", {"preferred_username": "\ud800", "name": "Ada"}
    browser = Browser(open_site)
    seen = browser.client.get(browser.sign_in(provider).headers["location"])
    assert seen.status_code == 200
    assert 'value="Ada"' in seen.text


def test_two_browsers_of_one_newcomer_make_one_account(open_site: Site, provider: HostileProvider) -> None:
    provider.subject = "newcomer"
    browsers = [Browser(open_site), Browser(open_site)]
    for browser in browsers:
        assert browser.sign_in(provider).headers["location"] == "/sign-in/provider/join"
    forms = [{"name": name, "passphrase": PASSPHRASE} for name in ("Newcomer", "Latecomer")]
    assert browsers[0].client.post("/sign-in/provider/join", data=forms[0]).status_code == 303
    before = everything_stored(open_site)
    late = browsers[1].client.post("/sign-in/provider/join", data=forms[1])
    assert (late.status_code, browsers[1].session) == (409, "")
    assert everything_stored(open_site) == before


def test_a_disabled_persons_account_opens_nothing_anywhere(
    site: Site, open_site: Site, provider: HostileProvider
) -> None:
    for each in (site, open_site):
        inhabitant(each, Who.ADMINISTRATOR)
        person = linked(each, provider, "disabled-1")
        each.run(each.app.state.services.administration.disable(person.account_id))
        browser = Browser(each)
        refused(each, browser, provider.authorize(browser.begin()), "nobody here has linked", 401)
        each.run(each.app.state.services.administration.enable(person.account_id))
        assert Browser(each).sign_in(provider).headers["location"] == "/unlock"


def test_without_the_setting_there_is_no_such_address_and_no_word_of_it(tmp_path: Path) -> None:
    with serving(tmp_path, FakeEngine()) as site:
        browser = Browser(site)
        assert browser.client.post("/sign-in/provider").status_code == 404
        assert browser.client.get("/sign-in/provider/back").status_code == 404
        assert "provider" not in browser.client.get("/sign-in").text
        member = Browser(site, inhabitant(site))
        assert member.client.post("/settings/provider").status_code == 404
        assert "provider" not in member.client.get("/settings").text


# --- linking and taking away


def test_an_account_is_linked_once_and_to_one_person(site: Site, provider: HostileProvider) -> None:
    linked(site, provider, "mine")
    other = Browser(site, inhabitant(site))
    before = everything_stored(site)
    seen = other.sign_in(provider, "/settings/provider")
    assert seen.status_code == 409
    assert "linked to somebody else here" in seen.text
    assert everything_stored(site) == before


def test_another_account_takes_the_place_of_the_one_before(site: Site, provider: HostileProvider) -> None:
    person = linked(site, provider, "before")
    provider.subject = "after"
    assert Browser(site, person).sign_in(provider, "/settings/provider").status_code == 303
    assert Browser(site).sign_in(provider).headers["location"] == "/unlock"
    provider.subject = "before"
    assert Browser(site).sign_in(provider).status_code == 401


def test_the_link_is_made_in_the_session_that_began_it_and_in_no_other(site: Site, provider: HostileProvider) -> None:
    victim, attacker = inhabitant(site), inhabitant(site)
    provider.subject = "attackers-own"
    begun = Browser(site, attacker)
    answer = provider.authorize(begun.begin("/settings/provider"))
    before = everything_stored(site)
    assert Browser(site, victim).back(answer).status_code == 401  # their browser holds no such try
    begun.client.cookies.set("commun_session", victim.token, domain="127.0.0.1")
    assert begun.back(answer).status_code == 401  # and this one is somebody else's by now
    assert everything_stored(site) == before


def test_it_is_made_for_whoever_shows_who_they_are_when_it_comes_back_too(
    site: Site, provider: HostileProvider
) -> None:
    person = inhabitant(site)
    browser = Browser(site, person)
    assert browser.client.post("/settings/passphrase", data={"passphrase": PASSPHRASE}).status_code == 303
    provider.subject = "who came later"
    answer = provider.authorize(browser.begin("/settings/provider"))
    long_ago = (
        update(sessions).where(sessions.c.account_id == person.account_id).values(shown=time.time() - 2 * FRESH_S)
    )
    site.run(site.app.state.services.accounts.change(lambda connection: connection.execute(long_ago)))
    seen = browser.back(answer)
    assert seen.status_code == 403
    assert "first show that it is you" in seen.text
    assert Browser(site).sign_in(provider).status_code == 401, "nothing was linked"


def test_it_is_taken_away_by_its_owner_who_is_told_where_that_locks_them_out(
    site: Site, provider: HostileProvider
) -> None:
    person = linked(site, provider, "to-go")
    browser = Browser(site, person)
    settings_page = browser.client.get("/settings").text
    assert "Take away the link to The town" in settings_page
    (way,) = [
        row.id
        for row in everything_stored(site)["unlocks"]
        if row.account_id == person.account_id and row.kind == "provider"
    ]
    told = browser.client.post(f"/settings/ways-in/{way}/remove")
    assert (told.status_code, "This is the last way in" in told.text) == (403, True)  # a passphrase signs nobody in
    assert Browser(site, inhabitant(site)).client.post(f"/settings/ways-in/{way}/remove").status_code == 404
    assert browser.client.post("/settings/recovery").status_code == 200  # this signs in and opens
    assert browser.client.post(f"/settings/ways-in/{way}/remove").status_code == 303
    assert Browser(site).sign_in(provider).status_code == 401


def test_signing_in_by_the_provider_does_not_show_who_sits_there(site: Site, provider: HostileProvider) -> None:
    """Single sign-on lets in whoever sits before a browser that was left open."""
    person = linked(site, provider, "open browser")
    browser = Browser(site, person)
    browser.client.headers["accept"] = "application/json"
    provider.subject = "open browser"
    assert browser.sign_in(provider).headers["location"] == "/unlock"
    before = everything_stored(site)
    for path in ("/settings/delete", "/unlock/start-over"):
        asked = browser.client.post(path, data={"words": "start over"})
        assert (asked.status_code, asked.json()["error"]["code"]) == (403, "is_it_you")
    page = browser.client.get("/settings/delete", headers={"accept": "text/html"}).text
    assert "<h1>Is it you?</h1>" in page
    assert "and in again" not in page, "that leads nowhere"
    assert everything_stored(site) == before
    assert browser.client.post("/unlock", data={"words": PASSPHRASE}).status_code == 303
    assert browser.client.post("/settings/keys", data={"name": "mine"}).status_code == 200, "the passphrase shows it"


def test_who_has_nothing_but_the_provider_is_asked_nothing(site: Site, provider: HostileProvider) -> None:
    person = linked(site, provider, "nothing else", passphrase=False)
    browser = Browser(site, person)
    provider.subject = "nothing else"
    person.ask()
    assert browser.sign_in(provider).headers["location"] == "/unlock"
    assert browser.client.post("/unlock/start-over", data={"words": "start over"}).status_code == 303
    assert browser.client.post("/settings/passphrase", data={"passphrase": PASSPHRASE}).status_code == 303
    asked = browser.client.post("/settings/keys", data={"name": "x"}, headers={"accept": "application/json"})
    assert asked.json()["error"]["code"] == "is_it_you", "now there is a passphrase to ask for"


def test_the_session_of_before_ends_and_another_begins(site: Site, provider: HostileProvider) -> None:
    linked(site, provider, "fixation")
    planted = inhabitant(site)
    browser = Browser(site, planted)
    assert browser.sign_in(provider).headers["location"] == "/unlock"
    assert browser.session != planted.token
    assert Browser(site, planted).client.get("/settings").status_code == 401


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example/", "/\\evil.example", "/settings\r\nx: y"])
def test_nobody_is_sent_to_another_place_afterwards(site: Site, provider: HostileProvider, wanted: str) -> None:
    subject = f"redirected {wanted}"
    linked(site, provider, subject, passphrase=False)
    answer = provider.authorize(Browser(site).begin(next=wanted))
    browser = Browser(site)
    answer = provider.authorize(browser.begin(next=wanted), next=wanted, redirect="https://evil.example/")
    assert browser.back(answer).headers["location"] in {"/", "/unlock"}


def test_no_other_site_can_begin_it(site: Site) -> None:
    for path in ("/sign-in/provider", "/settings/provider", "/sign-in/provider/join", "/invitation/x/provider"):
        person = inhabitant(site)
        seen = Browser(site, person).client.post(path, headers={"sec-fetch-site": "cross-site"})
        assert (seen.status_code, "came from another site" in seen.text) == (403, True)


# --- the way back


def test_the_answer_is_taken_only_in_the_browser_that_asked_and_once(site: Site, provider: HostileProvider) -> None:
    linked(site, provider, "once")
    browser, stranger = Browser(site), Browser(site)
    answer = provider.authorize(browser.begin())
    refused(site, stranger, answer, "begun in another browser", 401)
    other = Browser(site)
    other.begin()
    refused(site, other, answer, "begun in another browser", 401)  # another try's cookie: login CSRF
    assert browser.client.head("/sign-in/provider/back", params=answer).status_code == 204
    assert browser.back(answer).status_code == 303
    replayed = browser.back(answer)
    assert replayed.status_code == 401


def test_a_code_that_was_used_signs_nobody_in(site: Site, provider: HostileProvider) -> None:
    linked(site, provider, "replay")
    first, second = Browser(site), Browser(site)
    stolen = provider.authorize(first.begin())
    own = provider.authorize(second.begin())
    assert first.back(stolen).status_code == 303
    refused(site, second, own | {"code": stolen["code"]}, NOT_PROVEN, 502)


def test_a_code_of_another_try_is_bound_to_its_verifier(site: Site, provider: HostileProvider) -> None:
    linked(site, provider, "injected")
    theirs, mine = Browser(site), Browser(site)
    stolen, own = provider.authorize(theirs.begin()), provider.authorize(mine.begin())
    refused(site, mine, own | {"code": stolen["code"]}, NOT_PROVEN, 502)


@pytest.mark.parametrize(
    ("changed", "words", "status"),
    [
        ({"state": None}, "begun in another browser", 401),
        ({"state": "x" * 43}, "begun in another browser", 401),
        ({"state": "é"}, "begun in another browser", 401),
        ({"iss": None}, NOT_PROVEN, 502),  # it says that it always names itself (RFC 9207)
        ({"iss": "https://other.example.org"}, NOT_PROVEN, 502),
        ({"code": None}, NOT_PROVEN, 502),
        ({"code": "x" * 2049}, NOT_PROVEN, 502),
        ({"code": None, "error": "access_denied"}, "was refused or given up", 401),
        ({"code": None, "error": "server_error<script>"}, "was refused or given up", 401),
        ({"code": None, "error": "access_denied", "state": None}, "begun in another browser", 401),
        ({"code": None, "error": "access_denied", "iss": "https://other.example.org"}, NOT_PROVEN, 502),
    ],
    ids=lambda each: str(each)[:60],
)
def test_an_answer_that_is_not_whole_is_refused(
    site: Site, provider: HostileProvider, changed: dict[str, str | None], words: str, status: int
) -> None:
    linked(site, provider, f"answer {changed}"[:99], passphrase=False)
    browser = Browser(site)
    answer = provider.authorize(browser.begin(), **changed)
    provider.asked.clear()
    refused(site, browser, answer, words, status)
    assert "/token" not in provider.asked  # no code goes anywhere


@pytest.mark.parametrize("name", ["state", "code", "iss"])
def test_what_is_said_twice_is_refused(site: Site, provider: HostileProvider, name: str) -> None:
    browser = Browser(site)
    answer = list(provider.authorize(browser.begin()).items())
    refused(site, browser, [*answer, (name, dict(answer)[name])], "could not be understood", 400)


# --- the ID token


def unsigned(claims: dict[str, Any]) -> str:
    from joserfc.util import json_b64encode

    return b".".join((json_b64encode({"alg": "none"}), json_b64encode(claims), b"")).decode()


def with_public_key_as_secret(claims: dict[str, Any]) -> str:
    """The classic: HMAC under what everybody may read."""
    return jwt.encode(
        {"alg": "HS256", "kid": "first"}, claims, OctKey.import_key(KEY.as_pem(private=False)[27:]), ["HS256"]
    )


def with_client_secret(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET + "." * 20), ["HS256"])


def bringing_its_key(claims: dict[str, Any]) -> str:
    own = RSAKey.generate_key(2048)
    return jwt.encode({"alg": "RS256", "jwk": own.as_dict(private=False), "kid": "first"}, claims, own)


def changed_afterwards(claims: dict[str, Any]) -> str:
    from joserfc.util import json_b64encode

    head, _, signature = jwt.encode({"alg": "RS256", "kid": "first"}, claims, KEY).split(".")
    return f"{head}.{json_b64encode(claims | {'sub': 'somebody-else'}).decode()}.{signature}"


def critical(claims: dict[str, Any]) -> str:
    registry = JWSRegistry({"x": HeaderParameter("x", "str")}, ["RS256"])
    return jwt.encode({"alg": "RS256", "kid": "first", "crit": ["x"], "x": "y"}, claims, KEY, registry=registry)


Forger = Callable[[dict[str, Any]], str]
FORGERS: dict[str, Forger] = {
    "unsigned": unsigned,
    "HMAC under the public key": with_public_key_as_secret,
    "HMAC under the client's secret": with_client_secret,
    "bringing its own key": bringing_its_key,
    "changed afterwards": changed_afterwards,
    "another's key under the same name": lambda claims: jwt.encode({"alg": "RS256", "kid": "first"}, claims, OTHER_KEY),
    "a key that nobody publishes": lambda claims: jwt.encode({"alg": "RS256", "kid": "nobody's"}, claims, OTHER_KEY),
    "a head that must be understood": critical,
    "an access token": lambda claims: jwt.encode({"alg": "RS256", "kid": "first", "typ": "at+jwt"}, claims, KEY),
    "no token": lambda _: "no token",
    "empty": lambda _: "",
    "three empty objects": lambda _: "e30.e30.e30",
    "no ASCII": lambda _: "é.é.é",
    "too long": lambda _: "a" * 200_000,
}


@pytest.mark.parametrize("name", FORGERS)
def test_a_token_that_the_provider_did_not_sign_is_refused(site: Site, provider: HostileProvider, name: str) -> None:
    linked(site, provider, f"forged {name}", passphrase=False)
    browser = Browser(site)
    provider.forge = FORGERS[name]
    refused(site, browser, provider.authorize(browser.begin()), NOT_PROVEN, 502)


class Later(int):
    """Seconds from now."""


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example.org"},
        {"iss": None},
        {"aud": "another program"},
        {"aud": ["another program"]},
        {"aud": [CLIENT, "another program"]},
        {"aud": [CLIENT, "another program"], "azp": "another program"},
        {"aud": None},
        {"aud": {CLIENT: 1}},
        {"azp": "another program"},
        {"exp": Later(-600)},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"exp": float("nan")},
        {"iat": Later(86_400)},
        {"iat": Later(-86_400)},
        {"iat": None},
        {"nbf": Later(86_400)},
        {"nonce": "another try's"},
        {"nonce": None},
        {"nonce": 1},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"sub": 7},
        {"sub": "\ud800"},
        {"nonce": "\ud800"},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_try_is_refused(
    site: Site, provider: HostileProvider, claims: dict[str, Any]
) -> None:
    linked(site, provider, f"claims {str(claims)[:99]}", passphrase=False)
    browser = Browser(site)
    provider.claims = {name: time.time() + of if isinstance(of, Later) else of for name, of in claims.items()}
    refused(site, browser, provider.authorize(browser.begin()), NOT_PROVEN, 502)
    provider.claims = {}
    assert browser.sign_in(provider).status_code == 303  # the same person, honestly


@pytest.mark.parametrize(
    "claims", [{"aud": [CLIENT]}, {"aud": [CLIENT, "x"], "azp": CLIENT}, {"azp": CLIENT}, {"nbf": 1}]
)
def test_what_the_specification_allows_is_taken(site: Site, provider: HostileProvider, claims: dict[str, Any]) -> None:
    linked(site, provider, f"allowed {claims}", passphrase=False)
    provider.claims = claims
    assert Browser(site).sign_in(provider).status_code == 303


def test_the_provider_may_change_its_keys(site: Site, provider: HostileProvider) -> None:
    linked(site, provider, "rotated", passphrase=False)
    provider.key, provider.published = OTHER_KEY, [OTHER_KEY]
    provider.asked.clear()
    assert Browser(site).sign_in(provider).status_code == 303
    assert provider.asked.count("/keys") == 1
    browser = Browser(site)
    provider.key = KEY  # one that it no longer publishes
    refused(site, browser, provider.authorize(browser.begin()), NOT_PROVEN, 502)


def test_tries_are_counted(provider: HostileProvider, tmp_path: Path) -> None:
    with serving(tmp_path, FakeEngine(), **settings(provider, sign_in_rate_limit="3/minute")) as site:
        browser = Browser(site)
        assert [browser.sign_in(provider).status_code for _ in range(3)] == [401] * 3  # there and back is one try
        assert browser.client.post("/sign-in/provider").status_code == 429
