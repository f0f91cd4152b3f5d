"""Passkeys over plain HTTP: what an authenticator may say, and everything that it may not."""

from collections.abc import Iterator
from dataclasses import replace
from secrets import token_hex

import httpx2
import pytest

from commun.store.people import Role
from commun.web.ceremonies import GOOD_FOR_S, Challenges, PasskeyRefused
from fake_engine import FakeEngine
from site_server import Site, serving
from soft_authenticator import PRESENT, SoftAuthenticator

PASSWORD = "four unrelated garden chairs"
JSON = {"accept": "application/json"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("passkeys") / "home"
    with serving(home, FakeEngine(), sign_in_rate_limit="1000/minute") as running:
        yield replace(running, url=running.url.replace("127.0.0.1", "localhost"))


@pytest.fixture
def owner(site: Site) -> Iterator[httpx2.Client]:
    """Somebody new, signed in."""
    token = site.run(site.app.state.services.invitations.make(Role.MEMBER))
    with httpx2.Client(base_url=site.url, timeout=60, headers=JSON) as client:
        fields = {"name": f"Owner {token_hex(8)}", "password": PASSWORD}
        assert client.post(f"/invitation/{token}", data=fields).status_code == 303
        yield client


@pytest.fixture
def browser(site: Site) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site.url, timeout=60, headers=JSON) as client:
        yield client


@pytest.fixture
def key(site: Site) -> SoftAuthenticator:
    return SoftAuthenticator(origin=site.url, host="localhost")


def make(client: httpx2.Client, key: SoftAuthenticator, *, derives: bool = True) -> httpx2.Response:
    options = client.post("/settings/passkeys/options", json={}).json()
    sent = {"name": "Key", "credential": key.make(options), "prf": key.prf(options) if derives else None}
    return client.post("/settings/passkeys", json=sent)


def use(client: httpx2.Client, key: SoftAuthenticator, **changed: object) -> httpx2.Response:
    options = client.post("/sign-in/passkey/options", json={}).json()
    return client.post("/sign-in/passkey", json={"credential": key.use(options), "prf": key.prf(options), **changed})


def test_it_signs_in_and_opens_with_a_new_session_each_time(owner, browser, key) -> None:
    assert make(owner, key).json() == {"url": "/settings?done=passkey#ways"}
    assert use(browser, key, next="/settings").json() == {"url": "/settings"}
    first = browser.cookies["commun_session"]
    assert browser.get("/settings").status_code == 200
    assert use(browser, key, next="//evil.example").json() == {"url": "/"}
    assert browser.cookies["commun_session"] != first
    browser.cookies.set("commun_session", first)


def test_without_a_derived_secret_it_signs_in_and_leaves_the_vault_shut(owner, browser, key) -> None:
    make(owner, key, derives=False)
    assert use(browser, key).json() == {"url": "/unlock"}
    assert browser.get("/").status_code == 403


def test_another_derived_secret_opens_nothing(owner, browser, key) -> None:
    make(owner, key)
    key.seed = bytes(32)
    assert use(browser, key).json() == {"url": "/unlock"}


