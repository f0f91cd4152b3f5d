"""A day's secret is published once, an hour after its end; then its seeds are derived again, and cheating shows."""

import asyncio
import secrets
from datetime import timedelta

import pytest
from recorded import entries_of, office
from sqlalchemy import text

from commun.ledger.entries import EpochSecretStatement, EpochStatement, ReceiptStatement
from commun.places import CHARTER_FOLDER, LEDGER_FOLDER
from commun.receipts.errors import Reason
from commun.receipts.ledger_copy import secrets_in
from commun.receipts.seeded import SeedStanding
from commun.receipts.seeds import derived_receipt_id, salt_digest, value_of
from commun.receipts.statement import BY_CALLER, Scheme, Seed
from commun.receipts.verification import Trust, verify
from commun.recording.brief import BriefRecorder
from commun.recording.bundles import Bundles
from commun.recording.errors import NonceUsed
from commun.store.epochs import Epochs
from made_receipt import made_receipt

DAY, TWO_DAYS = timedelta(hours=25), timedelta(hours=50)
GRACE = timedelta(minutes=61)
NONCE = bytes(range(32))


def published(home):
    return [one.epoch for one in entries_of(home) if isinstance(one, EpochSecretStatement)]


async def logged(one, seed):
    """A receipt with this seed that nobody keeps, in the ledger."""
    receipt = made_receipt(
        "", receipt=derived_receipt_id(seed.epoch, bytes.fromhex(seed.nonce)), seed=seed, ledger=one.recorder.origin
    )
    await one.receipts.keep(receipt)
    one.recorder.submit(receipt)
    for _ in range(12_000):
        stored = await one.receipts.get(None, receipt.statement.receipt)
        if stored.position is not None:
            return stored
        await asyncio.sleep(0.01)
    raise AssertionError("the receipt has no position")


async def settled(one):
    """What waits for the ledger is in it."""
    for _ in range(12_000):
        if not await one.entries.waiting(1):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("an entry waits on")


async def days_end(one):
    """Another secret takes the place of the one in use, and that is published."""
    one.clock.offset += DAY
    await one.recorder.look()
    one.clock.offset += GRACE
    await one.recorder.look()
    await settled(one)


async def reported(one, stored, **trust):
    bundles = Bundles(one.recorder, one.entries, one.receipts, charter_folder=one.home / CHARTER_FOLDER)
    return verify((await bundles.bundle(stored)).data(), Trust(**trust))


def test_a_secret_is_published_once_an_hour_after_its_day_and_also_after_a_restart(home, run):
    async def first():
        async with office(home) as one:
            await one.admit()
            opened = one.recorder.epoch.sha256
            one.clock.offset = timedelta(hours=23)
            await one.recorder.look()
            one.clock.offset = DAY
            await one.recorder.look()
            assert one.recorder.epoch.sha256 != opened
            one.clock.offset = DAY + timedelta(minutes=59)
            await one.recorder.look()
            await settled(one)
            return opened

    async def again():
        async with office(home) as one:
            one.clock.offset = DAY + GRACE
            await one.admit()
            for _ in range(3):
                await one.recorder.look()

    opened = run(first())
    assert published(home) == []
    run(again())
    run(again())
    assert published(home) == [opened]
    assert next(one for one in entries_of(home) if isinstance(one, EpochStatement)).sha256 == opened


