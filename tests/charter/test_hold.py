"""The legal hold, as it counts on a day: set, prolonged and lifted by the quorum, and stopped by nobody alone."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from boards import NOW, charter_files
from commun.charter.errors import TooFewSignatures
from commun.charter.hold import Hold, hold_of
from published import Commun

UNTIL = date(2027, 6, 30)
LAST_SECOND = datetime(2027, 6, 30, 23, 59, 59, tzinfo=UTC)


def files(hold: str = "", *, purpose: str = "To help.") -> dict[str, bytes]:
    found = charter_files(purpose=purpose)
    held = f"days = 30\nhold_until = {hold}\n" if hold else "days = 30\n"
    return {**found, "charter.toml": found["charter.toml"].replace(b"days = 0\n", held.encode())}


@pytest.fixture
def commun(tmp_path: Path) -> Commun:
    """The first edition has no hold, the second has one."""
    made = Commun(tmp_path)
    made.adopt(purpose="One.")
    made.adopt(files=files("2027-06-30"))
    return made


def test_the_day_that_is_named_is_the_last_one_and_days_are_utc(commun: Commun) -> None:
    in_force = commun.load()
    assert hold_of(in_force, NOW) == Hold(UNTIL, 2)
    assert hold_of(in_force, LAST_SECOND) == Hold(UNTIL, 2)
    assert hold_of(in_force, LAST_SECOND + timedelta(seconds=1)) is None
    in_tokyo = datetime(2027, 7, 1, 8, 59, 59, tzinfo=timezone(timedelta(hours=9)))
    assert hold_of(in_force, in_tokyo) == Hold(UNTIL, 2)


def test_a_charter_without_the_clause_holds_nothing(tmp_path: Path) -> None:
    commun = Commun(tmp_path)
    assert hold_of(commun.adopt(purpose="One."), NOW) is None


def test_the_quorum_prolongs_it_and_lifts_it(commun: Commun) -> None:
    longer = commun.adopt(files=files("2027-12-31"))
    assert hold_of(longer, NOW) == Hold(date(2027, 12, 31), 3)
    assert hold_of(commun.adopt(files=files()), NOW) is None


def test_fewer_than_the_quorum_lift_nothing(commun: Commun) -> None:
    with pytest.raises(TooFewSignatures):
        commun.adopt(by=("Ada", "Benoît"), files=files())
    assert hold_of(commun.load(), NOW) == Hold(UNTIL, 2)


def test_one_member_who_freezes_the_edition_that_holds_lets_nothing_be_erased(commun: Commun) -> None:
    commun.freeze()
    in_force = commun.load()
    assert in_force.edition.number == 1
    assert hold_of(in_force, NOW) == Hold(UNTIL, 2)
    commun.release()
    assert hold_of(commun.load(), NOW) == Hold(UNTIL, 2)


def test_one_member_who_freezes_the_edition_that_lifts_it_keeps_it_until_the_quorum_decides(commun: Commun) -> None:
    commun.adopt(files=files())
    commun.freeze()
    assert hold_of(commun.load(), NOW) == Hold(UNTIL, 2)
    commun.release()
    assert hold_of(commun.load(), NOW) is None


def test_what_the_quorum_held_between_two_frozen_editions_is_held(commun: Commun) -> None:
    commun.freeze()
    commun.adopt(files=files(purpose="Three."))
    commun.freeze()
    in_force = commun.load()
    assert (in_force.edition.number, in_force.newest.number) == (1, 3)
    assert hold_of(in_force, NOW) == Hold(UNTIL, 2)


def test_a_freeze_between_two_holds_keeps_the_longer_one(commun: Commun) -> None:
    commun.adopt(files=files("2027-02-01"))
    commun.freeze()
    assert hold_of(commun.load(), NOW) == Hold(UNTIL, 2)
