"""What the writer has decided and perhaps not yet published: batches, in one file that lasts.

A batch is a signed head, the head that it grew from, and every file that it adds. Once ``add`` returns, the batch is
decided: power may fail at any moment after it, and the log will have that head. Publishing needs no flush of its own
then, which is why a batch costs one flush of the disk and not ten.

The file ``.staged`` is records, one after the other: eight bytes of length, SHA-256 of the rest, the rest. Rules:

- a record is on the disk before the next one is begun, so only the last can be cut: a record that is not whole, and
  what follows it, was never decided, and is dropped;
- each record names the head before it, and they must make one chain: another chain was not written by this log's
  writer, and nothing is published out of it;
- the file is emptied (``clear``) only when everything in it has been published and settled.

Raises OSError from the disk; BadStaging where the chain breaks.
"""

import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from commun.errors import N_
from commun.ledger.checkpoint import read_checkpoint
from commun.ledger.errors import LedgerError
from commun.ledger.files import open_to_change, sync_folder

STAGED: Final = ".staged"
MAX_STAGED_BYTES: Final = 16_000_000  # beyond it, a batch is settled and the file emptied: some 90,000 receipts
_LENGTH: Final = 8
_DIGEST: Final = 32
_HEADER: Final = _LENGTH + _DIGEST


class BadStaging(LedgerError):
    code = "ledger_bad_staging"
    status = 500
    problem = N_("The ledger's unfinished batches do not follow from each other.")
    cure = N_("Keep the ledger's folder as it is, and restore it from a copy.")


@dataclass(frozen=True, slots=True)
class Batch:
    """``before`` and ``head``: signed notes. ``files``: by path, in the order in which they may be written."""

    before: bytes
    head: bytes
    files: Mapping[str, bytes]

    @classmethod
    def from_bytes(cls, data: bytes) -> "Batch":
        """Of a record whose digest is right: written by ``data``."""
        before, head, *rest = _unpack(data)
        return cls(before, head, {path.decode(): content for path, content in zip(rest[::2], rest[1::2], strict=True)})

    def data(self) -> bytes:
        parts = [self.before, self.head]
        for path, content in self.files.items():
            parts += (path.encode(), content)
        return b"".join(len(part).to_bytes(_LENGTH, "big") + part for part in parts)


class Staging:
    """Opens the file, and makes it where it is not. ``batches``: what it held."""

    def __init__(self, folder: Path) -> None:
        self._handle = open_to_change(folder / STAGED)
        try:
            self.batches, self.size = read_batches(_read_all(self._handle))
            os.ftruncate(self._handle, self.size)
            sync_folder(folder)
        except BaseException:
            self.close()
            raise

    def add(self, batch: Batch) -> None:
        """Decides it. An OSError leaves it undecided, as if this had not been called; BadStaging: nobody knows."""
        payload = batch.data()
        record = len(payload).to_bytes(_LENGTH, "big") + hashlib.sha256(payload).digest() + payload
        try:
            os.lseek(self._handle, self.size, os.SEEK_SET)
            _write_all(self._handle, record)
            _flush(self._handle)
        except OSError:
            self._take_back()
            raise
        self.size += len(record)

    def clear(self) -> None:
        os.ftruncate(self._handle, 0)
        os.fsync(self._handle)
        self.size = 0

    def close(self) -> None:
        os.close(self._handle)

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._handle, self.size)
            os.fsync(self._handle)
        except OSError as error:
            raise BadStaging from error


def read_batches(data: bytes) -> tuple[tuple[Batch, ...], int]:
    """The whole records, and how many bytes they take. Raises BadStaging."""
    batches, at = [], 0
    while at + _HEADER <= len(data):
        end = at + _HEADER + int.from_bytes(data[at : at + _LENGTH], "big")
        payload = data[at + _HEADER : end]
        if end > len(data) or hashlib.sha256(payload).digest() != data[at + _LENGTH : at + _HEADER]:
            break
        batches.append(Batch.from_bytes(payload))
        at = end
    _check_chain(batches)
    return tuple(batches), at


def _check_chain(batches: Sequence[Batch]) -> None:
    for first, second in itertools.pairwise(batches):
        if read_checkpoint(first.head)[0] != read_checkpoint(second.before)[0]:
            raise BadStaging


def _unpack(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        start = at + _LENGTH
        at = start + int.from_bytes(data[at:start], "big")
        yield data[start:at]


def _read_all(handle: int) -> bytes:
    with os.fdopen(handle, "rb", closefd=False) as file:
        return file.read()


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _flush(handle: int) -> None:
    getattr(os, "fdatasync", os.fsync)(handle)
