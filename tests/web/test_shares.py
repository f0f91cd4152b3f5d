"""Shared answers on a whole Commun: made by their owner alone, read by whoever has the link, ended for everybody."""

import contextlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update

from commun.drafting.models import default_model_clause
from commun.receipts.bundle import Bundle
from commun.receipts.verification import Trust, Verdict, verify
from commun.store.schema import shares as table
from commun.store.tokens import digest
from fake_engine import FakeEngine
from site_server import Site, serving

QUESTION = "canary-question-91f3 Why?"
ANSWER = "canary-answer-c07d **Because.** <script>alert(1)</script> ![x](https://evil.example/i.png)"
JSON = {"Accept": "application/json"}
OPEN = {"public_shares": True, "sign_in_rate_limit": "1000/minute"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("shares") / "home"
    engine, adopted = FakeEngine(ANSWER), default_model_clause()
    engine.info = replace(engine.info, model=adopted.id, model_digest=adopted.digest)
    with serving(home, engine, **OPEN) as running:
        yield running


@pytest.fixture(scope="module")
def member(site: Site) -> Iterator[httpx2.Client]:
    with signed_in(site) as client:
        yield client


@pytest.fixture
def stranger(site: Site) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site.url, timeout=120) as client:
        yield client


@contextlib.contextmanager
def signed_in(site: Site) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True) as client:
        assert client.get(site.link()).status_code == 200
        yield client


def services(site: Site) -> Any:
    return site.app.state.services


def asked(member: httpx2.Client) -> tuple[str, str]:
    """A conversation with one answer: its id, and its receipt's."""
    response = member.post("/ask", data={"question": QUESTION})
    (receipt,) = re.findall(r'href="/receipt/([0-9a-f]{64})"', response.text)
    return response.url.path.removeprefix("/c/"), receipt


def shared(member: httpx2.Client, receipt: str, **wishes: str) -> str:
    """The link's path."""
    response = member.post(f"/receipt/{receipt}/share", data={"days": "7", **wishes}, headers=JSON)
    assert response.status_code == 200, response.text
    (path,) = re.findall(r"http://[^/]+(/share/[\w-]+)<", response.json()["html"])
    return path


@pytest.fixture(scope="module")
def answer(member: httpx2.Client) -> tuple[str, str]:
    return asked(member)


def closed(response: httpx2.Response) -> bool:
    return response.status_code == 404 and "This link opens nothing" in response.text


# --- whether at all


def test_it_is_off_unless_whoever_runs_this_says_otherwise(tmp_path: Path) -> None:
    with serving(tmp_path / "home", FakeEngine("Because.")) as site, signed_in(site) as member:
        _conversation, receipt = asked(member)
        assert "Publish this answer" not in member.get(f"/receipt/{receipt}").text
        assert "Shared answers" not in member.get("/settings").text
        for response in (
            member.get(f"/receipt/{receipt}/share"),
            member.post(f"/receipt/{receipt}/share", data={"days": "7"}),
        ):
            assert response.status_code == 403
        assert closed(member.get("/share/anything"))


def test_switched_off_again_every_link_stops_at_once_and_can_still_be_withdrawn(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, FakeEngine("Because."), **OPEN) as site, signed_in(site) as member:
        path = shared(member, asked(member)[1])
        assert member.get(path).status_code == 200
        cookies = dict(member.cookies)
    with (
        serving(home, FakeEngine("Because.")) as site,
        httpx2.Client(base_url=site.url, cookies=cookies, follow_redirects=True) as member,
    ):
        assert closed(member.get(path))
        assert closed(member.get(f"{path}/bundle"))
        page = member.get("/settings").text
        assert "switched sharing off" in page
        (revoke,) = re.findall(r'action="(/settings/shares/\w+/revoke)"', page)
        assert member.post(revoke).status_code == 200
        assert "Shared answers" not in member.get("/settings").text


# --- what is shown


