"""What an answer cost in watt-hours: an estimate by a stated method.

The machine's power is shared equally among the answers that are being written at each moment, idle power included
while at least one is. Where the processor's own energy counter can be read (RAPL, Linux, usually root only), it is
used; else the configured ``watt``; else ``WATT_PER_CORE`` for each core that the engine uses.

Not covered: memory, disks, screens, cooling, the network, making the machine.
"""

import os
import time
from pathlib import Path

RAPL = Path("/sys/class/powercap/intel-rapl:0")
WATT_PER_CORE = 10.0  # a server core at full load: package power over cores of common 2020s server processors
JOULES_PER_WH = 3600.0


class EnergyMeter:
    """Owned by the event loop. ``begin`` and ``end`` frame one answer."""

    def __init__(self, *, watt: float = 0, cores: int = 0, rapl: Path = RAPL) -> None:
        self._rapl = rapl
        self._rapl_bound = 0
        self._watt = watt
        self.method = f"{watt:g} W, as configured"
        if watt == 0:
            used = cores or os.cpu_count() or 1
            self._watt = WATT_PER_CORE * used
            self.method = f"estimated: {WATT_PER_CORE:g} W for each of {used} cores"
            if self._read_rapl() is not None:
                self._rapl_bound = int((rapl / "max_energy_range_uj").read_text())
                self.method = "measured: the processor's energy counter (RAPL)"
        self._counter = self._read_rapl() if self._rapl_bound else None
        self._clock = time.monotonic()
        self._answers = 0
        self._joules_per_answer = 0.0  # integral of power over the number of running answers

    def begin(self) -> float:
        """The reading to hand to ``end``."""
        self._advance()
        self._answers += 1
        return self._joules_per_answer

    def end(self, reading: float) -> float:
        """Watt-hours of the answer that began at ``reading``."""
        self._advance()
        self._answers -= 1
        return (self._joules_per_answer - reading) / JOULES_PER_WH

    def _advance(self) -> None:
        now = time.monotonic()
        joules = self._watt * (now - self._clock)
        self._clock = now
        if self._counter is not None:
            reading = self._read_rapl()
            if reading is not None:
                joules = ((reading - self._counter) % self._rapl_bound) / 1e6
                self._counter = reading
        if self._answers:
            self._joules_per_answer += joules / self._answers

    def _read_rapl(self) -> int | None:
        try:
            return int((self._rapl / "energy_uj").read_text())
        except (OSError, ValueError):
            return None
