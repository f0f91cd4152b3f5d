"""Receipts over plain HTTP, from the real application: whose they are, what the file proves, what a temporary chat has."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commun.drafting.models import default_model_clause
from commun.ledger.cosignature import sign_checkpoint
from commun.ledger.keys import ED25519_COSIGNATURE, SignerKey
from commun.receipts.bundle import Bundle
from commun.receipts.sentences import filled
from commun.receipts.verification import Report, Trust, Verdict, verify
from fake_engine import FakeEngine
from founded import found_for_tests
from site_server import Site, serving

JSON = {"Accept": "application/json"}
SEAL = re.compile(r'href="(/receipt/[0-9a-f]{64})" data-seal')
ANSWER = re.compile(r'class="message answer" id="m-[\w-]+" data-id="([\w-]+)"')  # being written, or written by now
END = re.compile(r"event: end\ndata: (.*)\n")
LOGGED_S = 120
WITNESS = SignerKey("one.example.org", ED25519_COSIGNATURE, bytes(range(32)))
POLICY = f"witness one {WITNESS.verifier.text()}\nquorum one\n"


def adopted_engine() -> FakeEngine:
    """One that says of itself that it runs the model that the first charter names."""
    made, model = FakeEngine(), default_model_clause()
    made.info = replace(made.info, model=model.id, model_digest=model.digest)
    return made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("receipts") / "home", adopted_engine()) as running:
        yield running


def ending(client: httpx2.Client, answer_id: str) -> dict[str, Any]:
    found = END.search(client.get(f"/answers/{answer_id}/events").text)
    assert found
    return json.loads(found[1])


def seal_of(html: str) -> str:
    found = SEAL.search(html)
    assert found
    return found[1]


def asked(client: httpx2.Client) -> tuple[str, dict[str, Any]]:
    """The receipt's address and the last event of an answer that is kept."""
    main = client.post("/ask", data={"question": "Why?"}, headers=JSON).json()["main"]
    answer = ANSWER.search(main)
    assert answer
    data = ending(client, answer[1])
    return seal_of(data["seal"]), data


def asked_temporarily(client: httpx2.Client) -> tuple[str, dict[str, Any]]:
    html = client.post("/temporary", data={"question": "Why?"}, headers=JSON).json()["append"]
    answer = ANSWER.search(html)
    assert answer
    data = ending(client, answer[1])
    return seal_of(data["seal"]), data


def logged(client: httpx2.Client, address: str) -> None:
    """Waits until the ledger has taken it."""
    until = time.monotonic() + LOGGED_S
    while client.get(address, headers=JSON).json()["waiting"]:
        assert time.monotonic() < until
        time.sleep(0.05)


def until(client: httpx2.Client, address: str, said: str) -> str:
    """The panel, once it says that."""
    end = time.monotonic() + LOGGED_S
    while said not in (html := client.get(address, headers=JSON).json()["html"]):
        assert time.monotonic() < end, html
        time.sleep(0.05)
    return html


def trusting(site: Site, data: bytes) -> Report:
    """Verified by somebody who knows the charter by its name."""
    return verify(data, Trust(charter=site.app.state.services.charter.get().first_root))


def test_a_kept_answer_has_a_page_a_panel_and_a_file_that_verifies(site: Site, member: httpx2.Client) -> None:
    address, data = asked(member)
    assert "disclosed" not in data
    logged(member, address)
    page = member.get(address)
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert "Edition 1 of the charter" in page.text
    panel = member.get(address, headers=JSON)
    assert panel.headers["cache-control"] == "no-store"
    assert re.search(r'href="/ledger/entry/\d+"', panel.json()["html"])
    file = member.get(f"{address}/bundle")
    assert file.headers["content-type"] == "application/json"
    assert file.headers["cache-control"] == "no-store"
    name = address.removeprefix("/receipt/")[:8]
    assert file.headers["content-disposition"] == f'attachment; filename="answer-{name}.bundle.json"'
    report = trusting(site, file.content)
    assert report.verdict is not Verdict.REFUSED, report.detail
    assert [step.number for step in report.steps if step.missing] in ([], [7])
    assert Bundle.from_bytes(file.content).disclosed["answer_text"].value == site.engine.answer


def test_neither_page_nor_panel_holds_what_was_written(site: Site, member: httpx2.Client) -> None:
    address, _data = asked(member)
    for response in (member.get(address), member.get(address, headers=JSON)):
        assert site.engine.answer not in response.text
        assert "Why?" not in response.text


def test_the_file_can_be_had_without_what_was_written(site: Site, member: httpx2.Client) -> None:
    address, _data = asked(member)
    file = member.get(f"{address}/bundle?texts=no").content
    assert Bundle.from_bytes(file).disclosed == {}
    assert trusting(site, file).verdict is Verdict.PARTIAL


def test_a_receipt_is_its_owners_alone(member: httpx2.Client, stranger: httpx2.Client) -> None:
    address, _data = asked(member)
    for path in (address, f"{address}/bundle"):
        assert stranger.get(path).status_code == 404
    assert stranger.post(f"{address}/bundle", data={"disclosed": "{}"}).status_code == 401  # megabytes are for members


