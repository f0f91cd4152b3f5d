"""The charter in force while a server runs: seen when it changes, refused when it breaks, back when it is mended."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from charters import CHARTER, FAR_AWAY, LONG_AGO, Shelf, in_force
from commun.assistant import in_force as module
from commun.assistant.in_force import CharterInForce, check_software, numbers
from commun.charter.clauses import Software
from commun.charter.edition import Freeze, InForce
from commun.charter.errors import BrokenMetadata, CharterError, NoCharter, WrongSoftware

pytestmark = pytest.mark.anyio


def holding(shelf: Shelf, **other: Any) -> tuple[CharterInForce, list[InForce | None]]:
    """And what its watcher hears."""
    charter = CharterInForce(shelf, **{"now": lambda: LONG_AGO} | other)
    heard: list[InForce | None] = []
    charter.on_change(heard.append)
    return charter, heard


async def test_nothing_is_in_force_before_it_was_verified() -> None:
    charter, _ = holding(Shelf(in_force()))
    with pytest.raises(NoCharter):
        charter.get()
    await charter.refresh()
    assert charter.get().edition.number == 1


async def test_it_is_verified_again_only_when_the_published_folder_has_changed() -> None:
    shelf = Shelf(in_force())
    charter, heard = holding(shelf)
    for _ in range(5):
        await charter.refresh()
    assert (shelf.loads, len(heard)) == (1, 1)
    shelf.put(in_force(number=2))
    await charter.refresh()
    assert (shelf.loads, [each.edition.number for each in heard if each]) == (2, [1, 2])


async def test_it_is_verified_again_after_a_while_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(in_force())
    charter, heard = holding(shelf)
    await charter.refresh()
    monkeypatch.setattr(module, "VERIFY_S", -1.0)
    shelf.held = BrokenMetadata(file="x", reason="y")  # without a new stamp
    await charter.refresh()
    assert heard[-1] is None
    with pytest.raises(BrokenMetadata):
        charter.get()


async def test_a_damaged_charter_is_told_once_and_is_in_force_again_when_it_is_mended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shelf = Shelf(in_force())
    charter, heard = holding(shelf)
    await charter.refresh()
    for _ in range(3):
        shelf.put(BrokenMetadata(file="metadata/1.root.json", reason="not JSON"))
        await charter.refresh()
        assert charter.find() is None
    assert capsys.readouterr().out.count("charter_broken") == 1
    shelf.put(in_force())
    await charter.refresh()
    assert charter.get().edition.number == 1
    assert [each is None for each in heard] == [False, True, False]


async def test_whatever_goes_wrong_nothing_stays_in_force() -> None:
    class Broken(Shelf):
        def load(self, now: datetime) -> InForce:
            raise OSError(5, "a secret path")

    charter, _ = holding(Broken(in_force()))
    await charter.refresh()
    with pytest.raises(CharterError) as refused:
        charter.get()
    assert "secret" not in str(refused.value)


async def test_the_verification_runs_in_a_thread() -> None:
    class Threaded(Shelf):
        thread: threading.Thread | None = None

        def load(self, now: datetime) -> InForce:
            self.thread = threading.current_thread()
            return super().load(now)

    shelf = Threaded(in_force())
    await holding(shelf)[0].refresh()
    assert shelf.thread not in (None, threading.current_thread())


async def test_watchers_hear_of_a_freeze_and_of_the_end_of_the_mandate() -> None:
    now = LONG_AGO
    one = in_force()
    shelf = Shelf(one)
    charter, heard = holding(shelf, now=lambda: now)
    await charter.refresh()
    shelf.put(replace(one, freeze=Freeze(2, "d", "Ada", "k", LONG_AGO, "Because.")))
    await charter.refresh()
    now = FAR_AWAY + timedelta(seconds=1)
    await charter.refresh()
    assert len(heard) == 3
    assert charter.get().stale_since == one.edition.expires
    assert shelf.loads == 2  # its age alone needs no verification


@pytest.mark.parametrize(
    ("version", "is_allowed"),
    [
        ("0.2", True),
        ("0.2.0", True),
        ("0.9.9", True),
        ("0.10", True),
        ("1", False),
        ("0.1.9", False),
        ("1.0rc1", False),
    ],
)
async def test_a_charter_names_the_versions_that_may_run_it(version: str, *, is_allowed: bool) -> None:
    charter = replace(CHARTER, software=Software("0.2", "1.0"))
    held, _ = holding(Shelf(in_force(charter)), version=version)
    await held.refresh()
    assert (held.find() is not None) == is_allowed
    if not is_allowed:
        assert isinstance(held.error, WrongSoftware)
        with pytest.raises(WrongSoftware, match="0\\.2"):
            check_software(in_force(charter), version)


def test_numbers_are_compared_as_numbers() -> None:
    assert numbers("0.10.0") == (0, 10) > numbers("0.9")
    assert numbers("1.2.dev3") == (1, 2)
    assert numbers("1.2rc1.5") == (1, 2)


async def test_an_edition_is_in_force_only_once_it_has_been_recorded() -> None:
    recorded: list[int] = []
    refusing = [True]

    async def admit(held: InForce) -> None:
        if held.edition.number > 1 and refusing[0]:
            raise CharterError(reason="the ledger cannot be written to")
        recorded.append(held.edition.number)

    shelf = Shelf(in_force())
    charter, heard = holding(shelf, admit=admit)
    await charter.refresh()
    assert (recorded, charter.get().edition.number) == ([1], 1)
    shelf.put(in_force(number=2))
    await charter.refresh()
    with pytest.raises(CharterError, match="cannot be written"):
        charter.get()
    refusing[0] = False
    await charter.refresh()  # nothing was published since, and still it is tried again
    assert (recorded, charter.get().edition.number) == ([1, 2], 2)
    assert [None if each is None else each.edition.number for each in heard] == [1, None, 2]
