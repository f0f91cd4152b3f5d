"""Answers that are kept for an audit: only of who agreed, only what the draw chose, and gone when they must be."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import insert

from commun.audit.drawn import is_drawn, share_drawn
from commun.errors import VaultLocked
from commun.ledger.entries import RetentionStatement
from commun.receipts.bundle import Bundle
from commun.receipts.dsse import envelope_digest
from commun.receipts.statement import Scheme, Seed
from commun.store.audit_samples import KEPT_S, AuditSamples
from commun.store.conversations import Conversations, MessageState
from commun.store.people import Viewer
from commun.store.schema import epochs
from commun.store.vault import AccountKey
from made_receipt import CONTENT, made_receipt
from opened_store import open_store

KEY = AccountKey.generate()
ALL = Decimal(1)
ENTRY = RetentionStatement(1, 0, 30, "2026-11-22T06:00:00Z").data()


class Kept:
    """A store that keeps answers for audits."""

    def __init__(self, store) -> None:
        self.store = store
        self.samples = AuditSamples(store.database, lambda: KEY.public, now=store.clock)
        self.conversations = Conversations(store.database, samples=self.samples, now=store.clock)
        self.secret = secrets.token_bytes(32)

    async def open_epoch(self) -> None:
        row = {"sha256": sha256(self.secret).hexdigest(), "secret": self.secret, "opened": 0.0, "position": 1}
        await self.store.database.write(lambda connection: connection.execute(insert(epochs), row))

    def receipt(self, turn_id: str, rate: Decimal):
        seed = Seed(Scheme.DERIVED_BEFORE, 7, epoch=sha256(self.secret).hexdigest(), salt="ab" * 32)
        return replace(made_receipt(turn_id, seed=seed), sample_rate=rate)

    async def answer(self, viewer: Viewer, rate: Decimal = ALL):
        """A whole turn of the page; returns it and its receipt."""
        turn = await self.conversations.start_turn(
            viewer, conversation_id=None, parent_id=None, question="Why?", title="T"
        )
        receipt = self.receipt(turn.answer_id, rate)
        await turn.keep(CONTENT, MessageState.COMPLETE, receipt)
        return turn, receipt

    async def ids(self) -> set[str]:
        return {sample.receipt_id for sample in await self.samples.list(KEY.public)}


@pytest.fixture
def kept(store, run) -> Kept:
    made = Kept(store)
    run(made.open_epoch())
    return made


def test_nobody_who_did_not_say_yes_has_anything_kept(kept, run):
    async def scenario():
        founder, other = await kept.store.founder(), await kept.store.somebody_else()
        await kept.samples.decide(other, agrees=True)
        await kept.answer(founder)
        assert await kept.ids() == set()
        _turn, receipt = await kept.answer(other)
        assert await kept.ids() == {receipt.statement.receipt}
        assert await kept.samples.count() == 1

    run(scenario())


def test_what_is_kept_is_the_bundle_and_opens_with_the_audit_key_alone(kept, run):
    async def scenario():
        viewer = await kept.store.founder()
        await kept.samples.decide(viewer, agrees=True)
        _turn, receipt = await kept.answer(viewer)
        (sample,) = await kept.samples.list(KEY.public)
        assert sample.opens
        bundle = Bundle.from_bytes(await kept.samples.open(KEY, sample.receipt_id))
        assert bundle.envelope == receipt.envelope
        assert bundle.disclosed["answer_text"].value == "Because."
        assert bundle.disclosed["prompt_messages"].value == receipt.values.prompt_messages
        other = AccountKey.generate()
        (closed,) = await kept.samples.list(other.public)
        assert not closed.opens
        assert await kept.samples.open(other, sample.receipt_id) is None
        await kept.store.database.forget()
        for path in kept.store.home.rglob("*"):
            assert not path.is_file() or b"You answer briefly" not in path.read_bytes()

    run(scenario())


def test_the_draw_decides_and_everybody_can_make_it_again(kept, run):
    async def scenario():
        viewer = await kept.store.founder()
        await kept.samples.decide(viewer, agrees=True)
        rate, expected = Decimal("0.3"), set()
        for _ in range(60):
            _turn, receipt = await kept.answer(viewer, rate)
            if is_drawn(bytes.fromhex(envelope_digest(receipt.envelope)), kept.secret, rate):
                expected.add(receipt.statement.receipt)
        assert await kept.ids() == expected
        assert 5 <= len(expected) <= 33  # 18 expected: outside in one of a hundred thousand runs

    run(scenario())


def test_the_draw_is_the_one_that_the_specification_describes():
    digest, secret = bytes(range(32)), bytes(32)
    hashed = sha256(b"commun-audit-sample/1\n" + digest + secret).digest()
    share = share_drawn(digest, secret)
    assert share * 2**64 == int.from_bytes(hashed[:8], "big")
    assert is_drawn(digest, secret, Decimal(1))
    assert not is_drawn(digest, secret, Decimal(0))


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_rate": Decimal(0)},
        {"statement": replace(made_receipt("x").statement, seed=Seed(Scheme.CALLER, 7))},
        {"values": replace(made_receipt("x").values, answer_token_ids=None)},
    ],
    ids=["the charter draws none", "the seed is of no epoch", "no token could be compared"],
)
def test_what_cannot_be_drawn_or_audited_is_not_kept(kept, run, changes):
    async def scenario():
        viewer = await kept.store.founder()
        await kept.samples.decide(viewer, agrees=True)
        turn = await kept.conversations.start_turn(
            viewer, conversation_id=None, parent_id=None, question="Why?", title="T"
        )
        receipt = kept.receipt(turn.answer_id, ALL)
        if "statement" in changes:
            statement = replace(receipt.statement, seed=changes["statement"].seed)
            receipt = replace(receipt, statement=statement)
        else:
            receipt = replace(receipt, **changes)
        await turn.keep(CONTENT, MessageState.COMPLETE, receipt)
        assert await kept.ids() == set()

    run(scenario())


def test_an_answer_of_the_api_is_kept_too(kept, run):
    async def scenario():
        viewer = await kept.store.founder()
        await kept.samples.decide(viewer, agrees=True)
        token = await kept.store.accounts.make_api_key(viewer.account_id, "k")
        caller = await kept.store.accounts.caller(token)
        receipt = kept.receipt("t" * 22, ALL)
        await kept.conversations.record_turn(
            caller, title="T", question=[{"role": "user", "text": "Q"}], answer=CONTENT, receipt=receipt,
            answer_id="t" * 22, token=token,
        )  # fmt: skip
        assert await kept.ids() == {receipt.statement.receipt}

    run(scenario())


def test_taking_the_yes_back_erases_one_s_own_and_nobody_else_s(kept, run):
    async def scenario():
        founder, other = await kept.store.founder(), await kept.store.somebody_else()
        for viewer in (founder, other):
            await kept.samples.decide(viewer, agrees=True)
        await kept.answer(founder)
        _turn, others = await kept.answer(other)
        before = await kept.store.database.read(
            lambda connection: connection.exec_driver_sql("SELECT sealed FROM audit_samples").scalars().all()
        )
        await kept.samples.decide(founder, agrees=False)
        assert await kept.ids() == {others.statement.receipt}
        consent = await kept.samples.consent(founder)
        assert (consent.asked, consent.agrees) == (True, False)
        await kept.answer(founder)
        assert await kept.ids() == {others.statement.receipt}
        files = [path.read_bytes() for path in kept.store.home.rglob("*") if path.is_file()]
        found = [sum(sealed[100:160] in data for data in files) for sealed in before]
        assert sorted(bool(one) for one in found) == [False, True], "what was erased is in no file any more"

    run(scenario())


def test_a_locked_vault_decides_nothing(kept, run):
    async def scenario():
        viewer = replace(await kept.store.founder(), key=None)
        with pytest.raises(VaultLocked):
            await kept.samples.decide(viewer, agrees=True)
        assert not (await kept.samples.consent(viewer)).asked

    run(scenario())


def test_it_goes_with_its_conversation_at_once(kept, run):
    async def scenario():
        viewer = await kept.store.founder()
        await kept.samples.decide(viewer, agrees=True)
        gone, _receipt = await kept.answer(viewer)
        _turn, stays = await kept.answer(viewer)
        await kept.conversations.delete(viewer, gone.conversation_id)
        assert await kept.ids() == {stays.statement.receipt}
        await kept.conversations.restore(viewer, gone.conversation_id)
        assert await kept.ids() == {stays.statement.receipt}
        kept.store.clock.offset = 100.0
        assert await kept.conversations.purge_old(older_than_s=50) == 2
        assert await kept.ids() == set()

    run(scenario())


def test_after_seven_days_nothing_of_it_is_left_but_that_it_was_not_audited(kept, run):
    async def scenario():
        viewer = await kept.store.founder()
        await kept.samples.decide(viewer, agrees=True)
        _turn, receipt = await kept.answer(viewer)
        kept.store.clock.offset = KEPT_S - 60
        assert await kept.samples.erase_old() == 0
        kept.store.clock.offset = KEPT_S + 60
        assert await kept.samples.erase_old() == 1
        (sample,) = await kept.samples.list(KEY.public)
        assert (sample.receipt_id, sample.opens) == (receipt.statement.receipt, False)
        assert await kept.samples.open(KEY, sample.receipt_id) is None
        assert await kept.samples.count() == 0

    run(scenario())


def test_a_result_erases_what_it_is_of_and_waits_for_the_ledger_with_it(kept, run):
    async def scenario():
        from commun.store.ledger_entries import LedgerEntries

        viewer = await kept.store.founder()
        await kept.samples.decide(viewer, agrees=True)
        _turn, first = await kept.answer(viewer)
        _turn, second = await kept.answer(viewer)
        await kept.samples.conclude([first.statement.receipt], ENTRY)
        assert await kept.ids() == {second.statement.receipt}
        waiting = await LedgerEntries(kept.store.database).waiting(10)
        assert [entry for _name, entry in waiting] == [ENTRY]

    run(scenario())


def test_a_key_that_fails_costs_no_answer(store, run):
    async def scenario():
        def broken():
            raise OSError

        kept = Kept(store)
        await kept.open_epoch()
        kept.samples = AuditSamples(store.database, broken, now=store.clock)
        kept.conversations = Conversations(store.database, samples=kept.samples, now=store.clock)
        viewer = await store.founder()
        await kept.samples.decide(viewer, agrees=True)
        turn, _receipt = await kept.answer(viewer)
        found = await kept.conversations.get(viewer, turn.conversation_id)
        assert found.messages[turn.answer_id].state is MessageState.COMPLETE
        assert await kept.ids() == set()

    run(scenario())


def test_a_killed_process_has_kept_answer_and_sample_or_neither(tmp_path):
    """Five times, at random moments: each answer that was said to be kept has its sample, each sample its answer."""
    store = open_store(tmp_path)
    kept = Kept(store)

    async def prepare() -> str:
        await kept.open_epoch()
        signed_in = await store.sign_in()
        await kept.samples.decide(signed_in.viewer, agrees=True)
        return signed_in.token

    token = asyncio.run(prepare())
    store.database.close()
    said: list[str] = []
    for round_ in range(5):
        here = Path(__file__)
        child = subprocess.Popen(
            [sys.executable, here, tmp_path, token, kept.secret.hex()],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join((str(here.parent), str(here.parents[1])))},
        )
        with child, child.stdout as lines:
            text = lines.readline().decode()  # it is at work
            time.sleep(0.01 + 0.02 * round_)
            child.kill()
            text += lines.read().decode()
        assert child.returncode == -signal.SIGKILL, "only a kill may end it"
        said += [json.loads(line) for line in text.splitlines() if line.endswith('"')]
    assert len(said) >= 5
    again = open_store(tmp_path)
    both = asyncio.run(_receipts_and_samples(again))
    again.database.close()
    assert both[0] == both[1]
    assert set(said) <= both[0]


def _write_until_killed(home: Path, token: str, secret: bytes) -> None:
    store = open_store(home)
    kept = Kept(store)
    kept.secret = secret

    async def main() -> None:
        viewer = await store.accounts.viewer(token)
        while True:
            _turn, receipt = await kept.answer(viewer)
            os.write(sys.stdout.fileno(), f"{json.dumps(receipt.statement.receipt)}\n".encode())

    asyncio.run(main())


async def _receipts_and_samples(store) -> tuple[set[str], set[str]]:
    async def ids(query: str) -> set[str]:
        return set(await store.database.read(lambda one: one.exec_driver_sql(query).scalars().all()))

    return await ids("SELECT id FROM receipts"), await ids("SELECT receipt_id FROM audit_samples")


if __name__ == "__main__":
    _write_until_killed(Path(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.argv[3]))
