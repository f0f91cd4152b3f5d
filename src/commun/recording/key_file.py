"""A secret key of a server that runs unattended: one line in a file that only its owner can read, made at first use.

The line: a header that names the kind, and the key's bytes in small hexadecimal digits. Anything else is refused with
the kind's own error, which says what is lost when the file is moved away.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from commun.errors import N_, CommunError
from commun.ledger.errors import LedgerError
from commun.ledger.files import read_regular
from commun.secret_file import write_secret

MAX_FILE_BYTES: Final = 1000
NO_KEY: Final = N_("it is not a key of this kind")
NOT_PLAIN: Final = N_("it is not a plain file that can be read")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """``size``: of the key, in bytes. ``refused``: the error for a bad file, with ``file`` and ``reason``."""

    header: str
    size: int
    refused: type[CommunError]

    def open(self, path: Path, make: Callable[[], bytes]) -> bytes:
        """Makes it where it is not. Raises ``refused``, OSError."""
        key = self.find(path)
        if key is None:
            made = make()
            with contextlib.suppress(FileExistsError):  # another process was quicker: its key is the one
                write_secret(path, f"{self.header}{made.hex()}\n".encode())
            key = self.find(path)
        if key is None:
            raise self.refused(file=path.name, reason=NOT_PLAIN)
        return key

    def find(self, path: Path) -> bytes | None:
        """Raises ``refused``."""
        try:
            data = read_regular(path.parent, path.name, limit=MAX_FILE_BYTES)
        except LedgerError as error:
            raise self.refused(file=path.name, reason=NOT_PLAIN) from error
        if data is None:
            return None
        line = rf"{re.escape(self.header)}([0-9a-f]{{{2 * self.size}}})\n?"
        match = re.fullmatch(line, data.decode("ascii", "replace"))
        if match is None:
            raise self.refused(file=path.name, reason=NO_KEY)
        return bytes.fromhex(match[1])
