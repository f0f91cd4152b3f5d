"""Nonces over the page's own forms, by a program that has no scripts and by one that sends what scripts would."""

import re
import secrets
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx2
import pytest

from fake_engine import FakeEngine
from site_server import Site, serving

SEAL = re.compile(r'href="(/receipt/[0-9a-f]{64})"')
JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("nonces") / "home", FakeEngine("Because.")) as running:
        yield running


def asked(client: httpx2.Client, address: str = "/ask", **fields: str) -> tuple[httpx2.Response, str]:
    """The page with the answer, and its newest receipt's page as text."""
    response = client.post(address, data={"question": "Why?"} | fields)
    assert response.status_code == 200, response.text
    receipt = client.get(SEAL.findall(response.text)[-1]).text
    return response, unescape(re.sub(r"<[^>]+>", " ", receipt))


def test_a_page_without_scripts_is_answered_and_the_receipt_says_that_the_server_drew(member: httpx2.Client) -> None:
    for address in ("/ask", "/temporary"):
        _response, receipt = asked(member, address)
        assert "drawn by the server, because none came with the question" in receipt


def test_a_nonce_that_came_is_named_and_serves_once_and_nothing_is_stored_of_the_second(member: httpx2.Client) -> None:
    nonce = secrets.token_hex(32)
    response, receipt = asked(member, nonce=nonce)
    assert nonce in receipt
    assert "drawn by whoever asked: nobody else could choose the seed" in receipt
    before = member.get("/").text.count('href="/c/')
    for address in ("/ask", f"{response.url.path}/ask", "/temporary"):
        again = member.post(address, data={"question": "Why?", "nonce": nonce}, headers=JSON)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "nonce_used"), again.text
    assert member.get("/").text.count('href="/c/') == before
    assert member.get(response.url.path).text.count('class="message answer') == 1


@pytest.mark.parametrize("nonce", ["ab", "AB" * 32, "é" * 64, "ab" * 65])
def test_what_is_no_nonce_is_refused(member: httpx2.Client, nonce: str) -> None:
    for address in ("/ask", "/temporary"):
        assert member.post(address, data={"question": "Why?", "nonce": nonce}, headers=JSON).status_code == 400


def test_a_nonce_that_served_before_a_restart_is_remembered(tmp_path: Path) -> None:
    nonce = secrets.token_hex(32)
    statuses, cookies = [], httpx2.Cookies()
    for _ in range(2):
        with (
            serving(tmp_path / "home", FakeEngine("Because.")) as site,
            httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True, cookies=cookies) as client,
        ):
            if not statuses:
                client.get(site.link())
            statuses.append(client.post("/ask", data={"question": "Why?", "nonce": nonce}).status_code)
            cookies = client.cookies
    assert statuses == [200, 409]
