"""Bundles: what was stored of a receipt, with the charter's files and the proofs that the ledger can give now.

Rules:

- the receipt's proof and its edition's are by one and the same head: the newest that enough witnesses have signed, as
  the policy of the charter in force has it. Until the receipt stands under such a head its proof is "pending";
- a proof is made for the entry that stands at the position, read again: a position that is not this receipt's (the
  ledger was begun anew) gives no proof;
- what a receipt says of another ledger (its origin), no proof of this one is put beside;
- the charter's files are those of the edition that the receipt names, by number and digest and in the charter that it
  names. They are verified once, and remembered for the last few editions; where they do not hold, or the folder has
  another charter, the bundle goes without them, as one whose charter is published elsewhere;
- a seed that was derived from a nonce is shown with its salt, which is computed again from the stored secret. Once the
  receipt's own proof is there, the entries of the secret's digest and, when it is published, of the secret itself are
  put beside it, both by that same head;
- files are read in threads.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

import structlog

from commun.errors import CommunError
from commun.ledger.entries import (
    EditionStatement,
    EpochSecretStatement,
    EpochStatement,
    ReceiptStatement,
    read_statement,
)
from commun.ledger.errors import LedgerError
from commun.ledger.keys import VerifierKey
from commun.ledger.log import Head, Log
from commun.ledger.merkle import prove_inclusion
from commun.ledger.proof import LogProof
from commun.ledger.tiles import TileReader
from commun.receipts.bundle import PENDING, Bundle, Logged, LoggedEntry, ShownSeed
from commun.receipts.dsse import envelope_digest
from commun.receipts.issue import NOT_LOGGED, Receipt, make_bundle
from commun.receipts.seeds import salt_of
from commun.receipts.statement import CharterUsed, Scheme, Statement
from commun.store.ledger_entries import LedgerEntries, StoredEntry
from commun.store.receipts import Receipts, StoredReceipt

EDITIONS_KEPT: Final = 4

log = structlog.get_logger()
Files = Mapping[str, bytes]


class LedgerHead(Protocol):
    """How far the ledger has come (``Recorder``). ``log`` None: this process does not have it open."""

    @property
    def verifier(self) -> VerifierKey | None: ...

    @property
    def log(self) -> Log | None: ...

    @property
    def witnessed(self) -> Head | None: ...


class Bundles:
    """``charter_folder``: the published charter."""

    def __init__(
        self, recorder: LedgerHead, entries: LedgerEntries, receipts: Receipts, *, charter_folder: Path
    ) -> None:
        self._recorder = recorder
        self._entries = entries
        self._receipts = receipts
        self._folder = charter_folder
        self._files: OrderedDict[CharterUsed, Files] = OrderedDict()
        self._editions: dict[tuple[str, int, str], StoredEntry] = {}

    async def bundle(self, stored: StoredReceipt) -> Bundle:
        """Whole where the salts are kept, else nothing disclosed."""
        if stored.salts is None or stored.values is None:
            plain = Bundle(stored.envelope, stored.key, {}, None, NOT_LOGGED)
        else:
            plain = make_bundle(stored.envelope, key=stored.key, values=stored.values, salts=stored.salts)
        return await self._with_proofs(plain, stored.position, stored.entry_sha256)

    async def fresh(self, receipt: Receipt) -> Bundle:
        """Of an answer that has just ended: its proof is pending."""
        return await self._with_proofs(receipt.bundle(), None, "")

    async def completed(self, bundle: Bundle) -> Bundle:
        """``bundle``: without charter and ledger; with both as of now."""
        digest = envelope_digest(bundle.envelope)
        return await self._with_proofs(bundle, await self._receipts.find_position(digest), digest)

    async def ledger_part(self, position: int | None, entry_sha256: str, statement: Statement) -> Logged:
        """``position`` None: not in the ledger yet. ``entry_sha256``: of the envelope."""
        return await self._ledger_part(position, entry_sha256, statement, self._recorder.witnessed)

    async def _ledger_part(
        self, position: int | None, entry_sha256: str, statement: Statement, head: Head | None
    ) -> Logged:
        ledger, verifier = self._recorder.log, self._recorder.verifier
        if verifier is None or statement.ledger != verifier.name:
            return NOT_LOGGED
        key = verifier.text()
        if ledger is None or head is None:
            return Logged(key, PENDING)
        edition = await self._find_edition(key, statement.charter)
        entry = ReceiptStatement(entry_sha256).data() if position is not None else b""
        return await asyncio.to_thread(_logged, ledger, head, position, entry, edition)

    async def _with_proofs(self, plain: Bundle, position: int | None, digest: str) -> Bundle:
        """Raises ReceiptError where the envelope is none, which no receipt of ours is."""
        statement = Statement.from_envelope(plain.envelope)
        charter = await self._charter(statement.charter)
        head = self._recorder.witnessed  # one for all proofs
        ledger = await self._ledger_part(position, digest, statement, head)
        is_logged = ledger.receipt not in (None, PENDING)
        return replace(
            plain, charter=charter, ledger=ledger, seed=await self._seed(statement, head if is_logged else None)
        )

    async def _seed(self, statement: Statement, head: Head | None) -> ShownSeed | None:
        """None: not derived from a nonce, or of a secret that is not here any more."""
        seed = statement.seed
        epoch = await self._entries.epochs.find(seed.epoch) if seed.scheme is Scheme.DERIVED else None
        if epoch is None:
            return None
        salt = salt_of(epoch.secret, bytes.fromhex(seed.nonce))
        ledger = self._recorder.log
        if ledger is None or head is None:
            return ShownSeed(salt)
        entries = [EpochStatement(epoch.sha256).data(), EpochSecretStatement.of(epoch.secret).data()]
        stored = [await self._entries.find(entry) for entry in entries]
        opened, secret = await asyncio.to_thread(_proven, ledger, head, stored)
        return ShownSeed(salt, opened, secret)

    async def _find_edition(self, key: str, used: CharterUsed) -> StoredEntry | None:
        name = (key, used.edition, used.digest)
        if name not in self._editions:
            stored = await self._entries.find_edition(used.edition)
            statement = None if stored is None else read_statement(stored.entry)
            if stored is None or not isinstance(statement, EditionStatement) or statement.digest != used.digest:
                return None
            self._editions[name] = stored
        return self._editions[name]

    async def _charter(self, used: CharterUsed) -> Files | None:
        used = replace(used, stale=False)  # whether it was stale is not of the files
        if used in self._files:
            self._files.move_to_end(used)
            return self._files[used]
        try:
            files = await asyncio.to_thread(_charter_files, self._folder, used)
        except CommunError as error:
            log.warning("a bundle goes without the charter's files", edition=used.edition, code=error.code)
            return None
        if files is not None:
            self._files[used] = files
            while len(self._files) > EDITIONS_KEPT:
                self._files.popitem(last=False)
        return files


def _charter_files(folder: Path, used: CharterUsed) -> Files | None:
    """Verified; None where the folder's charter is another one. In a thread. Raises CharterError."""
    from tuf.api.metadata import Metadata  # not before a bundle is asked for

    from commun.charter.canonical import digest_of
    from commun.charter.repository import Repository, root_name, targets_name
    from commun.receipts.adopted import charter_files

    files = charter_files(Repository(folder), used.edition)
    names = {root_name(1): used.first_root, targets_name(used.edition): used.digest}
    if any(digest_of(Metadata.from_bytes(files[name]).signed_bytes) != digest for name, digest in names.items()):
        return None
    return files


