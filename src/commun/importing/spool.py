"""An upload that is too large for memory: on the disk, sealed under a key that is in memory alone.

The file has no name and ends with the process; what is left of it on the disk opens for nobody. AES-256-CTR: it can be
read from any place. Who could change it could change the process as well, so nothing else guards its bytes.
"""

import io
import os
import tempfile
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from commun.errors import N_, BadRequest

MAX_READ_BYTES: Final = 8 << 20  # at once: so large is the largest directory of a ZIP that is read
_BLOCK: Final = 16


class BadImport(BadRequest):
    """``details``: ``reason``."""

    code = "bad_import"
    status = 422
    problem = N_("This file cannot be imported: %(reason)s.")
    cure = N_("Choose the ZIP of a ChatGPT export as it came, or the JSON of Open WebUI or of Commun.")


class Spool(io.RawIOBase):
    """Written once from the beginning, then read from anywhere. ``folder``: on whose disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed with this)
        self._key, self._nonce = os.urandom(32), os.urandom(_BLOCK // 2) + bytes(_BLOCK // 2)
        self._sealing = Cipher(AES256(self._key), CTR(self._nonce)).encryptor()
        self._at = 0
        self.size = 0

    def add(self, data: bytes) -> None:
        """Raises OSError."""
        self._file.write(self._sealing.update(data))
        self.size += len(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Raises BadImport where somebody's numbers ask for more than MAX_READ_BYTES at once."""
        left = max(0, self.size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > MAX_READ_BYTES:
            raise BadImport(reason=N_("it is no ZIP that can be read"))
        block, skipped = divmod(self._at, _BLOCK)
        self._file.seek(block * _BLOCK)
        data = self._file.read(skipped + wanted)
        counter = (int.from_bytes(self._nonce) + block).to_bytes(_BLOCK)
        plain = Cipher(AES256(self._key), CTR(counter)).decryptor().update(data)
        self._at += wanted
        return plain[skipped:]

    def close(self) -> None:
        self._file.close()
        super().close()
