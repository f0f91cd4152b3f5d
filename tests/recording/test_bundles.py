"""What was stored becomes a file that anybody verifies: with the charter pinned, and nothing else to trust."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from recorded import office

from commun.ledger.cosignature import sign_checkpoint
from commun.ledger.keys import ED25519_COSIGNATURE, SignerKey
from commun.places import CHARTER_FOLDER
from commun.receipts.bundle import PENDING, Bundle
from commun.receipts.seeds import derived_receipt_id
from commun.receipts.statement import CharterUsed, ContextUsed, EngineUsed, Sampler
from commun.receipts.verification import Trust, Verdict, verify
from commun.recording.bundles import Bundles
from commun.store.conversations import MessageState
from founded import amend_for_tests, found_for_tests
from made_receipt import CONTENT, SIGNER, VALUES, made_receipt

WITNESS = SignerKey("witness.example.org", ED25519_COSIGNATURE, hashlib.sha256(b"not a secret: a witness").digest())
POLICY = f"witness one {WITNESS.verifier.text()}\nquorum one\n"
WITH_WITNESS = {'policy = ""': f'policy = """\n{POLICY}"""'}


def bundles_of(one):
    return Bundles(one.recorder, one.entries, one.receipts, charter_folder=one.home / CHARTER_FOLDER)


def receipt_under(one, turn_id):
    """As the assistant makes it, of an answer under the charter in force."""
    held = one.in_force()
    charter = held.charter
    model = charter.models.get(charter.models.default)
    seed = one.recorder.seed(None)
    values = replace(VALUES, prompt_messages=(("system", charter.system_prompt("en", "")), ("user", "Why?")), stop=None)
    return made_receipt(
        turn_id,
        values,
        charter=CharterUsed(held.edition.number, held.edition.digest, held.first_root, stale=False),
        model_id=model.id,
        model_digest=model.digest,
        engine=EngineUsed("openvino-genai", "2026.4.1.0", str(charter.sampling.profile)),
        sampler=Sampler("openvino-genai/mt19937-cdf/1", "0.7", "0.95", 64, ignore_eos=False),
        receipt=derived_receipt_id(seed.epoch, bytes.fromhex(seed.nonce)),
        seed=seed,
        context=ContextUsed("chat", charter.context.policy, kept=1, dropped=0),
        ledger=one.recorder.origin,
    )


async def answered(one, viewer):
    """A kept answer; its receipt, logged."""
    turn = await one.conversations.start_turn(
        viewer, conversation_id=None, parent_id=None, question="Why?", title="A chat"
    )
    receipt = receipt_under(one, turn.answer_id)
    await turn.keep(CONTENT, MessageState.COMPLETE, receipt)
    one.recorder.submit(receipt)
    return receipt


async def logged(one, viewer):
    receipt = await answered(one, viewer)
    return await until_placed(one, viewer, receipt)


async def until_placed(one, viewer, receipt):
    for _ in range(12_000):
        stored = await one.receipts.get(viewer, receipt.statement.receipt)
        if stored.position is not None:
            return stored
        await asyncio.sleep(0.01)
    raise AssertionError("the receipt has no position")


def report_on(one, bundle: Bundle):
    return verify(bundle.data(), Trust(charter=one.in_force().first_root))


def missing(report):
    return [step.number for step in report.steps if step.missing]


def test_a_logged_answer_is_verified_whole_by_whoever_pins_the_charter(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            stored = await logged(one, await one.founder())
            bundle = await bundles_of(one).bundle(stored)
            report = verify(
                bundle.data(),
                Trust(
                    charter=one.in_force().first_root,
                    policy=f"log {one.recorder.log.key.verifier.text()}\nquorum none\n".encode(),
                ),
            )
            assert report.verdict is Verdict.VERIFIED, (report.detail, missing(report))
            return report_on(one, bundle)

    report = run(scenario())
    assert report.verdict is Verdict.PARTIAL, "the founding charter names no ledger: nobody vouches for its key"
    assert missing(report) == [7]


def test_before_it_is_logged_its_proof_is_pending_and_the_rest_is_verified(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            viewer = await one.founder()
            receipt = await answered(one, viewer)
            bundles = bundles_of(one)
            of_row = await bundles.bundle(await one.receipts.get(viewer, receipt.statement.receipt))
            fresh = await bundles.fresh(receipt)
            for bundle in (of_row, fresh):
                assert bundle.ledger.receipt == PENDING
                assert bundle.ledger.edition is not None
                assert set(bundle.disclosed) == set(receipt.bundle().disclosed)
                report = report_on(one, bundle)
                assert report.verdict is Verdict.PARTIAL, report.detail

    run(scenario())


def test_what_nobody_keeps_has_a_bundle_that_discloses_nothing(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            receipt = receipt_under(one, "temporary")
            await one.receipts.keep(receipt)
            one.recorder.submit(receipt)
            stored = await until_placed(one, None, receipt)
            bundle = await bundles_of(one).bundle(stored)
            assert bundle.disclosed == {}
            assert bundle.ledger.receipt not in (None, PENDING)
            assert report_on(one, bundle).verdict is not Verdict.REFUSED

    run(scenario())


def test_a_bundle_that_was_put_away_without_proofs_is_completed(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            stored = await logged(one, await one.founder())
            bundles = bundles_of(one)
            whole = await bundles.bundle(stored)
            bare = Bundle(whole.envelope, whole.key, whole.disclosed, None, type(whole.ledger)())
            assert (await bundles.completed(bare)).data() == whole.data()

    run(scenario())


def test_a_receipt_of_an_older_edition_gets_that_editions_files(tmp_path, run):
    home = tmp_path / "home"
    key = found_for_tests(home)

    async def scenario():
        async with office(home) as one:
            await one.admit()
            viewer = await one.founder()
            first = await logged(one, viewer)
            amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})
            await one.admit()
            second = await logged(one, viewer)
            bundles = bundles_of(one)
            for stored in (first, second, first):
                assert report_on(one, await bundles.bundle(stored)).verdict is not Verdict.REFUSED
            files = [set((await bundles.bundle(stored)).charter) for stored in (first, second)]
            assert any("1.targets" in name for name in files[0])
            assert any("2.targets" in name for name in files[1])

    run(scenario())


def test_a_charter_that_is_damaged_or_another_one_is_left_out(home, tmp_path, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            stored = await logged(one, await one.founder())
            other = tmp_path / "other"
            found_for_tests(other)
            for folder in (other / CHARTER_FOLDER, tmp_path / "nothing"):
                bundles = Bundles(one.recorder, one.entries, one.receipts, charter_folder=folder)
                bundle = await bundles.bundle(stored)
                assert bundle.charter is None
                assert bundle.ledger.receipt != PENDING

    run(scenario())


def test_where_witnesses_are_asked_for_the_proof_waits_for_them(tmp_path, run):
    home = tmp_path / "home"
    found_for_tests(home, WITH_WITNESS)

    async def scenario():
        async with office(home) as one:
            await one.admit()
            viewer = await one.founder()
            stored = await logged(one, viewer)
            bundles = bundles_of(one)
            assert one.recorder.witnessed is None
            assert one.recorder.standing().missing() == ("one",)
            assert (await bundles.bundle(stored)).ledger.receipt == PENDING
            cosign(one)
            return viewer, stored.id

    viewer, receipt = run(scenario())

    async def again():
        async with office(home) as one:
            await one.recorder.open()
            await one.admit()
            stored = await one.receipts.get(viewer, receipt)
            bundles = bundles_of(one)
            assert one.recorder.witnessed.size > stored.position
            report = report_on(one, await bundles.bundle(stored))
            assert report.verdict is not Verdict.REFUSED
            later = await logged(one, viewer)
            assert (await bundles.bundle(later)).ledger.receipt == PENDING
            assert (await bundles.bundle(stored)).ledger.receipt not in (None, PENDING)

    run(again())


def cosign(one):
    log = one.recorder.log
    checkpoint = log.head.checkpoint
    line = sign_checkpoint(checkpoint, WITNESS, time=int(datetime.now(UTC).timestamp()))
    assert log.add_signatures(checkpoint, [line])


def test_a_receipt_of_another_ledger_gets_no_proof_of_this_one(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            elsewhere = made_receipt("elsewhere", ledger="another.example.org/ledger")
            await one.receipts.keep(elsewhere)
            stored = await one.receipts.get(None, elsewhere.statement.receipt)
            bundle = await bundles_of(one).bundle(stored)
            assert bundle.ledger.receipt is None

    run(scenario())


def test_a_position_that_is_another_entrys_gives_no_proof(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            stored = await logged(one, await one.founder())
            bundle = await bundles_of(one).bundle(replace(stored, position=0))
            assert bundle.ledger.receipt == PENDING

    run(scenario())


@pytest.mark.parametrize("name", ["stop", "answer_text"])
def test_a_field_is_disclosed_where_it_has_a_value(home, run, name):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            stored = await logged(one, await one.founder())
            return (await bundles_of(one).bundle(stored)).disclosed

    assert (name in run(scenario())) is (name == "answer_text")
    assert SIGNER.key.text()
