"""A whole Commun answers, and whoever has the bundle verifies all of it: charter, model, texts, ledger."""

import asyncio
import hashlib
import json
import secrets
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from api.server import served
from commun.app import DATABASE_FILE, create_app
from commun.charter.loader import load
from commun.charter.repository import Repository
from commun.config import load_settings
from commun.ledger.entries import EpochStatement, ReceiptStatement
from commun.places import CHARTER_FOLDER, TRUST_FOLDER
from commun.receipts.bundle import PENDING
from commun.receipts.commitments import LOGPROB_UNITS, whole_logprobs
from commun.receipts.dsse import canonical_with_ascii_names
from commun.receipts.sentences import filled
from commun.receipts.verification import Report, Trust, Verdict, verify
from commun.store.accounts import Accounts
from commun.store.database import Database
from fake_engine import FakeEngine
from founded import found_for_tests

ANSWER = "The members who must be there: « le quorum »."
CHAT: dict[str, Any] = {"model": "default", "messages": [{"role": "user", "content": "Qu’est-ce qu’un quorum ?"}]}
IN_THE_LEDGER_S = 120


@dataclass
class Whole:
    url: str
    app: Starlette
    charter: str
    key: str
    other_key: str
    stranger: str

    def ask(self, **more: Any) -> httpx2.Response:
        return httpx2.post(f"{self.url}/v1/chat/completions", json=CHAT | more, headers=bearer(self.key), timeout=120)

    def get(self, receipt_id: str, *, key: str = "") -> httpx2.Response:
        return httpx2.get(f"{self.url}/v1/receipts/{receipt_id}", headers=bearer(key or self.key))

    def logged(self, receipt_id: str) -> Any:
        """Its bundle, once the ledger has it."""
        deadline = time.monotonic() + IN_THE_LEDGER_S
        while time.monotonic() < deadline:
            bundle = self.get(receipt_id).json()
            if bundle["ledger"]["receipt"] != PENDING:
                return bundle
            time.sleep(0.05)
        raise AssertionError("never in the ledger")

    def report(self, bundle: Any, *, policy: bool = True) -> Report:
        """By a reader who knows the charter, the receipt key and the ledger's key from elsewhere."""
        own = f"log {bundle['ledger']['key']}\nquorum none\n".encode() if policy else None
        return verify(json.dumps(bundle).encode(), Trust(charter=self.charter, keys=(bundle["key"],), policy=own))


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def prepared(home: Path) -> tuple[str, str]:
    database = Database(home / DATABASE_FILE)
    database.open()
    try:
        accounts = Accounts(database, session_days=1)
        account = (await accounts.redeem_link(await accounts.make_link())).viewer.account_id
        return await accounts.make_api_key(account, "one"), await accounts.make_api_key(account, "another")
    finally:
        database.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    home = tmp_path_factory.mktemp("whole") / "home"
    found_for_tests(home)
    in_force = load(Repository(home / CHARTER_FOLDER), home / TRUST_FOLDER, now=datetime.now(UTC))
    adopted = in_force.charter.models.get(in_force.charter.models.default)
    engine = FakeEngine(ANSWER)
    engine.info = replace(engine.info, model=adopted.id, model_digest=adopted.digest)
    keys = asyncio.run(prepared(home))
    app = create_app(load_settings(home=home), engine=engine)
    with served(app) as url:
        yield Whole(url, app, in_force.first_root, *keys, stranger="cm_nobody")


def is_ready(whole: Whole) -> bool:
    return httpx2.get(f"{whole.url}/readyz").status_code == 200


@pytest.fixture(autouse=True)
def _ready(whole: Whole) -> None:
    deadline = time.monotonic() + IN_THE_LEDGER_S
    while not is_ready(whole):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_proof_that_is_kept_now_is_whole_with_the_ledger_s_part_of_later(whole: Whole) -> None:
    told = whole.ask(receipt="bundle").json()["commun"]["receipt"]
    mine = told["bundle"]
    assert mine["ledger"]["receipt"] == PENDING
    assert whole.report(mine).verdict is Verdict.PARTIAL
    later = whole.logged(told["id"])
    assert set(later["disclosed"].values()) == {None}, "nobody else has the salts"
    completed = mine | {"ledger": later["ledger"], "charter": later["charter"]}
    report = whole.report(completed)
    assert report.verdict is Verdict.VERIFIED, report.detail
    assert completed["disclosed"]["answer_text"]["value"] == ANSWER


def test_a_stored_answer_s_bundle_is_whole_by_its_id_for_the_same_key_only(whole: Whole) -> None:
    told = whole.ask(store=True).json()["commun"]["receipt"]
    bundle = whole.logged(told["id"])
    assert whole.report(bundle).verdict is Verdict.VERIFIED
    assert bundle["disclosed"]["prompt_messages"]["value"][-1] == CHAT["messages"][0]
    assert whole.get(told["id"], key=whole.other_key).status_code == 404, "another key of the same account"
    assert whole.get(told["id"], key=whole.stranger).status_code == 401


@pytest.mark.parametrize("store", [False, True])
def test_a_streamed_answer_is_in_the_ledger_too(whole: Whole, store: bool) -> None:
    response = whole.ask(stream=True, store=store)
    assert "[DONE]" in response.text
    bundle = whole.logged(response.headers["commun-receipt"])
    assert whole.report(bundle).reason is None


