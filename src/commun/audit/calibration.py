"""The figures of honest answers, to compare with: a file that ``commun audit calibrate`` writes and a board may adopt.

Where rounding alone does not decide (another machine, another engine build, the fast profile), an answer is
inconsistent when its figures are beyond those of honest answers. The file says of which model, engine and machine:

- ``format`` "commun-audit-calibration/1"; ``model``, the digest of its manifest; ``answered`` and ``audited``, how the
  answers were made and how they were recomputed: engine build, profile, threads, processor and its class; ``batch``,
  how many answers ran at once at most;
- ``answers``: one list for each honest answer: tokens, then shift, outside, figures (−1 for none) and likelihood, in
  units of 10^-9, whole numbers. Every answer is there, not only quantiles: whoever doubts a threshold computes it;
- strict JSON (``charter/strict_json.py``), 4 MiB, 20,000 answers.

A calibration is for what it names and nothing else: any difference is NO_CALIBRATION, but that of another processor of
the same class, which the verdict then names. Raises BadCalibration.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from commun.audit.measures import Measures
from commun.charter.strict_json import NotStrict, check_fields, read_object
from commun.errors import N_, CommunError

FORMAT: Final = "commun-audit-calibration/1"
MAX_CALIBRATION_BYTES: Final = 4 << 20
MAX_HONEST: Final = 20_000
MAX_NAME: Final = 255
UNITS: Final = 10**9
MAX_UNITS: Final = 10**15
NEAR: Final = 2  # answers of half as many to twice as many tokens are compared with
NO_FIGURES: Final = -1
_FIELDS: Final[Mapping[str, type]] = {
    "format": str,
    "model": str,
    "answered": dict,
    "audited": dict,
    "batch": int,
    "answers": list,
}
_MACHINE: Final[Mapping[str, type]] = {
    "engine": str,
    "profile": str,
    "threads": str,
    "processor": str,
    "processor_class": str,
}


class BadCalibration(CommunError):
    code = "bad_calibration"
    status = 422
    problem = N_("This is no calibration file: %(reason)s.")
    cure = N_("Write one with “commun audit calibrate”.")


@dataclass(frozen=True, slots=True)
class Machine:
    """What rounding depends on. ``engine``: its build. ``threads``: as the receipt has it ("0": every core).
    ``processor_class``: the instructions that the profile multiplies with ("AVX2", "AVX-512", "AMX"); "" where a
    receipt does not say.
    """

    engine: str
    profile: str
    threads: str
    processor: str
    processor_class: str = ""

    def is_like(self, other: "Machine") -> bool:
        """All but the name of the processor, where its class is known."""
        return self == (replace(other, processor=self.processor) if self.processor_class else other)

    def to_json(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in _MACHINE}


@dataclass(frozen=True, slots=True)
class Honest:
    """One honest answer's figures, in the units in which they are written down: what is compared with them is, too."""

    tokens: int
    shift: float
    outside: float
    figures: float | None
    likelihood: float

    @classmethod
    def of(cls, measures: Measures) -> "Honest":
        figures = None if measures.figures is None else _written(measures.figures)
        return cls(
            measures.tokens,
            _written(measures.shift),
            _written(measures.outside),
            figures,
            _written(measures.likelihood),
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    model: str
    answered: Machine
    audited: Machine
    batch: int
    answers: tuple[Honest, ...]

    def fits(self, model: str, answered: Machine, audited: Machine) -> bool:
        return self.model == model and self.answered.is_like(answered) and self.audited.is_like(audited)

    def comparable(self, tokens: int) -> tuple[Honest, ...]:
        """Honest answers of about this length: means of few tokens stray farther than means of many."""
        return tuple(one for one in self.answers if tokens <= one.tokens * NEAR and one.tokens <= tokens * NEAR)

    def data(self) -> bytes:
        """The file, one answer a line."""
        rows = ",\n  ".join(json.dumps(_row(one)) for one in self.answers)
        head = {
            "format": FORMAT,
            "model": self.model,
            "answered": self.answered.to_json(),
            "audited": self.audited.to_json(),
            "batch": self.batch,
        }
        lines = "".join(f" {json.dumps(name)}: {json.dumps(value)},\n" for name, value in head.items())
        return f'{{\n{lines} "answers": [\n  {rows}\n ]\n}}\n'.encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Calibration":
        try:
            value = check_fields(read_object(data, limit=MAX_CALIBRATION_BYTES), _FIELDS)
            _check_head(value)
            answered, audited = _machine(value["answered"]), _machine(value["audited"])
            answers = tuple(map(_honest, value["answers"]))
        except NotStrict as error:
            raise BadCalibration(reason=str(error)) from None
        return cls(value["model"], answered, audited, value["batch"], answers)


def _check_head(value: Mapping[str, Any]) -> None:
    if value["format"] != FORMAT:
        raise NotStrict("it has another format")
    if len(value["answers"]) > MAX_HONEST or not 1 <= value["batch"] <= MAX_HONEST:
        raise NotStrict("a number is beyond its bound")


def _machine(value: Any) -> Machine:
    checked = check_fields(value, _MACHINE)
    if any(len(text) > MAX_NAME for text in checked.values()):
        raise NotStrict("a name is too long")
    return Machine(**checked)


def _honest(row: Any) -> Honest:
    if not isinstance(row, list) or len(row) != len(Honest.__slots__) or any(type(number) is not int for number in row):
        raise NotStrict("an answer has other figures")
    tokens, shift, outside, figures, likelihood = row
    least = (1, 0, 0, NO_FIGURES, 0)
    if any(not low <= number <= MAX_UNITS for low, number in zip(least, row, strict=True)):
        raise NotStrict("a figure is beyond its bound")
    known = None if figures == NO_FIGURES else figures / UNITS
    return Honest(tokens, shift / UNITS, outside / UNITS, known, likelihood / UNITS)


def _row(one: Honest) -> Sequence[int]:
    figures = NO_FIGURES if one.figures is None else _units(one.figures)
    return [one.tokens, _units(one.shift), _units(one.outside), figures, _units(one.likelihood)]


def _written(number: float) -> float:
    """As a file gives it back: an answer must not stray from its own figures by their rounding."""
    return _units(number) / UNITS


def _units(number: float) -> int:
    return min(MAX_UNITS, round(number * UNITS))
