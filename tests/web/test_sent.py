"""Sending one answer to the administrators, on a whole Commun: what is shown is what goes, and to nobody else."""

import contextlib
import io
import itertools
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update

from commun.authority import Who
from commun.drafting.models import default_model_clause
from commun.receipts.bundle import Bundle
from commun.receipts.statement import Statement
from commun.store.schema import sent_answers
from commun.store.sent import DAY_S
from commun.upkeep import purge
from commun.web.sent import brief
from fake_engine import FakeEngine
from inhabitants import JSON, Person, inhabitant
from site_server import Site, serving

FIRST = "canary-first-70a4 What came first?"
QUESTION = "canary-question-55d1 <i>Why</i>?"
ANSWER = "canary-answer-19c8 **Because.** <script>alert(1)</script>"
REMARK = "canary-remark-e2b7"


@dataclass
class Town:
    site: Site
    member: Person
    ada: Person
    bea: Person
    receipt: str
    answer_url: str


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    engine, adopted = FakeEngine(ANSWER), default_model_clause()
    engine.info = replace(engine.info, model=adopted.id, model_digest=adopted.digest)
    with serving(tmp_path_factory.mktemp("sent") / "home", engine) as site:
        ada, bea = (inhabitant(site, Who.ADMINISTRATOR, name=name) for name in ("Ada", "Bea"))
        member = inhabitant(site, name="Cem")
        conversation, _first = member.ask(FIRST)
        with member.browser() as client:
            parent = re.search(r'name="parent" value="(\w+)"', client.get(f"/c/{conversation}").text)
            assert parent
            asked = {"question": QUESTION, "parent": parent[1]}
            seen = client.post(f"/c/{conversation}/ask", data=asked).headers["location"]
        yield Town(site, member, ada, bea, site.receipt_of(seen.rpartition("m-")[2]), seen)


@pytest.fixture(autouse=True)
def counted_anew(town: Town) -> None:
    if hasattr(town.site.app.state, "sent_limits"):
        del town.site.app.state.sent_limits


def send(town: Town, *, who: Person | None = None, **wishes: Any) -> httpx2.Response:
    """As the page's own form, with ``wishes`` changed in it; None leaves a field out."""
    with (who or town.member).browser() as client:
        page = client.get(f"/receipt/{town.receipt}/send").text
        to = re.findall(r'name="to" value="(\w+)"', page)
        form = {"to": to, "named": "yes", "receipt": "yes", "thumb": "down", "remark": REMARK} | wishes
        data = {name: value for name, value in form.items() if value is not None}
        return client.post(f"/receipt/{town.receipt}/send", data=data, headers=JSON)


def listed(who: Person) -> list[str]:
    """Ids in the order of the list, of all its pages: those of one day stand in no order of theirs."""
    ids: list[str] = []
    with who.browser() as client:
        for number in itertools.count(1):
            page = client.get(f"/sent?page={number}").text
            ids += re.findall(r'<a href="/sent/(\w+)"', page)
            if 'rel="next"' not in page:
                return ids
    raise AssertionError


def sent_one(town: Town, **wishes: Any) -> str:
    before = set(listed(town.ada))
    ended = send(town, **wishes)
    assert ended.status_code == 303, ended.text
    (new,) = set(listed(town.ada)) - before
    return new


def test_the_page_shows_what_goes_and_to_whom(town: Town) -> None:
    with town.member.browser() as client:
        page = client.get(f"/receipt/{town.receipt}/send").text
    assert "Ada, Bea" in page
    assert "canary-question-55d1 &lt;i&gt;Why&lt;/i&gt;?" in page
    assert "canary-answer-19c8 <strong>Because.</strong>" in page
    assert "<script>alert" not in page
    assert "nobody who becomes an administrator later" in page
    assert len(re.findall(r'name="to"', page)) == 2
    assert re.search(r'name="receipt" value="yes" checked', page)
    assert re.search(r'name="before" value="yes"><', page), "earlier turns are not ticked"


