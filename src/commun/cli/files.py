"""Files that somebody names on the command line of an audit."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from commun.errors import N_, CommunError

if TYPE_CHECKING:
    from commun.audit.calibration import Calibration


class NoFile(CommunError):
    code = "no_file"
    problem = N_("The file “%(file)s” cannot be opened.")
    cure = N_("Check its name, and your right to it.")


def read_file(name: str, limit: int) -> bytes:
    """One byte more than may be, at most: whoever reads it says that it is too long."""
    if name == "-":
        return sys.stdin.buffer.read(limit + 1)
    try:
        with Path(name).open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise NoFile(file=name) from error


def write_file(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        raise NoFile(file=str(file)) from error


def read_calibration(file: Path) -> "Calibration":
    from commun.audit.calibration import MAX_CALIBRATION_BYTES, Calibration

    return Calibration.from_bytes(read_file(str(file), MAX_CALIBRATION_BYTES))
