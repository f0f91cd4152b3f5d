"""At a provider's first sign-in a passkey can be the first way to open the vault: all of it is made, or nothing."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from secrets import token_hex
from typing import Any

import httpx2
import pytest

from commun.web.attempts import FREE, Attempts
from fake_engine import FakeEngine
from inhabitants import JSON, everything_stored, inhabitant
from openid.hostile_provider import CLIENT, SECRET, HostileProvider
from site_server import Site, serving
from soft_authenticator import SoftAuthenticator

JOIN = "/sign-in/provider/join"


@pytest.fixture(scope="module")
def provider() -> Iterator[HostileProvider]:
    with HostileProvider() as made:
        made.honest()
        yield made


@pytest.fixture(scope="module")
def site(provider: HostileProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    options: dict[str, Any] = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET}
    options |= {"oidc_name": "The town", "oidc_accounts": "anybody", "sign_in_rate_limit": "1000000/minute"}
    with serving(tmp_path_factory.mktemp("joining") / "home", FakeEngine(), **options) as running:
        yield replace(running, url=running.url.replace("127.0.0.1", "localhost"))


@pytest.fixture
def subject(provider: HostileProvider) -> str:
    """Somebody whom the provider knows and nobody here does."""
    provider.subject = token_hex(8)
    return provider.subject


@pytest.fixture
def key(site: Site) -> SoftAuthenticator:
    return SoftAuthenticator(origin=site.url, host="localhost")


@pytest.fixture
def arrived(site: Site, provider: HostileProvider, subject: str) -> Iterator[httpx2.Client]:
    """Their browser, come back from the provider."""
    assert subject
    with httpx2.Client(base_url=site.url, timeout=120, headers=JSON) as client:
        come_back(client, provider)
        yield client


def come_back(client: httpx2.Client, provider: HostileProvider) -> httpx2.Response:
    seen = client.post("/sign-in/provider", headers={"accept": "text/html"})
    (url,) = re.findall(r'http-equiv="refresh" content="0; url=([^"]+)"', seen.text)
    return client.get("/sign-in/provider/back", params=provider.authorize(unescape(url)))


def options_for(client: httpx2.Client, name: str) -> httpx2.Response:
    return client.post(f"{JOIN}/passkey/options", json={"name": name})


def join(client: httpx2.Client, key: SoftAuthenticator, name: str, *, derives: bool = True) -> httpx2.Response:
    options = options_for(client, name).json()
    sent = {"name": name, "credential": key.make(options), "prf": key.prf(options) if derives else None}
    return client.post(f"{JOIN}/passkey", json=sent)


def a_name() -> str:
    return f"Camille {token_hex(6)}"


def test_the_passkey_opens_the_vault_and_signs_in_and_so_does_the_provider(
    site: Site, provider: HostileProvider, arrived: httpx2.Client, key: SoftAuthenticator
) -> None:
    assert 'data-passkey="join"' in arrived.get(JOIN).text
    assert join(arrived, key, a_name()).json() == {"url": "/welcome"}
    conversation = arrived.post("/ask", data={"question": "Why?"}).json()["url"]
    settings = arrived.get("/settings").text
    assert "signs in and opens your conversations" in settings
    assert "signs in, and opens nothing" in settings, "the provider"
    assert arrived.get(JOIN).status_code != 200, "the arrival is spent"
    with httpx2.Client(base_url=site.url, timeout=120, headers=JSON) as other:
        assert come_back(other, provider).headers["location"] == "/unlock"
        options = other.post("/sign-in/passkey/options", json={}).json()
        used = other.post("/sign-in/passkey", json={"credential": key.use(options), "prf": key.prf(options)})
        assert used.json() == {"url": "/"}
        assert other.get(conversation).status_code == 200


def test_one_that_derives_nothing_is_told_and_leaves_nothing_and_a_passphrase_goes_on(
    site: Site, arrived: httpx2.Client, key: SoftAuthenticator
) -> None:
    name, before = a_name(), everything_stored(site)
    refused = join(arrived, key, name, derives=False)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "passkey_opens_nothing")
    assert "commun_session" not in arrived.cookies
    assert everything_stored(site) == before
    came = arrived.post(JOIN, data={"name": name, "passphrase": "eleven slow green trams"})
    assert (came.status_code, came.headers["location"]) == (303, "/welcome")


def test_a_name_that_is_taken_or_none_is_told_before_a_passkey_is_made(
    site: Site, arrived: httpx2.Client, key: SoftAuthenticator
) -> None:
    taken = a_name()
    inhabitant(site, name=taken)
    before = everything_stored(site)
    assert options_for(arrived, taken.upper()).json()["error"]["code"] == "name_taken"
    assert options_for(arrived, "").status_code == 400
    options = options_for(arrived, a_name()).json()
    sent = {"name": taken, "credential": key.make(options), "prf": key.prf(options)}
    assert arrived.post(f"{JOIN}/passkey", json=sent).json()["error"]["code"] == "name_taken", "taken meanwhile"
    assert everything_stored(site) == before
    assert join(arrived, key, a_name()).status_code == 200


def test_whoever_tries_names_waits(site: Site, arrived: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.app.state, "name_attempts", Attempts(FREE, clock=lambda: 0.0), raising=False)
    answered = [options_for(arrived, a_name()).status_code for _ in range(FREE + 2)]
    assert answered == [200] * (FREE + 1) + [429]


def test_the_passkey_is_taken_that_was_made_under_a_name_that_was_counted(
    site: Site, arrived: httpx2.Client, key: SoftAuthenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.app.state, "name_attempts", Attempts(FREE, clock=lambda: 0.0), raising=False)
    for _ in range(FREE):
        assert options_for(arrived, a_name()).status_code == 200
    name = a_name()
    options = options_for(arrived, name).json()
    assert options_for(arrived, a_name()).status_code == 429, "from now on others wait"
    sent = {"name": name, "credential": key.make(options), "prf": key.prf(options)}
    assert arrived.post(f"{JOIN}/passkey", json=sent).json() == {"url": "/welcome"}


def test_whose_account_was_made_meanwhile_learns_of_no_name_and_is_counted(
    site: Site, provider: HostileProvider, arrived: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = a_name()
    inhabitant(site, name=taken)
    monkeypatch.setattr(site.app.state, "name_attempts", Attempts(FREE, clock=lambda: 0.0), raising=False)
    words = {"passphrase": "eleven slow green trams"}
    with httpx2.Client(base_url=site.url, timeout=120, headers=JSON) as second:
        come_back(second, provider)
        assert arrived.post(JOIN, data={"name": a_name(), **words}).status_code == 303
        names = [taken, *(a_name() for _ in range(FREE))]
        answered = [second.post(JOIN, data={"name": name, **words}).status_code for name in names]
    assert answered == [409] * FREE + [429]


def test_without_an_arrival_or_with_anothers_answer_nobody_comes_in(
    site: Site, provider: HostileProvider, arrived: httpx2.Client, key: SoftAuthenticator
) -> None:
    name, before = a_name(), everything_stored(site)
    options = options_for(arrived, name).json()
    sent = {"name": name, "credential": key.make(options), "prf": key.prf(options)}
    with httpx2.Client(base_url=site.url, timeout=120, headers=JSON) as other:
        assert options_for(other, name).json()["error"]["code"] == "provider_try_over"
        assert other.post(f"{JOIN}/passkey", json=sent).json()["error"]["code"] == "provider_try_over"
        provider.subject = token_hex(8)
        come_back(other, provider)
        assert other.post(f"{JOIN}/passkey", json=sent).json()["error"]["code"] == "passkey_refused"
        options_for(other, name)
        assert other.post(f"{JOIN}/passkey", json=sent).json()["error"]["code"] == "passkey_refused"
    assert everything_stored(site) == before
    wrong = {**sent, "credential": replace(key, origin="https://evil.example").make(options)}
    assert arrived.post(f"{JOIN}/passkey", json=wrong).status_code == 401
    assert arrived.post(f"{JOIN}/passkey", json=sent).status_code == 401, "a challenge serves once"
    assert everything_stored(site) == before


def test_at_an_address_there_is_a_passphrase_alone(site: Site, provider: HostileProvider, subject: str) -> None:
    assert subject
    with httpx2.Client(base_url=site.url.replace("localhost", "127.0.0.1"), timeout=120, headers=JSON) as client:
        come_back(client, provider)
        assert 'data-passkey="join"' not in client.get(JOIN).text
        assert options_for(client, a_name()).json()["error"]["code"] == "no_passkeys_here"
