"""What Commun asks of a provider, over real HTTP: its document, its keys, its token address, and how each may fail."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from structlog.testing import capture_logs

from commun.cli.settings import config_check
from commun.config import Settings
from commun.errors import ConfigError
from commun.openid import asking
from commun.openid.addresses import is_usable
from commun.openid.errors import ProviderDown, ProviderSaidNo, ProviderUnproven, TryOver
from commun.openid.id_token import BadToken, Claims, Expected, UnknownKey, read_id_token
from commun.openid.provider import SILENT_S, Person, Provider, Registration, mark_of, open_provider
from openid.hostile_provider import CLIENT, SECRET, HostileProvider

BACK = "http://127.0.0.1:8000/sign-in/provider/back"
DOCUMENT = "/.well-known/openid-configuration"
Made = Callable[[HostileProvider], tuple[int, dict[str, str], bytes]]


@pytest.fixture
def provider() -> Iterator[HostileProvider]:
    with HostileProvider() as made:
        yield made


def sign_in(provider: HostileProvider, *, clock: list[float] | None = None, times: int = 1) -> list[Person]:
    """``times`` tries of one Commun that was just started. ``clock``: its seconds, one for each try."""

    async def work() -> list[Person]:
        moment = [0.0]
        ours = Provider(Registration(provider.issuer, CLIENT, SECRET, "The town"), clock=lambda: moment[0])
        try:
            found = []
            for number in range(times):
                moment[0] = clock[number] if clock else 0.0
                url, asked = await ours.begin(BACK)
                found.append(await ours.finish(asked, provider.authorize(url)))
            return found
        finally:
            await ours.close()

    return asyncio.run(work())


def test_the_document_and_the_keys_are_read_once_an_hour(provider: HostileProvider) -> None:
    first, second = sign_in(provider, times=2)
    assert first == second == Person(mark_of(provider.issuer, provider.subject), "")
    assert provider.asked.count(DOCUMENT) == provider.asked.count("/keys") == 1
    provider.asked.clear()
    sign_in(provider, times=2, clock=[0.0, 3_601.0])
    assert provider.asked.count(DOCUMENT) == provider.asked.count("/keys") == 2


def test_a_mark_is_of_issuer_and_subject_together() -> None:
    marks = {mark_of(*each) for each in (("https://a.fr", "1"), ("https://a.fr1", ""), ("https://b.fr", "1"), ("", ""))}
    assert len(marks) == 4
    assert {len(mark) for mark in marks} == {32}


# --- the document


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://other.example.org"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": 7},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://login.example.org/keys"},
        {"token_endpoint": "http://169.254.169.254/latest/meta-data"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://me@login.example.org/"},
        {"authorization_endpoint": 'https://login.example.org/"><script>'},
        {"authorization_endpoint": "https://login.example.org/#x"},
        {"authorization_endpoint": "https://login.example.org/;url=x"},
        {"authorization_endpoint": "https:///x"},
        {"authorization_endpoint": "https://login.example.org:99999/"},
        {"authorization_endpoint": "//login.example.org/"},
        {"authorization_endpoint": "https://login.example.org/" + "x" * 3000},
    ],
    ids=lambda each: str(each)[:70],
)
def test_a_document_that_is_another_s_or_points_elsewhere_is_refused(
    provider: HostileProvider, document: dict[str, Any]
) -> None:
    provider.document = document
    with pytest.raises(ProviderUnproven):
        sign_in(provider)
    assert provider.asked == [DOCUMENT]


@pytest.mark.parametrize(
    ("url", "near", "usable"),
    [
        ("https://login.example.org/realms/town", False, True),
        ("https://login.example.org:8443", False, True),
        ("http://login.example.org", True, False),
        ("http://localhost:8080/realms/town", True, True),
        ("http://localhost:8080/realms/town", False, False),  # a provider elsewhere cannot point at this machine
        ("http://127.0.0.1", True, True),
        ("http://[::1]:80", True, True),
        ("http://127.0.0.1.example.org", True, False),
        ("http://10.0.0.1", True, False),
        ("http://localhost.", True, False),
        ("", True, False),
    ],
)
def test_plain_http_is_for_this_machine_alone(url: str, near: bool, usable: bool) -> None:
    assert is_usable(url, near=near) is usable


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"oidc_issuer": "http://login.example.org", "oidc_client_id": "x"}, "oidc_issuer"),
        ({"oidc_issuer": "login.example.org", "oidc_client_id": "x"}, "oidc_issuer"),
        ({"oidc_issuer": "https://login.example.org/?realm=x", "oidc_client_id": "x"}, "oidc_issuer"),
        ({"oidc_issuer": "https://login.example.org"}, "oidc_client_id"),
    ],
)
def test_a_setting_that_cannot_be_is_named_at_start(settings: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError) as raised:
        open_provider(Settings(**settings))
    assert raised.value.details["setting"] == named


def test_the_check_of_the_settings_names_it_too(tmp_path: Path) -> None:
    (tmp_path / "commun.toml").write_text('oidc_issuer = "https://login.example.org"\n')
    with pytest.raises(ConfigError) as raised:
        config_check(tmp_path)
    assert raised.value.details["setting"] == "oidc_client_id"


def test_what_a_provider_knows_decides_what_is_asked_for(provider: HostileProvider) -> None:
    async def url_of() -> str:
        ours = Provider(Registration(provider.issuer, CLIENT, SECRET, "The town"))
        try:
            return (await ours.begin(BACK))[0]
        finally:
            await ours.close()

    assert "scope=openid&" in asyncio.run(url_of())
    provider.document = {
        "scopes_supported": ["openid", "profile"],
        "authorization_endpoint": f"{provider.issuer}/a?p=1",
    }
    url = asyncio.run(url_of())
    assert "scope=openid+profile&" in url
    assert url.startswith(f"{provider.issuer}/a?p=1&response_type=code")


# --- how it fails


def body(data: bytes, **headers: str) -> Made:
    return lambda _: (200, {"content-type": "application/json"} | headers, data)


def elsewhere(path: str) -> Made:
    return lambda provider: (302, {"location": f"{provider.issuer}{path}"}, b"")


def slowly(_: HostileProvider) -> tuple[int, dict[str, str], bytes]:
    time.sleep(3)
    return 200, {}, b"{}"


FAILURES: dict[str, Made] = {
    "an error": lambda _: (500, {}, b"{}"),
    "nothing there": lambda _: (404, {}, b"{}"),
    "a redirect": elsewhere("/there"),
    "no JSON": body(b"<html>"),
    "no object": body(b"[1]"),
    "nested beyond reason": body(b"[" * 100_000),
    "larger than any": body(b" " * (asking.MOST_BYTES + 1)),
    "compressed unasked": body(b"{}", **{"content-encoding": "gzip"}),
    "too slow": slowly,
}


@pytest.mark.parametrize("path", [DOCUMENT, "/keys", "/token"])
@pytest.mark.parametrize("failure", FAILURES)
def test_what_fails_is_told_and_nothing_else_is_asked(
    provider: HostileProvider, monkeypatch: pytest.MonkeyPatch, path: str, failure: str
) -> None:
    if failure == "too slow":
        monkeypatch.setattr(asking, "ASK_S", 1.5)
    provider.answers[path] = FAILURES[failure]
    with pytest.raises(ProviderUnproven if path == "/token" else ProviderDown):
        sign_in(provider)
    assert "/there" not in provider.asked
    assert provider.asked.count(path) == 1  # nothing is asked twice
    provider.answers.clear()
    monkeypatch.undo()
    assert len(sign_in(provider)) == 1


def test_a_provider_that_is_not_there_is_told(provider: HostileProvider) -> None:
    provider.__exit__()
    with pytest.raises(ProviderDown) as raised:
        sign_in(provider)
    assert "The town does not answer now." in str(raised.value)
    provider.__enter__()


@pytest.mark.parametrize(
    ("answer", "error"), [("an error", ProviderDown), ("another's document", ProviderUnproven)], ids=str
)
def test_a_failure_of_the_document_is_told_to_all_and_remembered_for_seconds(
    provider: HostileProvider, answer: str, error: type[Exception]
) -> None:
    failing = {"another's document": body(b'{"issuer": "https://other.example.org"}')} | FAILURES

    async def work() -> str:
        moment = [0.0]
        ours = Provider(Registration(provider.issuer, CLIENT, SECRET, "The town"), clock=lambda: moment[0])
        try:
            provider.answers[DOCUMENT] = failing[answer]
            told = await asyncio.gather(*(ours.begin(BACK) for _ in range(8)), return_exceptions=True)
            assert {type(each) for each in told} == {error}
            provider.answers.clear()
            moment[0] = SILENT_S - 0.1
            with pytest.raises(error):
                await ours.begin(BACK)
            assert provider.asked == [DOCUMENT]
            moment[0] = SILENT_S
            return (await ours.begin(BACK))[0]
        finally:
            await ours.close()

    assert asyncio.run(work()).startswith(provider.issuer)


def test_who_tries_while_the_document_is_read_waits_for_it(provider: HostileProvider) -> None:
    async def work() -> None:
        ours = Provider(Registration(provider.issuer, CLIENT, SECRET, "The town"))
        try:
            await asyncio.gather(*(ours.begin(BACK) for _ in range(8)))
        finally:
            await ours.close()

    asyncio.run(work())
    assert provider.asked == [DOCUMENT]


def test_the_log_says_why_and_holds_no_secret(provider: HostileProvider) -> None:
    secrets: list[str] = [SECRET, provider.subject]

    async def work(**changed: str | None) -> None:
        ours = Provider(Registration(provider.issuer, CLIENT, "wrong" if "code" not in changed else SECRET, "The town"))
        try:
            url, asked = await ours.begin(BACK)
            answer = provider.authorize(url, **{name: value for name, value in changed.items() if value != "same"})
            secrets.extend([asked.nonce, asked.verifier, asked.state, *([answer["code"]] if "code" in answer else [])])
            await ours.finish(asked, answer)
        finally:
            await ours.close()

    with capture_logs() as told:
        with pytest.raises(ProviderUnproven):
            asyncio.run(work())  # the client's secret is wrong
        with pytest.raises(ProviderSaidNo):
            asyncio.run(work(code=None, error="access_denied"))
        with pytest.raises(TryOver):
            asyncio.run(work(code="same", state="x"))
        provider.claims = {"aud": "another"}
        with pytest.raises(ProviderUnproven):
            asyncio.run(work(code="same"))
    said = str(told)
    assert "invalid_client" in said
    assert "access_denied" in said
    assert "aud is somebody else" in said
    assert not [each for each in secrets if each in said]


def test_the_secret_goes_in_the_form_where_the_provider_takes_nothing_else(provider: HostileProvider) -> None:
    provider.document = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert len(sign_in(provider)) == 1


# --- keys of every kind


KEYS: dict[str, Any] = {
    "RS256": RSAKey.generate_key(2048),
    "PS256": RSAKey.generate_key(2048),
    "ES256": ECKey.generate_key("P-256"),
    "ES384": ECKey.generate_key("P-384"),
    "Ed25519": OKPKey.generate_key("Ed25519"),
}


def token_and_set(
    alg: str, *, published: list[dict[str, Any]] | None = None, **head: str
) -> tuple[str, dict[str, Any]]:
    key = KEYS[alg]
    now = int(time.time())
    claims = {"iss": "https://a.fr", "aud": CLIENT, "sub": "1", "nonce": "n", "iat": now, "exp": now + 60}
    token = jwt.encode({"alg": alg} | head, claims, key, algorithms=[alg])
    return token, {"keys": [key.as_dict(private=False)] if published is None else published}


def read(token: str, key_set: dict[str, Any]) -> Claims:
    return read_id_token(token, key_set, Expected("https://a.fr", CLIENT, "n", time.time()))


@pytest.mark.parametrize("alg", KEYS)
def test_a_public_key_of_each_kind_is_taken_among_others(alg: str) -> None:
    others: list[Any] = [
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {},
        7,
        KEYS["RS256"].as_dict(private=False) | {"use": "enc"},
        KEYS["ES256" if alg != "ES256" else "ES384"].as_dict(private=False),
    ]
    token, key_set = token_and_set(alg)
    assert read(token, {"keys": others + key_set["keys"]}).subject == "1"
    with pytest.raises(BadToken):
        read(token, {"keys": others})


@pytest.mark.parametrize("published", [None, 7, "x", {}, [], [[]], [None]], ids=str)
def test_a_set_without_keys_is_none(published: Any) -> None:
    token, _ = token_and_set("RS256")
    with pytest.raises(UnknownKey):
        read(token, {"keys": published})


def test_a_key_that_is_too_small_signs_nothing() -> None:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256
    from joserfc.util import int_to_base64, urlsafe_b64encode

    small = rsa.generate_private_key(65537, 1024)
    numbers = small.public_key().public_numbers()
    key_set = {"keys": [{"kty": "RSA", "n": int_to_base64(numbers.n), "e": int_to_base64(numbers.e)}]}
    signed = token_and_set("RS256")[0].rpartition(".")[0]
    signature = small.sign(signed.encode(), padding.PKCS1v15(), SHA256())
    with pytest.raises(UnknownKey):
        read(f"{signed}.{urlsafe_b64encode(signature).decode()}", key_set)


def test_an_algorithm_is_not_taken_with_a_key_of_another_kind() -> None:
    for head, keys in (("RS256", "ES256"), ("ES256", "RS256"), ("Ed25519", "ES256")):
        token, _ = token_and_set(head)
        with pytest.raises(BadToken):
            read(token, {"keys": [KEYS[keys].as_dict(private=False)]})


def test_a_long_chain_of_certificates_in_the_head_is_borne_and_not_read() -> None:
    token, key_set = token_and_set("RS256", x5t="x" * 3000)
    assert read(token, key_set).subject == "1"