@pytest.mark.parametrize("receipt_id", ["0" * 64, "x", "0" * 63, "A" * 64, "..%2f" + "0" * 59])
def test_what_is_no_receipt_is_nothing(member: httpx2.Client, stranger: httpx2.Client, receipt_id: str) -> None:
    for client in (member, stranger):
        assert client.get(f"/receipt/{receipt_id}").status_code == 404
        assert client.get(f"/receipt/{receipt_id}/bundle").status_code == 404


def test_a_stored_conversation_shows_each_answers_seal(member: httpx2.Client) -> None:
    data = member.post("/ask", data={"question": "Again?"}, headers=JSON).json()
    ending(member, ANSWER.search(data["main"])[1])
    address = seal_of(member.get(data["url"]).text)
    page = member.get(address).text
    assert f'href="{data["url"]}?message=' in page


def test_with_its_conversation_a_receipt_is_gone(member: httpx2.Client) -> None:
    data = member.post("/ask", data={"question": "Delete me"}, headers=JSON).json()
    ending(member, ANSWER.search(data["main"])[1])
    address = seal_of(member.get(data["url"]).text)
    member.post(f"{data['url']}/delete")
    assert member.get(address).status_code == 404


def test_a_failed_answer_has_its_receipt(site: Site, member: httpx2.Client) -> None:
    site.engine.fail_after = 2
    try:
        address, data = asked(member)
    finally:
        site.engine.fail_after = None
    assert data["state"] == "failed"
    html = member.get(address, headers=JSON).json()["html"]
    assert "It failed" in html
    assert "error: engine_failed" in html


def test_a_temporary_chat_leaves_an_envelope_that_tells_nothing(
    site: Site, member: httpx2.Client, stranger: httpx2.Client
) -> None:
    address, data = asked_temporarily(member)
    assert data["disclosed"]["answer_text"]["value"] == site.engine.answer
    page = stranger.get(address)  # whoever has the id
    assert page.status_code == 200
    assert site.engine.answer not in page.text
    bare = stranger.get(f"{address}/bundle").content
    assert Bundle.from_bytes(bare).disclosed == {}
    assert site.engine.answer.encode() not in bare


def test_what_the_page_alone_has_makes_the_file_whole(site: Site, member: httpx2.Client) -> None:
    address, data = asked_temporarily(member)
    logged(member, address)
    whole = member.post(f"{address}/bundle", data={"disclosed": json.dumps(data["disclosed"])})
    assert whole.headers["content-disposition"].startswith("attachment")
    assert whole.headers["cache-control"] == "no-store"
    report = trusting(site, whole.content)
    assert report.verdict is not Verdict.REFUSED, report.detail
    assert [step.number for step in report.steps if step.missing] in ([], [7])
    bundle = json.loads(member.get(f"{address}/bundle").content)
    by_script = json.dumps({**bundle, "disclosed": data["disclosed"]}).encode()
    assert trusting(site, by_script).verdict is report.verdict


def test_what_is_not_the_receipts_is_refused(member: httpx2.Client) -> None:
    address, data = asked_temporarily(member)
    _other, others = asked_temporarily(member)
    changed = {**data["disclosed"], "answer_text": {**data["disclosed"]["answer_text"], "value": "Otherwise."}}
    for wrong in ("", "null", "[", "{}", json.dumps(others["disclosed"]), json.dumps(changed)):
        assert member.post(f"{address}/bundle", data={"disclosed": wrong}).status_code == 400, wrong[:80]


def test_without_scripts_a_temporary_page_offers_the_newest_proof_and_keeps_the_older_seals(
    site: Site, member: httpx2.Client
) -> None:
    from html import unescape

    first = member.post("/temporary", data={"question": "One"}).text
    history = unescape(re.search(r'name="history" value="([^"]*)"', first)[1])
    second = member.post("/temporary", data={"question": "Two", "history": history}).text
    assert len(set(SEAL.findall(second))) == 2
    assert second.count('name="disclosed"') == 1
    form = re.search(r'action="(/receipt/\w+/bundle)"><input type="hidden" name="disclosed" value="([^"]*)"', second)
    whole = member.post(form[1], data={"disclosed": unescape(form[2])}).content
    assert trusting(site, whole).verdict is not Verdict.REFUSED
    assert Path(form[1]).parent.as_posix() == SEAL.findall(second)[-1]


def test_who_witnessed_is_named_once_they_have(tmp_path: Path) -> None:
    home = tmp_path / "home"
    found_for_tests(home, {'policy = ""': f'policy = """\n{POLICY}"""'})
    with httpx2.Client(timeout=120, follow_redirects=True) as client:
        with serving(home, adopted_engine()) as site:
            client.base_url = site.url
            client.get(site.link())
            address, _data = asked(client)
            html = until(client, address, "Entry ")
            assert "The witnesses have not confirmed it yet." in html
            assert "Nothing about the ledger yet" in html
            log = site.app.state.services.recorder.log
            head = log.head.checkpoint
            line = sign_checkpoint(head, WITNESS, time=int(time.time()))
            assert log.add_signatures(head, [line])
        with serving(home, adopted_engine()) as site:
            client.base_url = site.url
            html = until(client, address, "Confirmed")
            assert "Confirmed by 1 of 1 witnesses: one." in html
            report = trusting(site, client.get(f"{address}/bundle").content)
            assert report.verdict is not Verdict.REFUSED, report.detail
            assert any("witnesses: one" in filled(each) for each in report.steps[6].proves)