def test_the_answer_alone_is_shared_unless_its_owner_says_otherwise(member, stranger, answer) -> None:
    path = shared(member, answer[1])
    page = stranger.get(path)
    assert page.status_code == 200
    assert "canary-answer" in page.text
    assert "<strong>Because.</strong>" in page.text
    assert "canary-question" not in page.text
    bundle = stranger.get(f"{path}/bundle")
    assert b"canary-question" not in bundle.content
    disclosed = json.loads(bundle.content)["disclosed"]
    assert {name for name, value in disclosed.items() if value is not None} <= {"answer_text", "answer_token_ids"}


def test_the_conversation_goes_along_where_its_owner_says_so(member, stranger, answer) -> None:
    path = shared(member, answer[1], conversation="yes")
    assert "canary-question" in stranger.get(path).text
    disclosed = json.loads(stranger.get(f"{path}/bundle").content)["disclosed"]
    assert disclosed["prompt_messages"]["value"][-1] == {"role": "user", "content": QUESTION}


def test_the_title_is_in_neither(site: Site, member, stranger) -> None:
    conversation, receipt = asked(member)
    member.post(f"/c/{conversation}/rename", data={"title": "canary-title-77"})
    for wishes in ({}, {"conversation": "yes"}):
        path = shared(member, receipt, **wishes)
        for address in (path, f"{path}/bundle"):
            assert "canary-title" not in stranger.get(address).text


def test_what_the_model_wrote_is_harmless_there_too(member, stranger, answer) -> None:
    text = stranger.get(shared(member, answer[1])).text
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "https://evil.example/i.png" not in re.findall(r'\ssrc="([^"]*)"', text)


def test_its_proof_verifies_with_the_charter_and_the_ledger_put_in(site: Site, member, stranger, answer) -> None:
    path = shared(member, answer[1], conversation="yes")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        data = stranger.get(f"{path}/bundle").content
        if Bundle.from_bytes(data).ledger.receipt not in {None, "pending"}:
            break
        time.sleep(0.1)
    bundle = Bundle.from_bytes(data)
    first_root = services(site).charter.get().first_root
    report = verify(data, Trust(charter=first_root, keys=(bundle.key,)))
    assert report.verdict is not Verdict.REFUSED, report.detail
    assert bundle.charter is not None
    assert bundle.ledger.edition is not None
    assert re.search(r'href="/ledger/entry/\d+">Entry \d+ of the ledger', stranger.get(path).text)
    assert f"answer-{answer[1][:8]}.bundle.json" in stranger.get(f"{path}/bundle").headers["content-disposition"]


# --- for whom


def test_it_is_the_same_page_for_everybody_and_asks_not_to_be_kept(member, stranger, answer) -> None:
    path = shared(member, answer[1])
    for client in (member, stranger):
        response = client.get(path, headers={"Accept-Language": "en"})
        assert response.headers["x-robots-tag"] == "noindex, nofollow"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cache-control"] == "no-store"
        assert "set-cookie" not in response.headers
        assert "Cookie" not in response.headers["vary"]
        assert '<meta name="robots" content="noindex, nofollow">' in response.text
    first, second = (client.get(path, headers={"Accept-Language": "en"}).text for client in (member, stranger))
    assert first == second
    assert stranger.get(path, headers={"Accept-Language": "fr"}).headers["content-language"] == "fr"
    assert stranger.get(f"{path}?lang=fr").headers["content-language"] == "fr"


def test_nobody_shares_anothers_answer(site: Site, member, stranger, answer) -> None:
    """Ownership itself is the store's (tests/store); here: that every address asks it."""
    for receipt in (answer[1], "0" * 64, "x", "%00", answer[1].upper()):
        for response in (
            stranger.get(f"/receipt/{receipt}/share"),
            stranger.post(f"/receipt/{receipt}/share", data={"days": "7"}),
        ):
            assert response.status_code == 401, receipt
    for receipt in ("0" * 64, "x", answer[1].upper()):
        assert member.get(f"/receipt/{receipt}/share").status_code == 404
    assert stranger.post("/settings/shares/x/revoke").status_code == 401
    assert member.post("/settings/shares/x/revoke").status_code == 404