def test_an_administrator_reads_what_was_sent_and_no_more(town: Town) -> None:
    sent_id = sent_one(town, reason=["untrue", "language"])
    with town.ada.browser() as client:
        page = client.get(f"/sent/{sent_id}").text
        bundle = Bundle.from_bytes(client.get(f"/sent/{sent_id}/bundle").content)
    assert "canary-question-55d1 &lt;i&gt;Why&lt;/i&gt;?" in page
    assert "canary-answer-19c8 <strong>Because.</strong>" in page
    assert REMARK in page
    assert "Cem" in page
    assert "It is not true" in page
    assert "It is in the wrong language" in page
    assert "canary-first" not in page
    assert "without what the model read before it, it is not proven" in page
    assert set(bundle.disclosed) == {"answer_text", "answer_token_ids"}
    assert bundle.disclosed["answer_text"].value == ANSWER
    assert Statement.from_envelope(bundle.envelope).receipt == town.receipt
    assert bundle.charter is not None, "the file is completed with the charter when it is read"


def test_earlier_turns_go_along_only_if_that_is_ticked(town: Town) -> None:
    sent_id = sent_one(town, before="yes")
    with town.bea.browser() as client:
        page = client.get(f"/sent/{sent_id}").text
        bundle = Bundle.from_bytes(client.get(f"/sent/{sent_id}/bundle").content)
    assert FIRST in page
    assert "The proof covers the answer, the question and what the model read before it." in page
    assert bundle.disclosed["prompt_messages"].value[-1] == ("user", QUESTION)


def test_without_its_receipt_nothing_of_it_leads_to_the_account(town: Town) -> None:
    sent_id = sent_one(town, named="no", receipt=None)
    with town.ada.browser() as client:
        page = client.get(f"/sent/{sent_id}").text
        assert client.get(f"/sent/{sent_id}/bundle").status_code == 404
    assert "Sent without a name" in page
    assert "Cem" not in page
    assert town.receipt not in page
    with town.member.browser() as client:
        assert f"/settings/sent/{sent_id}" not in client.get("/settings").text
        assert client.post(f"/settings/sent/{sent_id}/withdraw").status_code == 404
    other = sent_one(town, named="no")
    with town.ada.browser() as client:
        assert client.get(f"/sent/{other}/bundle").status_code == 200, "with the receipt, if its sender says so"


def test_the_sender_sees_it_in_the_settings_and_in_the_export_and_withdraws_it(town: Town) -> None:
    sent_id = sent_one(town)
    with town.member.browser() as client:
        settings = client.get("/settings").text
        assert REMARK in settings
        with zipfile.ZipFile(io.BytesIO(client.get("/settings/export").content)) as archive:
            exported = json.loads(archive.read(f"sent/{sent_id}.json"))
            account = json.loads(archive.read("account.json"))
        assert (exported["question"], exported["answer"]) == (QUESTION, ANSWER)
        assert exported["opinion"]["remark"] == REMARK
        assert sent_id in {row["id"] for row in account["tables"]["sent_answers"]}
        assert client.post(f"/settings/sent/{sent_id}/withdraw").headers["location"] == "/settings#sent"
        assert f"/settings/sent/{sent_id}" not in client.get("/settings").text
    assert sent_id not in listed(town.ada)
    with town.ada.browser() as client:
        assert client.get(f"/sent/{sent_id}").status_code == 404


def test_it_is_marked_done_opened_again_and_deleted_for_everybody(town: Town) -> None:
    first, second = sent_one(town), sent_one(town)
    with town.ada.browser() as ada:
        for done in ("yes", "no", "yes"):
            assert ada.post(f"/sent/{first}/state", data={"done": done}).status_code == 303
        assert ada.post(f"/sent/{first}/state", data={"done": "perhaps"}).status_code == 400
        order = listed(town.bea)
        assert order.index(second) < order.index(first), "the open ones come first"
        with town.member.browser() as member:
            assert "done since" in member.get("/settings").text
        assert ada.post(f"/sent/{first}/delete").status_code == 303
    assert first not in listed(town.bea)
    assert second in listed(town.bea)


