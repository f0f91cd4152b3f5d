"""The log on disk and its one writer.

The folder is C2SP tlog-tiles' layout, static files that any web server can publish. ``append`` makes one batch of
entries one new head:

1. GROW. Tiles, bundles of entries and the signed head of the larger tree are made in memory.
2. STAGE. The batch goes into ``.staged`` and is flushed (``staging.py``). It is decided now: its indexes are certain,
   and no other head of that size will ever be signed.
3. COMPARE. The published ``checkpoint`` is still the head that the batch grew from; another one was put there by
   somebody else, and this writer stops for good rather than sign a fork (OtherHead).
4. PUBLISH. Tiles and bundles are put in place, each at once; nothing refers to them yet. Then ``checkpoint`` is
   replaced. THE COMMIT POINT for readers: before it they see the old tree, after it the new, and never a head whose
   tiles are not there or are only in memory: since step 2 the disk has them.
5. PRUNE. Partial tiles are removed where a full one has taken their place, as tlog-tiles allows; no others are.
6. SETTLE, when ``.staged`` has grown to its bound and when the log is closed: what was published is flushed in its own
   place, and ``.staged`` emptied.

Recovery is steps 3 to 6 for what ``.staged`` holds, by the same code, when the log is opened and before each batch. So
a process may die, or power fail, at any point: a batch is there as a whole or was never answered.

Who opens the log: one process (a lock that the system drops with it; LedgerBusy), and many threads of it. Reading
takes no lock. Opening reads the right edge only, whatever the log's size.

What it cannot see: the folder and the key restored together from an older copy. Witnesses refuse the fork that follows.
"""

import contextlib
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from commun.errors import N_
from commun.ledger.checkpoint import Checkpoint, read_checkpoint
from commun.ledger.cosignature import open_checkpoint, sign_checkpoint
from commun.ledger.errors import BadProof, LedgerError, OutOfRange
from commun.ledger.files import CHECKPOINT, Lock, LogFolder
from commun.ledger.keys import SignerKey
from commun.ledger.merkle import HASH_SIZE, leaf_hash, prove_consistency, prove_inclusion
from commun.ledger.note import Note, Signature
from commun.ledger.proof import LogProof
from commun.ledger.staging import MAX_STAGED_BYTES, BadStaging, Batch, Staging
from commun.ledger.tiles import (
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    Edge,
    Tile,
    TileReader,
    pack_entries,
    read_entries,
)

MAX_BATCH: Final = 4096  # entries under one head
MAX_BATCH_BYTES: Final = 16_000_000


class BadEntry(LedgerError):
    code = "ledger_bad_entry"
    problem = N_("This cannot become an entry of the ledger: %(reason)s.")
    cure = N_("This is a mistake in Commun: please report it.")


class LedgerUnwritable(LedgerError):
    """The disk refuses. Nothing was decided; the same may be tried again."""

    code = "ledger_unwritable"
    status = 503
    problem = N_("The ledger cannot be written to.")
    cure = N_("Look whether its disk is full or damaged; Commun goes on trying.")


class LedgerStopped(LedgerError):
    """After an OtherHead, or a disk that does not say what it holds; or the log was closed."""

    code = "ledger_stopped"
    status = 503
    problem = N_("The ledger takes no more entries.")
    cure = N_("The log says why. Mend it, and start Commun again.")


class OtherHead(LedgerError):
    code = "ledger_other_head"
    status = 500
    problem = N_("The ledger's published head is not the one that was written here.")
    cure = N_("Keep it as evidence. Restore the ledger's folder as a whole, never a part of it.")


class KeyWithoutLog(LedgerError):
    code = "ledger_key_without_log"
    status = 500
    problem = N_("The ledger's key is here, but its entries are gone.")
    cure = N_("Restore the ledger's folder. To begin a new ledger under a new name, remove its key as well.")


@dataclass(frozen=True, slots=True)
class Head:
    """A published head; ``data``: the note, as readers see it."""

    checkpoint: Checkpoint
    data: bytes

    @property
    def size(self) -> int:
        return self.checkpoint.size