@pytest.mark.parametrize("days", ["", "0", "2", "31", "-1", "7.0", " 7", "7" * 40, "٧"])
def test_only_the_spans_that_are_offered(member, answer, days: str) -> None:
    assert member.post(f"/receipt/{answer[1]}/share", data={"days": days}).status_code == 400


def test_another_sites_page_cannot_publish_for_its_reader(member, answer) -> None:
    response = member.post(f"/receipt/{answer[1]}/share", data={"days": "7"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403


def test_an_answer_that_nobody_keeps_cannot_be_shared(site: Site, member) -> None:
    response = member.post("/temporary", data={"question": "Gone?", "history": "[]"})
    found = re.findall(r"/receipt/([0-9a-f]{64})", response.text)
    assert found
    assert member.get(f"/receipt/{found[0]}/share").status_code == 404


# --- until when


def test_every_link_that_opens_nothing_gets_one_and_the_same_page(site: Site, member, stranger, answer) -> None:
    expired, revoked, damaged = (shared(member, answer[1]) for _ in range(3))

    def change(path: str, **values: Any) -> None:
        statement = update(table).where(table.c.id == id_of(site, path)).values(values)
        site.run(services(site).database.write(lambda connection: connection.execute(statement)))

    assert member.post(f"/settings/shares/{id_of(site, revoked)}/revoke").status_code == 200
    change(expired, expires=1.0)
    change(damaged, sealed=b"\x05nothing")
    pages = {
        stranger.get(path).text.replace(path, "")
        for path in (expired, revoked, damaged, "/share/unknown", "/share/" + "A" * 43, "/share/" + "A" * 4000)
    }
    assert len(pages) == 1
    for path in (expired, revoked, damaged, "/share/unknown", "/share/%00", "/share/%e9"):
        response = stranger.get(path)
        assert closed(response)
        assert response.headers["x-robots-tag"] == "noindex, nofollow"
        assert closed(stranger.get(f"{path}/bundle"))


def id_of(site: Site, path: str) -> str:
    """Of the share whose link this is."""
    query = select(table.c.id).where(table.c.token_hash == digest(path.removeprefix("/share/")))
    return str(site.run(services(site).database.read(lambda connection: connection.execute(query).scalar_one())))


def test_it_ends_with_its_conversation(member, stranger) -> None:
    conversation, receipt = asked(member)
    path = shared(member, receipt)
    assert stranger.get(path).status_code == 200
    member.post(f"/c/{conversation}/delete")
    assert closed(stranger.get(path))
    member.post(f"/c/{conversation}/restore")
    assert stranger.get(path).status_code == 200


def test_its_owner_finds_it_in_the_settings_and_withdraws_it(site: Site, member, stranger) -> None:
    conversation, receipt = asked(member)
    path = shared(member, receipt)
    share_id = id_of(site, path)
    page = member.get("/settings").text
    assert f'action="/settings/shares/{share_id}/revoke"' in page
    assert f"/c/{conversation}?message=" in page
    assert path.removeprefix("/share/") not in page
    member.post(f"/settings/shares/{share_id}/revoke")
    assert closed(stranger.get(path))


def test_opening_links_is_bounded_and_locks_nobody_out_of_signing_in(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "home", FakeEngine(), public_shares=True, sign_in_rate_limit="3/minute") as site,
        httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True) as client,
    ):
        found = [client.get("/share/nothing") for _ in range(5)]
        assert [each.status_code for each in found] == [404, 404, 404, 429, 429]
        assert found[-1].headers["retry-after"].isdigit()
        assert "set-cookie" not in found[-1].headers
        assert client.get(site.link()).status_code == 200


def test_without_scripts_the_link_stands_on_a_page(member, answer) -> None:
    form = member.get(f"/receipt/{answer[1]}/share")
    assert form.status_code == 200
    assert f'action="/receipt/{answer[1]}/share"' in form.text
    made = member.post(f"/receipt/{answer[1]}/share", data={"days": "1"})
    assert re.search(r"http://[^<]+/share/[\w-]{43}<", made.text)