def test_an_edited_answer_is_refused(whole: Whole) -> None:
    bundle = whole.ask(receipt="bundle").json()["commun"]["receipt"]["bundle"]
    bundle["disclosed"]["answer_text"]["value"] += " Not."
    report = whole.report(bundle)
    assert (report.verdict, str(report.reason)) == (Verdict.REFUSED, "commitment-mismatch")


def test_the_seed_s_epoch_was_in_the_ledger_before(whole: Whole) -> None:
    bundle = whole.logged(whole.ask().headers["commun-receipt"])
    statement = whole.report(bundle).statement
    assert statement is not None
    assert (statement.seed.scheme.value, statement.seed.nonce_by) == ("derived/2", "server")
    log = whole.app.state.services.recorder.log
    entries = [log.entry(position) for position in range(log.head.size)]
    opened = entries.index(EpochStatement(statement.seed.epoch).data())
    assert opened < entries.index(ReceiptStatement(hashlib.sha256(bundle["envelope"].encode()).hexdigest()).data())
    assert (b64decode(bundle["seed"]["opened"]["entry"]), bundle["seed"]["secret"]) == (entries[opened], None)
    said = [filled(sentence) for step in whole.report(bundle).steps for sentence in step.proves]
    assert "The seed follows from a salt and a nonce; the server drew both." in said
    before = f"The digest of the secret that the salt comes from is entry {opened}, before the receipt."
    assert before in said


@pytest.mark.parametrize("way", ["field", "header"])
def test_a_callers_nonce_gives_the_seed_and_serves_once(whole: Whole, way: str) -> None:
    nonce = secrets.token_hex(16)
    field = {"commun": {"nonce": nonce}} if way == "field" else {}
    header = {"commun-nonce": nonce} if way == "header" else {}
    body = {"model": "default", "messages": [{"role": "user", "content": "Why?"}], "receipt": "bundle"} | field
    first, second = (
        httpx2.post(f"{whole.url}/v1/chat/completions", json=body, headers=bearer(whole.key) | header, timeout=120)
        for _ in range(2)
    )
    statement = whole.report(first.json()["commun"]["receipt"]["bundle"]).statement
    assert statement is not None
    assert (statement.seed.nonce, statement.seed.nonce_by) == (nonce, "caller")
    assert statement.receipt == first.headers["commun-receipt"]
    assert (second.status_code, second.json()["error"]["code"]) == (409, "nonce_used")
    assert "commun-receipt" not in second.headers


def test_each_of_several_prompts_has_a_nonce_of_its_own(whole: Whole) -> None:
    nonce = secrets.token_bytes(32)
    body = {"model": "default", "prompt": ["one", "two"], "receipt": "bundle", "commun": {"nonce": nonce.hex()}}
    answer = httpx2.post(f"{whole.url}/v1/completions", json=body, headers=bearer(whole.key), timeout=120).json()
    seeds = [whole.report(told["bundle"]).statement.seed for told in answer["commun"]["receipts"]]
    wanted = [hashlib.sha256(b"commun-nonce/1\n" + nonce + bytes([0, 0, 0, place])).hexdigest() for place in range(2)]
    assert [(seed.nonce, seed.nonce_by) for seed in seeds] == [(each, "caller") for each in wanted]
    assert answer["commun"]["seed"] is None


@pytest.mark.parametrize("body", [{"prompt": "Once upon"}, {"prompt": ["one", "two"]}, {"prompt": [1, 2, 3]}])
def test_texts_that_are_continued_are_in_the_ledger(whole: Whole, body: dict[str, Any]) -> None:
    whole.ask()  # so that the scripted engine has words for the ids
    asked = {"model": "default", "receipt": "bundle"} | body
    response = httpx2.post(f"{whole.url}/v1/completions", json=asked, headers=bearer(whole.key), timeout=120)
    for told in response.json()["commun"]["receipts"]:
        later = whole.logged(told["id"])
        report = whole.report(told["bundle"] | {"ledger": later["ledger"]})
        assert report.verdict is Verdict.VERIFIED, report.detail


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.recursive(
        st.dictionaries(
            st.text(st.characters(codec="ascii")),
            TEXTS | st.integers(-(2**53) + 1, 2**53 - 1) | st.booleans() | st.none(),
        ),
        lambda inner: st.dictionaries(st.text(st.characters(codec="ascii")), inner | st.lists(inner)),
    )
)
def test_what_is_signed_is_written_as_rfc_8785_has_it(value: dict[str, Any]) -> None:
    assert canonical_with_ascii_names(value) == rfc8785.dumps(value)


def in_units(decimal: Callable[[float], float], value: float) -> int:
    return round(decimal(value) * LOGPROB_UNITS)


@given(st.floats(-1e8, 1e8), st.integers(-(10**12), 10**12))
def test_a_log_probability_is_rounded_as_its_decimal_writing_is(value: float, half: int) -> None:
    for one in (value, (half + 0.5) / LOGPROB_UNITS, half / LOGPROB_UNITS):
        (whole_number,) = whole_logprobs([one])
        assert whole_number == in_units(lambda given: round(given, 7), one)
        assert whole_number / LOGPROB_UNITS == round(one, 7)
