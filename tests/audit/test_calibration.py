"""The file of honest figures: what is written is read, and nothing else is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.audit.calibration import MAX_HONEST, BadCalibration, Calibration, Honest, Machine
from commun.audit.measures import Measures

MACHINE = Machine("2026.4.1.0-3408", "exact", "2", "a processor")
figure = st.integers(0, 10**9).map(lambda units: units / 10**9)
honest = st.builds(Honest, st.integers(1, 10**6), figure, figure, st.none() | figure, figure)


@given(st.lists(honest, max_size=5))
def test_what_is_written_is_read(answers: list[Honest]) -> None:
    one = Calibration("ef" * 32, MACHINE, MACHINE, 16, tuple(answers))
    assert Calibration.from_bytes(one.data()) == one


def changed(**changes: Any) -> bytes:
    data = Calibration("ef" * 32, MACHINE, MACHINE, 16, (Honest(64, 0.1, 0.0, None, 1.0),)).data()
    return json.dumps(json.loads(data) | changes).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        changed(format="commun-audit-calibration/2"),
        changed(more=1),
        changed(batch=0),
        changed(batch=True),
        changed(answered={}),
        changed(audited=MACHINE.to_json() | {"engine": "x" * 256}),
        changed(answers=[[1, 2, 3, 4]]),
        changed(answers=[[1, 2, 3, 4, "5"]]),
        changed(answers=[[0, 0, 0, 0, 0]]),
        changed(answers=[[1, -1, 0, 0, 0]]),
        changed(answers=[[1, 0, 0, -2, 0]]),
        changed(answers=[[1, 0, 0, 0, 10**15 + 1]]),
        changed(answers=[[1, 0, 0, 0, True]]),
        changed(answers=[{}]),
        changed(answers=[[1, 0, 0, 0, 0]] * (MAX_HONEST + 1)),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(BadCalibration):
        Calibration.from_bytes(data)


def test_it_is_for_what_it_names_only() -> None:
    one = Calibration.from_bytes(changed())
    other = Machine("2026.4.1.0-3408", "fast", "2", "a processor")
    assert one.fits("ef" * 32, MACHINE, MACHINE)
    assert not one.fits("ee" * 32, MACHINE, MACHINE)
    assert not one.fits("ef" * 32, other, MACHINE)
    assert not one.fits("ef" * 32, MACHINE, other)


def test_answers_are_compared_with_answers_of_about_their_length() -> None:
    one = Calibration(
        "", MACHINE, MACHINE, 1, tuple(Honest(tokens, 0, 0, None, 0) for tokens in (10, 50, 100, 200, 500))
    )
    assert [each.tokens for each in one.comparable(100)] == [50, 100, 200]


def test_an_answer_does_not_stray_from_its_own_figures_by_how_they_are_written_down() -> None:
    found = Measures(64, 0, 3.3e-10, 3.3e-8, 0.0, 2.00000000049e-6, 1e-5, 0.1234567890123, 90.0)
    own = Honest.of(found)
    assert Calibration.from_bytes(Calibration("ef" * 32, MACHINE, MACHINE, 1, (own,)).data()).answers == (own,)