class Log:
    """``folder`` holds a log of ``key``'s; ``lock``: held already, the log's from now on.

    Raises LedgerBusy, KeyWithoutLog, OtherHead, BadProof, and what the reading of damaged files raises.
    """

    def __init__(self, folder: Path, key: SignerKey, *, lock: Lock | None = None) -> None:
        self.key = key
        self._files = LogFolder(folder)
        self._mutex = threading.RLock()
        self._stopped = False
        self._lock = Lock(folder) if lock is None else lock
        try:
            self._staging = Staging(folder)
        except BaseException:
            self._lock.release()
            raise
        try:
            self._late: list[Batch] = list(self._staging.batches)
            self._head = self._find_head()
            self.catch_up()
            self._edge, self._tail = self._read_edge()
        except BaseException:
            self._staging.close()
            self._lock.release()
            raise

    @property
    def head(self) -> Head:
        """What is published."""
        return self._head

    @property
    def files(self) -> LogFolder:
        return self._files

    @property
    def is_behind(self) -> bool:
        """Whether batches are decided and not yet published: the disk refused."""
        return bool(self._late)

    def append(self, entries: Sequence[bytes]) -> range:
        """One batch under one head: all of them or none. Their indexes, which are certain once this returns.

        Raises BadEntry, LedgerUnwritable (nothing was decided), LedgerStopped, OtherHead.
        """
        check_entries(entries)
        with self._mutex:
            self.catch_up()
            first = self._edge.size
            if not entries:
                return range(first, first)
            edge, tail, batch = self._grow(entries)
            reached("grown")
            self._check_published()
            self._stage(batch)
            reached("staged")
            self._edge, self._tail = edge, tail
            self._late.append(batch)
            with contextlib.suppress(LedgerUnwritable):  # it is decided; before the next batch this is tried again
                self.catch_up()
            return range(first, edge.size)

    def catch_up(self) -> None:
        """Publishes what is decided; mostly nothing is left to do. Raises as ``append`` does."""
        with self._mutex:
            if self._stopped:
                raise LedgerStopped
            if not self._late:
                return
            try:
                self._publish()
            except OSError as error:
                raise LedgerUnwritable from error

    def add_signatures(self, checkpoint: Checkpoint, signatures: Iterable[Signature]) -> bool:
        """What witnesses have signed, below the published head; False where that is another one by now. Whoever calls
        has verified them.
        """
        with self._mutex:
            self.catch_up()
            if self._head.checkpoint != checkpoint:
                return False
            self._check_published()
            note = Note.from_bytes(self._head.data).with_signatures(signatures)
            try:
                self._put_head(note.data(), lasting=True)  # these lines are nowhere else
            except OSError as error:
                raise LedgerUnwritable from error
            return True

    def prove(self, index: int) -> LogProof:
        """That the entry is under the published head. Raises OutOfRange where it is not."""
        head = self._head
        hashes = prove_inclusion(index, head.size, TileReader(head.size, self._files.find))
        return LogProof.make(index=index, hashes=hashes, checkpoint=head.data)

    def prove_growth(self, old: int) -> tuple[bytes, ...]:
        """That the tree of ``old`` leaves, at least one, is the beginning of the published one."""
        size = self._head.size
        return prove_consistency(old, size, TileReader(size, self._files.find))

    def entry(self, index: int) -> bytes:
        """Raises OutOfRange."""
        size = self._head.size
        if not 0 <= index < size:
            raise OutOfRange(reason="the index is outside the tree")
        return read_entries(index // TILE_WIDTH, size, self._files.find)[index % TILE_WIDTH]

    def close(self) -> None:
        """Settles what can be settled. Nothing is lost where it cannot."""
        with self._mutex:
            if not self._stopped:
                with contextlib.suppress(LedgerError, OSError):
                    self.catch_up()
                    self._settle()
            self._stopped = True
            self._staging.close()
            self._lock.release()

    def _grow(self, entries: Sequence[bytes]) -> tuple[Edge, tuple[bytes, ...], Batch]:
        edge, tiles = self._edge.grow(map(leaf_hash, entries))
        files = {}
        index, waiting = self._edge.size // TILE_WIDTH, (*self._tail, *entries)
        for at in range(0, len(waiting), TILE_WIDTH):
            bundle = waiting[at : at + TILE_WIDTH]
            files[Tile(None, index + at // TILE_WIDTH, len(bundle)).path()] = pack_entries(bundle)
        files |= {tile.path(): data for tile, data in tiles.items()}
        checkpoint = Checkpoint(self.key.name, edge.size, edge.root())
        head = signed_head(checkpoint, self.key)
        tail = waiting[len(waiting) - edge.size % TILE_WIDTH :]
        return edge, tail, Batch(self._head.data, head, files)

    def _stage(self, batch: Batch) -> None:
        try:
            self._staging.add(batch)
        except BadStaging:
            self._stopped = True
            raise
        except OSError as error:
            raise LedgerUnwritable from error

    def _publish(self) -> None:
        """Everything that is decided. Written twice it is the same."""
        self._check_published()
        files: dict[str, bytes] = {}
        for batch in self._late:
            files |= batch.files
        for path, data in files.items():
            self._files.put(path, data)
            reached(f"put {path}")
        self._check_published()
        reached("before the head")
        head = self._late[-1].head
        if self._published() != read_checkpoint(head)[0]:  # else it is there, and may have witnesses' lines below it
            self._put_head(head)  # THE COMMIT POINT
        reached("after the head")
        self._late.clear()
        for path in files:
            tile = Tile.from_path(path)
            if tile.is_full:
                self._files.prune(tile)
        reached("pruned")
        if self._staging.size > MAX_STAGED_BYTES:
            self._settle()

    def _put_head(self, data: bytes, *, lasting: bool = False) -> None:
        self._files.put(CHECKPOINT, data, lasting=lasting)
        self._head = Head(read_checkpoint(data)[0], data)

    def _settle(self) -> None:
        self._files.settle()
        reached("settled")
        self._staging.clear()
        reached("cleared")

    def _published(self) -> Checkpoint | None:
        """None: power failed before a replaced checkpoint was on the disk; ``.staged`` has it then."""
        data = self._files.find_checkpoint()
        return read_checkpoint(data)[0] if data and data.strip(b"\0") else None

    def _check_published(self) -> None:
        """The compare of compare-and-swap: this writer's head, or what it is on the way to."""
        try:
            found = self._published()
            ours = [self._head.checkpoint]
            for batch in self._late:
                ours += (read_checkpoint(batch.before)[0], read_checkpoint(batch.head)[0])
        except LedgerError:
            self._stopped = True
            raise
        if found not in ours and not (found is None and self._late):
            self._stopped = True
            raise OtherHead

    def _find_head(self) -> Head:
        """The newest that is decided, its signature verified: no other is ever grown from."""
        data = self._late[-1].head if self._late else self._files.find_checkpoint()
        if data is None:
            raise KeyWithoutLog
        return Head(open_checkpoint(data, log=[self.key.verifier]).checkpoint, data)

    def _read_edge(self) -> tuple[Edge, tuple[bytes, ...]]:
        """What growing needs, checked against the head that was signed."""
        size = self._head.size
        edge = Edge.read(size, self._files.find)
        if edge.root() != self._head.checkpoint.root:
            raise BadProof(reason="its tiles lead to another root than its head has")
        tail = read_entries(size // TILE_WIDTH, size, self._files.find) if size % TILE_WIDTH else ()
        row = edge.rows[0] if edge.rows else b""
        if [leaf_hash(entry) for entry in tail] != [row[at : at + HASH_SIZE] for at in range(0, len(row), HASH_SIZE)]:
            raise BadProof(reason="its last entries are not the ones in the tree")
        return edge, tail


def check_entries(entries: Sequence[bytes]) -> None:
    """Raises BadEntry unless they fit one batch."""
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise BadEntry(reason="it is longer than 65,535 bytes")
    if len(entries) > MAX_BATCH or sum(map(len, entries)) > MAX_BATCH_BYTES:
        raise BadEntry(reason="these are too many at once")


def signed_head(checkpoint: Checkpoint, key: SignerKey) -> bytes:
    return Note(checkpoint.text(), (sign_checkpoint(checkpoint, key),)).data()


def reached(_point: str) -> None:
    """A point where the process may die; the crash test kills it here."""
