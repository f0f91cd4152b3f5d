"""What the charter went through is in the ledger, and what the ledger says against an edition refuses it."""

import shutil
from datetime import UTC, datetime

import pytest
from recorded import entries_of, in_force, office

from commun.charter.freezing import freeze
from commun.ledger.entries import EditionStatement
from commun.places import CHARTER_FOLDER, TRUST_FOLDER
from commun.recording import editions
from commun.recording.errors import OlderThanLedger, OtherEditionInLedger, StoppedInLedger
from founded import amend_for_tests, found_for_tests


def test_what_was_adopted_before_there_was_a_ledger_is_recorded_in_order(tmp_path, run):
    home = tmp_path / "home"
    key = found_for_tests(home)
    amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})
    now = datetime.now(UTC)
    stop(home, key, now)
    amend_for_tests(home, key, {'name = "Commun"': 'name = "Third"'})  # the first is in force again

    async def scenario():
        async with office(home) as one:
            await one.admit()

    run(scenario())
    told = [(s.number, s.event) for s in entries_of(home) if isinstance(s, EditionStatement)]
    assert sorted(told) == [(1, "adopted"), (2, "adopted"), (2, "frozen"), (3, "adopted")]
    assert told.index((2, "adopted")) < told.index((2, "frozen"))
    assert told.index((2, "adopted")) < told.index((3, "adopted"))


def stop(home, key, now):
    from commun.charter.repository import Repository

    freeze(Repository(home / CHARTER_FOLDER), home / TRUST_FOLDER, key.signer, reason="Wait.", now=now)


def test_what_is_adopted_and_frozen_while_it_runs_is_recorded_each_once(tmp_path, run):
    home = tmp_path / "home"
    key = found_for_tests(home)

    async def scenario():
        async with office(home) as one:
            for _ in range(3):
                await one.admit()
            amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})
            await one.admit()
            stop(home, key, datetime.now(UTC))
            await one.admit()
            await one.admit()

    run(scenario())
    told = [(s.number, s.event) for s in entries_of(home) if isinstance(s, EditionStatement)]
    assert told == [(1, "adopted"), (2, "adopted"), (2, "frozen")]


def test_what_a_member_has_stopped_does_not_come_back_because_its_file_and_the_trust_are_gone(tmp_path, run):
    home = tmp_path / "home"
    key = found_for_tests(home)
    amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})
    stop(home, key, datetime.now(UTC))

    async def scenario():
        async with office(home) as one:
            await one.admit()
        shutil.rmtree(home / TRUST_FOLDER)
        (home / CHARTER_FOLDER / "freezes/2.freeze.json").unlink()
        async with office(home) as one:
            await one.recorder.open()
            assert one.in_force().edition.number == 2, "the charter alone does not tell"
            with pytest.raises(StoppedInLedger):
                await one.admit()

    run(scenario())


def test_an_edition_that_the_ledger_knows_as_another_one_is_refused(home, tmp_path, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()

    run(scenario())
    other = tmp_path / "other"
    found_for_tests(other, {'name = "Commun"': 'name = "Another"'})
    for folder in ("charter", "charter-trust"):
        shutil.rmtree(home / folder, ignore_errors=True)
        if (other / folder).is_dir():
            shutil.copytree(other / folder, home / folder)

    async def again():
        async with office(home) as one:
            with pytest.raises(OtherEditionInLedger) as refused:
                await one.admit()
            assert refused.value.details == {"edition": 1}

    run(again())


def test_a_charter_older_than_the_ledger_is_refused(tmp_path, run):
    home = tmp_path / "home"
    key = found_for_tests(home)
    shutil.copytree(home / "charter", tmp_path / "old")
    amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})

    async def scenario():
        async with office(home) as one:
            await one.admit()

    run(scenario())
    shutil.rmtree(home / "charter")
    shutil.copytree(tmp_path / "old", home / "charter")
    for path in home.glob("charter-trust*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    async def again():
        async with office(home) as one:
            with pytest.raises(OlderThanLedger):
                await one.admit()

    run(again())


def test_a_freeze_that_the_ledger_has_and_the_folder_has_not_is_refused(tmp_path, run):
    home = tmp_path / "home"
    key = found_for_tests(home)
    amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})
    stop(home, key, datetime.now(UTC))

    async def scenario():
        async with office(home) as one:
            await one.admit()

    run(scenario())
    (home / "charter" / "freezes" / "2.freeze.json").unlink()
    for path in home.glob("charter-trust*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    async def again():
        async with office(home) as one:
            assert one.in_force().edition.number == 2, "the folder alone does not tell"
            with pytest.raises(StoppedInLedger):
                await one.admit()

    run(again())


def test_nothing_is_new_nothing_is_read(home, run, monkeypatch):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            monkeypatch.setattr(
                editions, "read_happened", lambda *_, **__: pytest.fail("the charter is verified again")
            )
            monkeypatch.setattr(editions, "frozen_names", lambda *_: pytest.fail("the folder is listed again"))
            held = in_force(home)
            for _ in range(5):
                await one.recorder.admit(held)

    run(scenario())
