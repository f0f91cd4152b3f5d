"""The calibrations that come with Commun: files in ``calibrations/``, beside this one, for the default model.

Found by whoever audits, after the auditor's own (``--calibration``), which are looked at first. What each was made from
stands in docs/spec/audit.md. Who adds one to the folder vouches for its answers.
"""

from functools import cache
from pathlib import Path
from typing import Final

from commun.audit.calibration import Calibration

FOLDER: Final = Path(__file__).with_name("calibrations")


@cache
def shipped() -> tuple[Calibration, ...]:
    return tuple(Calibration.from_bytes(file.read_bytes()) for file in sorted(FOLDER.glob("*.json")))
