import time
from pathlib import Path

import pytest

from commun.assistant.energy import EnergyMeter


@pytest.fixture
def rapl(tmp_path: Path) -> Path:
    (tmp_path / "max_energy_range_uj").write_text("1000000")
    (tmp_path / "energy_uj").write_text("0")
    return tmp_path


def test_the_counters_joules_are_shared_among_the_answers_of_each_moment(rapl: Path) -> None:
    meter = EnergyMeter(rapl=rapl)
    first = meter.begin()
    (rapl / "energy_uj").write_text("300000")
    second = meter.begin()
    (rapl / "energy_uj").write_text("500000")
    assert meter.end(second) * 3600 == pytest.approx(0.1)
    assert meter.end(first) * 3600 == pytest.approx(0.4)
    assert "RAPL" in meter.method


def test_a_counter_that_wraps_around_does_not_make_energy_negative(rapl: Path) -> None:
    (rapl / "energy_uj").write_text("900000")
    meter = EnergyMeter(rapl=rapl)
    reading = meter.begin()
    (rapl / "energy_uj").write_text("100000")
    assert meter.end(reading) * 3600 == pytest.approx(0.2)


def test_without_a_counter_the_configured_power_counts_and_the_method_says_so(tmp_path: Path) -> None:
    meter = EnergyMeter(watt=3600, rapl=tmp_path)
    reading = meter.begin()
    time.sleep(0.02)
    assert 0.02 <= meter.end(reading) < 120
    assert "configured" in meter.method
    assert "estimated" in EnergyMeter(rapl=tmp_path, cores=2).method