def test_the_list_has_pages_and_opens_no_letter_whole(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [sent_one(town), sent_one(town)]
    every = listed(town.ada)
    monkeypatch.setattr("commun.web.sent.PAGE", len(every) - 1)
    with town.ada.browser() as client:
        newest = client.get("/sent").text
        assert re.findall(r'<a href="/sent/(\w+)"', newest) == every[:-1]
        assert 'rel="next"' in newest
        second = client.get("/sent?page=2").text
        assert re.findall(r'<a href="/sent/(\w+)"', second) == every[-1:]
        assert 'rel="prev"' in second
        assert 'rel="next"' not in second
        assert client.get("/sent?page=x").status_code == 200
        whole = client.get(f"/sent/{ids[0]}").text
    assert "canary-answer-19c8" in whole
    viewer = town.site.run(town.site.app.state.services.accounts.viewer(town.ada.token))
    kept = town.site.run(town.site.app.state.services.sent.list(viewer, brief=brief))
    assert [each.id for each in kept] == every
    assert all(b"canary-question" in each.content and b"canary-answer" not in each.content for each in kept)


def test_who_became_an_administrator_since_is_told_that_there_is_more_and_nothing_of_it(town: Town) -> None:
    sent_id = sent_one(town)
    later = inhabitant(town.site, Who.ADMINISTRATOR)
    try:
        with later.browser() as client:
            page = client.get("/sent").text
            assert "not sealed to you" in page
            assert "canary" not in page
            theirs = client.get(f"/sent/{sent_id}", headers=JSON)
            assert (theirs.status_code, theirs.text) == (404, client.get(f"/sent/{'0' * 24}", headers=JSON).text)
    finally:
        town.site.run(town.site.app.state.services.administration.disable(later.account_id))


def test_it_goes_to_those_alone_whom_the_page_named(town: Town) -> None:
    sent_id = sent_one(town, to=[town.ada.account_id, town.member.account_id])
    assert sent_id not in listed(town.bea)
    assert send(town, to=[town.member.account_id]).status_code == 409
    assert send(town, named="perhaps").status_code == 400
    assert send(town, thumb="sideways").status_code == 400


def test_only_ones_own_answer_and_only_so_many_a_day(town: Town) -> None:
    with town.ada.browser() as client:
        theirs = client.get(f"/receipt/{town.receipt}/send", headers=JSON)
        assert (theirs.status_code, theirs.text) == (404, client.get(f"/receipt/{'0' * 64}/send", headers=JSON).text)
        assert client.post(f"/receipt/{town.receipt}/send", data={"named": "yes"}).status_code == 404
    statuses = [send(town, to=[town.ada.account_id]).status_code for _ in range(11)]
    assert statuses == [303] * 10 + [429]


def test_upkeep_ends_what_is_old(town: Town) -> None:
    old, new = sent_one(town), sent_one(town)
    services = town.site.app.state.services
    long_ago = update(sent_answers).where(sent_answers.c.id == old).values(created=sent_answers.c.created - 90 * DAY_S)
    town.site.run(services.database.write(lambda connection: connection.execute(long_ago).rowcount))
    town.site.run(purge(services))
    assert old not in listed(town.ada)
    assert new in listed(town.ada)


def test_what_a_reader_kept_in_the_log_goes_in_the_next_run_of_upkeep(town: Town) -> None:
    sent_id = sent_one(town)
    database = town.site.app.state.services.database
    row = select(sent_answers.c.sealed).where(sent_answers.c.id == sent_id)
    sealed = town.site.run(database.read(lambda connection: connection.execute(row).scalar_one()))[:64]

    def files() -> list[str]:
        return [path.name for path in database.path.parent.glob("commun.db*") if sealed in path.read_bytes()]

    with contextlib.closing(sqlite3.connect(database.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM sent_answers").fetchone()
        with town.ada.browser() as client:
            assert client.post(f"/sent/{sent_id}/delete").status_code == 303
        assert files(), "else the line below would prove nothing"
    town.site.run(purge(town.site.app.state.services))
    assert files() == []


def test_the_form_that_says_why_leads_on_to_sending(town: Town) -> None:
    conversation, message = re.fullmatch(r"/c/(\w+)#m-(\w+)", town.answer_url).groups()  # type: ignore[union-attr]
    said = {"message": message, "whole": "yes", "thumb": "down", "reason": "harmful", "remark": "kept " + REMARK}
    with town.member.browser() as client:
        assert 'name="send"' in client.get(f"/c/{conversation}/feedback?message={message}").text
        onward = client.post(f"/c/{conversation}/feedback", data=said | {"send": "yes"})
        assert onward.headers["location"] == f"/receipt/{town.receipt}/send"
        page = client.get(onward.headers["location"]).text
    assert f"kept {REMARK}</textarea>" in page
    assert re.findall(r'value="(\w+)" checked', page) == ["down", "harmful", "yes", "yes"]
