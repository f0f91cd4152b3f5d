"""The secret that seeds come from: another one each day, and none before the ledger has its digest."""

from datetime import timedelta

import pytest
from recorded import kinds_of, office

from commun.ledger.entries import EpochStatement
from commun.ledger.errors import LedgerError
from commun.recording import queue


def test_a_new_secret_each_day_and_the_ledger_has_it_before_it_is_used(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            first = one.recorder.epoch
            await one.recorder.look()
            assert one.recorder.epoch == first
            one.clock.offset = timedelta(hours=25)
            await one.recorder.look()
            second = one.recorder.epoch
            assert second.sha256 != first.sha256
            assert one.recorder.log.entry(second.position) == EpochStatement(second.sha256).data()
            assert one.recorder.seed(None).epoch == second.sha256
            assert (await one.entries.epochs.find_open()).sha256 == second.sha256

    run(scenario())


def test_a_disk_that_refuses_the_new_secret_leaves_the_old_one_in_use_and_one_is_made(home, run, monkeypatch):
    from commun.ledger.staging import Staging

    add = Staging.add

    def full(self, batch):
        raise OSError(28, "No space left on device")

    async def scenario():
        async with office(home) as one:
            await one.admit()
            first = one.recorder.epoch
            monkeypatch.setattr(Staging, "add", full)
            monkeypatch.setattr(queue, "POSITION_S", 0.1)
            one.clock.offset = timedelta(hours=25)
            for _ in range(3):
                with pytest.raises(LedgerError):
                    await one.recorder.look()
            assert one.recorder.seed(None).epoch == first.sha256
            monkeypatch.setattr(Staging, "add", add)
            monkeypatch.setattr(queue, "POSITION_S", 60)
            await one.recorder.look()
            assert one.recorder.seed(None).epoch != first.sha256

    run(scenario())
    assert kinds_of(home)["commun/epoch/1"] == 2