def test_a_secret_whose_receipts_wait_for_the_ledger_waits_with_them(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            seed = one.recorder.seed(None)
            receipt = made_receipt("", receipt=derived_receipt_id(seed.epoch, bytes.fromhex(seed.nonce)), seed=seed)
            await one.receipts.keep(receipt)  # and its process died before it was handed over
            await days_end(one)
            assert not any(entry.kind == EpochSecretStatement.type for entry in await one.entries.newest(50))
            for _ in range(6000):
                await one.recorder.look()
                if await one.entries.of_kind(EpochSecretStatement.type):
                    return seed.epoch
                await asyncio.sleep(0.02)
        raise AssertionError("it was never published")

    epoch = run(scenario())
    kinds = [type(one) for one in entries_of(home)]
    assert published(home) == [epoch]
    assert kinds.index(ReceiptStatement) < kinds.index(EpochSecretStatement)


def test_a_clock_that_is_set_back_begins_the_hour_anew(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            first = one.recorder.epoch.sha256
            one.clock.offset = timedelta(days=400)
            await one.recorder.look()
            for back in (timedelta(), timedelta(minutes=59)):
                one.clock.offset = back
                await one.recorder.look()
                assert await one.entries.of_kind(EpochSecretStatement.type) == []
            one.clock.offset = timedelta(minutes=62)
            await one.recorder.look()
            return first

    first = run(scenario())
    assert first in published(home)


def test_what_the_ledger_has_published_is_never_used_again_whatever_the_database_says(home, run):
    """A copy of the database from before was put back beside the ledger of now."""

    async def scenario():
        async with office(home) as one:
            await one.admit()
            first = one.recorder.epoch.sha256
            await days_end(one)
            sets = text("UPDATE epochs SET closed = NULL, published = NULL WHERE sha256 = :one")
            drops = text("DELETE FROM epochs WHERE sha256 != :one")
            for change in (sets, drops):
                await one.database.write(lambda connection, done=change: connection.execute(done, {"one": first}))
            return first

    async def again(first):
        async with office(home) as one:
            await one.admit()
            assert one.recorder.epoch.sha256 != first
            assert await one.entries.epochs.find_open() == one.recorder.epoch
            await days_end(one)

    first = run(scenario())
    run(again(first))
    assert published(home).count(first) == 1


def test_a_database_that_refuses_publishes_later_and_once(home, run, monkeypatch):
    publish = Epochs.publish

    async def refuses(*_given, **_named):
        raise OSError(28, "No space left on device")

    async def scenario():
        async with office(home) as one:
            await one.admit()
            monkeypatch.setattr(Epochs, "publish", refuses)
            with pytest.raises(OSError, match="No space"):
                await days_end(one)
            monkeypatch.setattr(Epochs, "publish", publish)
            await one.recorder.look()

    run(scenario())
    assert len(published(home)) == 1


def test_the_seed_is_committed_to_and_then_derived_again_from_the_bundle_or_a_copy_of_the_ledger(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            stored = await logged(one, one.recorder.seed(NONCE))
            before = await reported(one, stored)
            assert before.seed is SeedStanding.COMMITTED, before.detail
            await days_end(one)
            own = secrets_in(home / LEDGER_FOLDER)
            after = await reported(one, stored)
            assert [item.index for item in own] == [one.recorder.head.size - 1]
            bundles = Bundles(one.recorder, one.entries, one.receipts, charter_folder=home / CHARTER_FOLDER)
            made = await bundles.bundle(stored)
            old = type(made.seed)(made.seed.salt, made.seed.opened)
            data = type(made)(made.envelope, made.key, made.disclosed, made.charter, made.ledger, old).data()
            return after, verify(data), verify(data, Trust(secrets=own))

    after, without, with_copy = run(scenario())
    assert after.seed is SeedStanding.DERIVED, after.detail
    assert (without.seed, with_copy.seed) == (SeedStanding.COMMITTED, SeedStanding.DERIVED)


def test_an_operator_who_tries_salts_until_a_seed_suits_is_caught_when_the_secret_is_published(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            epoch = one.recorder.epoch
            receipt = derived_receipt_id(epoch.sha256, NONCE)
            salt = next(
                tried
                for tried in iter(lambda: secrets.token_bytes(32), None)
                if value_of(tried, NONCE, receipt) < 2**26
            )
            value = value_of(salt, NONCE, receipt)
            stored = await logged(
                one, Seed(Scheme.DERIVED, value, epoch.sha256, salt_digest(salt), NONCE.hex(), BY_CALLER)
            )
            assert (await reported(one, stored)).reason is Reason.SEED_MISMATCH, "the true salt is no other's"
            await days_end(one)
            bundles = Bundles(one.recorder, one.entries, one.receipts, charter_folder=home / CHARTER_FOLDER)
            made = await bundles.bundle(stored)
            shown = type(made.seed)(salt, made.seed.opened, made.seed.secret)
            return verify(type(made)(made.envelope, made.key, made.disclosed, made.charter, made.ledger, shown).data())

    assert run(scenario()).reason is Reason.SEED_NOT_DERIVED


def test_a_receipt_that_is_logged_after_its_secret_proves_nothing_of_its_seed(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            seed = one.recorder.seed(NONCE)
            await days_end(one)
            return await reported(one, await logged(one, seed))

    report = run(scenario())
    assert report.seed is SeedStanding.SERVERS
    assert "The seed's secret was published before" in str(report.steps[6].missing)


def test_a_nonce_serves_once_in_a_day_also_after_a_restart_and_an_erasure(home, run):
    async def first():
        async with office(home) as one:
            await one.admit()
            await one.recorder.check_nonce(NONCE)
            seed = one.recorder.seed(NONCE)
            with pytest.raises(NonceUsed):
                await one.recorder.check_nonce(NONCE)
            with pytest.raises(NonceUsed):
                one.recorder.seed(NONCE)
            one.recorder.withdraw(seed)
            assert one.recorder.seed(NONCE) == seed
            await logged(one, seed)

    async def after_a_restart(erased):
        async with office(home) as one:
            await one.admit()
            if erased:
                await one.receipts.purge_nobodys(older_than_s=-1)
            with pytest.raises(NonceUsed):
                await one.recorder.check_nonce(NONCE)
            if erased:
                await days_end(one)
                await one.recorder.check_nonce(NONCE)
                count = text("SELECT count(*) FROM spent_nonces")
                assert await one.database.read(lambda connection: connection.execute(count).scalar()) == 0

    run(first())
    run(after_a_restart(erased=False))
    run(after_a_restart(erased=True))


def test_a_chat_beside_a_server_takes_the_secret_that_is_in_use_at_each_question(home, run):
    async def scenario():
        async with office(home) as server:
            await server.admit()
            brief = BriefRecorder(
                home=home, public_url="", entries=server.entries, receipts=server.receipts, now=server.clock
            )
            await brief.admit(server.in_force())
            first = server.recorder.epoch.sha256
            await brief.check_nonce(NONCE)
            assert brief.seed(NONCE).epoch == first
            await days_end(server)
            await brief.check_nonce(NONCE)
            assert brief.seed(NONCE).epoch == server.recorder.epoch.sha256 != first
            await brief.close()

    run(scenario())


def test_a_chat_without_a_server_opens_the_next_secret_itself_and_publishes_the_one_before(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            first = one.recorder.epoch.sha256
            await one.recorder.close()  # nobody has the ledger
            brief = BriefRecorder(home=home, public_url="", entries=one.entries, receipts=one.receipts, now=one.clock)
            await brief.admit(one.in_force())
            one.clock.offset = DAY
            await brief.check_nonce(None)
            second = brief.seed(None).epoch
            one.clock.offset = TWO_DAYS
            await brief.check_nonce(None)
            assert len({first, second, brief.seed(None).epoch}) == 3
            await brief.close()
            return first

    first = run(scenario())
    assert published(home) == [first]