def _logged(ledger: Log, head: Head, position: int | None, entry: bytes, edition: StoredEntry | None) -> Logged:
    """In a thread. A ledger whose files are damaged gives no proof, and says so in the log."""
    key = ledger.key.verifier.text()
    try:
        receipt = PENDING
        if position is not None and position < head.size and ledger.entry(position) == entry:
            receipt = _proof(ledger, head, position)
        return Logged(key, receipt, _entry(ledger, head, edition))
    except LedgerError as error:
        log.warning("the ledger gives no proof", code=error.code, problem=error.text())
        return Logged(key, PENDING)


def _proven(ledger: Log, head: Head, stored: Sequence[StoredEntry | None]) -> list[LoggedEntry | None]:
    """In a thread, as ``_logged``."""
    try:
        return [_entry(ledger, head, each) for each in stored]
    except LedgerError as error:
        log.warning("the ledger gives no proof", code=error.code, problem=error.text())
        return [None] * len(stored)


def _entry(ledger: Log, head: Head, stored: StoredEntry | None) -> LoggedEntry | None:
    if stored is None or stored.position >= head.size or ledger.entry(stored.position) != stored.entry:
        return None
    return LoggedEntry(stored.entry, _proof(ledger, head, stored.position))


def _proof(ledger: Log, head: Head, index: int) -> str:
    hashes = prove_inclusion(index, head.size, TileReader(head.size, ledger.files.find))
    return LogProof.make(index=index, hashes=hashes, checkpoint=head.data).data().decode()