WRONG = {
    "another site": {"origin": "https://evil.example"},
    "another host": {"host": "evil.example"},
    "nobody was verified": {"flags": PRESENT},
    "nobody was there": {"flags": 0},
    "somebody else's": {"handle": b"somebody else"},
    "nobody's": {"number": b"another number of this length ok"},
    "a count that went back": {"count": 0},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_refused_in_the_same_words(owner, browser, key, wrong) -> None:
    key.count = 5
    make(owner, key)
    assert use(browser, key).status_code == 200
    browser.cookies.delete("commun_session")
    for name, value in WRONG[wrong].items():
        setattr(key, name, value)
    refused = use(browser, key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "passkey_refused")
    assert "commun_session" not in browser.cookies


def test_another_private_key_is_refused(owner, browser, key, site) -> None:
    make(owner, key)
    key.key = SoftAuthenticator(origin="", host="").key
    assert use(browser, key).status_code == 401


def test_one_answer_serves_once_and_only_in_the_browser_that_was_asked(owner, browser, key, site) -> None:
    make(owner, key)
    options = browser.post("/sign-in/passkey/options", json={}).json()
    sent = {"credential": key.use(options), "prf": key.prf(options)}
    with httpx2.Client(base_url=site.url, headers=JSON, timeout=60) as thief:
        assert thief.post("/sign-in/passkey", json=sent).status_code == 401
        thief.post("/sign-in/passkey/options", json={})
        assert thief.post("/sign-in/passkey", json=sent).status_code == 401
    assert browser.post("/sign-in/passkey", json=sent).status_code == 200
    assert browser.post("/sign-in/passkey", json=sent).status_code == 401


def test_a_challenge_for_making_one_is_its_sessions_alone(owner, browser, key, site) -> None:
    options = owner.post("/settings/passkeys/options", json={}).json()
    sent = {"name": "", "credential": key.make(options), "prf": None}
    browser.get(site.link().replace("127.0.0.1", "localhost"))
    assert browser.post("/settings/passkeys", json=sent).status_code == 401
    assert owner.post("/settings/passkeys", json=sent).status_code == 200
    assert owner.post("/settings/passkeys", json=sent).status_code == 401


def test_a_number_that_somebody_already_has_is_refused(owner, key, site) -> None:
    assert make(owner, key).status_code == 200
    assert make(owner, key).json()["error"]["code"] == "passkey_taken"


def test_of_a_disabled_account_it_is_nobodys(owner, browser, key, site) -> None:
    make(owner, key)
    services = site.app.state.services
    site.run(services.accounts.ensure_founder())
    viewer = site.run(services.accounts.viewer(owner.cookies["commun_session"]))
    with httpx2.Client(base_url=site.url, timeout=60) as chief:
        chief.get(site.link().replace("127.0.0.1", "localhost"))
        site.run(services.administration.disable(viewer.account_id))
    assert use(browser, key).status_code == 401


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"credential": 1}', b'{"credential": {}}', b"\xff", b'{"credential": {"rawId": "=="}}'],
)
def test_what_is_no_passkey_at_all_is_refused(browser, body) -> None:
    browser.post("/sign-in/passkey/options", json={})
    assert browser.post("/sign-in/passkey", content=body).status_code in {400, 401}


def test_at_an_address_there_are_none(site) -> None:
    with httpx2.Client(base_url=site.url.replace("localhost", "127.0.0.1"), headers=JSON) as client:
        refused = client.post("/sign-in/passkey/options", json={})
        assert refused.json()["error"]["code"] == "no_passkeys_here"
        assert "passkey" not in client.get("/sign-in", headers={"accept": "text/html"}).text.lower()


def test_challenges_end_and_are_bounded() -> None:
    now = [0.0]
    challenges = Challenges(lambda: now[0], size=3)
    challenges.draw("a")
    now[0] = GOOD_FOR_S + 1
    with pytest.raises(PasskeyRefused):
        challenges.take("a")
    first = challenges.draw("b")
    assert challenges.draw("b") != first
    for whose in "cde":
        challenges.draw(whose)
    with pytest.raises(PasskeyRefused):
        challenges.take("b")
    with pytest.raises(PasskeyRefused):
        challenges.take("")
    assert challenges.take("e")


def test_a_passkeys_number_and_a_providers_mark_are_never_taken_for_each_other(owner, browser, key, site) -> None:
    services = site.app.state.services
    viewer = site.run(services.accounts.viewer(owner.cookies["commun_session"]))
    with httpx2.Client(base_url=site.url, timeout=60, headers=JSON) as attacker:
        token = site.run(services.invitations.make(Role.MEMBER))
        attacker.post(f"/invitation/{token}", data={"name": f"Other {token_hex(8)}", "password": PASSWORD})
        assert make(attacker, key).status_code == 200  # they knew what the owner's mark would be
    assert site.run(services.provider_accounts.find(key.number)) is None
    assert not site.run(services.provider_accounts.is_taken(key.number))
    site.run(services.provider_accounts.link(viewer, key.number))
    assert site.run(services.provider_accounts.find(key.number)).account_id == viewer.account_id
    assert use(browser, key).status_code == 200  # the attacker, as themselves
    assert site.run(services.accounts.viewer(browser.cookies["commun_session"])).account_id != viewer.account_id


def test_a_providers_mark_is_no_passkey_whether_somebody_linked_it_or_not(owner, browser, key, site) -> None:
    services = site.app.state.services
    viewer = site.run(services.accounts.viewer(owner.cookies["commun_session"]))
    key.handle = viewer.account_id.encode()
    unlinked = use(browser, key)
    site.run(services.provider_accounts.link(viewer, key.number))
    linked = use(browser, key)
    assert (linked.status_code, linked.json()) == (unlinked.status_code, unlinked.json())
    assert linked.json()["error"]["code"] == "passkey_refused"
