"""A witness with its files: what it has cosigned, and that it never forgets it.

Below its folder::

    logs                       whom it witnesses: ``log VKEY [URL]`` lines, as tlog-policy has them
    heads/<sha256 of origin>   the latest head that it has cosigned, with the log's lines and its own
    evidence/<fault>-….json    heads that cannot both be true (``comparison.py``)
    .lock

Rules of ``add_checkpoint``, which is one step for all threads and processes on the folder (a lock of the system's):

1. CHECK. The rules are ``witness.py``'s; the latest head is read from the disk each time.
2. SIGN, in memory: nobody has the lines yet.
3. PERSIST. The head and the lines are written beside and flushed, take the old one's place in one renaming, and the
   folder is flushed. THE COMMIT POINT. A head in place is damaged by nothing but the disk, and then nothing is signed.
4. ANSWER. So a witness that dies between any two of these steps has told nobody what it forgets; at most it remembers
   what it has told nobody.

The same head again within REPEAT_S gets the lines that it got: anybody may send a published head, and makes no work for
the disk with it.

Keys whose ``heads`` are gone sign nothing: a witness that has lost what it knew could be led to cosign a fork. (An
older copy of the folder cannot be told from the right one: such a witness begins again under a new key.)

``logs`` is read again when it has changed. A log that is removed from it is answered no more; its head and its evidence
stay, so that adding it again is no way to make the witness forget. A file with a mistake in it stops the witness
(WitnessUnready) until it is mended: nobody is dropped or trusted by accident.

Evidence is kept for ever and never written over. Its bounds, for each log: MAX_PROVEN files that prove a fault by
themselves, which only the log's key can cause; and MAX_UNPROVEN of the others, which a stranger can cause. Beyond them
it is told once (``tell``), and not kept; after MAX_TOLD of one log and one fault, none is told until a restart.

Raises what ``witness.py`` does, WitnessUnready, BadPolicy, BadLogKey, UnsafeLedgerFile.
"""

import contextlib
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from commun.errors import N_
from commun.ledger.checkpoint import Checkpoint, read_checkpoint
from commun.ledger.comparison import Evidence, find_rewritten, find_split
from commun.ledger.cosignature import time_of
from commun.ledger.errors import BadPolicy, LedgerError
from commun.ledger.files import BESIDE, LOCK, open_to_change, read_regular, sync, sync_folder
from commun.ledger.keys import VerifierKey
from commun.ledger.note import MAX_NOTE_BYTES, Note, Signature
from commun.ledger.policy import MAX_POLICY_BYTES, Log, Policy
from commun.ledger.witness import NotConsistent, OtherSize, Submission, check_growth, check_signed, cosign
from commun.ledger.witness_keys import WitnessKeys, find_keys, open_keys

LOGS: Final = "logs"
HEADS: Final = "heads"
EVIDENCE: Final = "evidence"
MAX_PROVEN: Final = 64
MAX_UNPROVEN: Final = 32
MAX_TOLD: Final = 64  # without a file
REPEAT_S: Final = 5  # seconds
_NO_QUORUM: Final = b"quorum none\n"  # what a list of logs lacks to be a policy
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_DIGITS: Final = 16


class WitnessUnready(LedgerError):
    """The disk, or its list of logs. ``details``: ``reason``."""

    code = "witness_unready"
    status = 503
    problem = N_("The witness cannot cosign now: %(reason)s.")
    cure = N_("Whoever runs it finds more in its log; send the same again later.")


@dataclass(frozen=True, slots=True)
class Watched:
    """One log, for people. ``head``: the latest that was cosigned; ``evidence``: the files' names, proofs first."""

    origin: str
    url: str
    head: Checkpoint | None
    evidence: tuple[str, ...]


class Witness:
    """``folder`` need not exist. ``name``: of the keys, where they are made now. ``tell``: each new piece of evidence,
    and the name of its file ("": there are too many). Used by many threads.
    """

    def __init__(
        self,
        folder: Path,
        key_file: Path,
        *,
        name: str = "",
        now: Callable[[], float] = time.time,
        tell: Callable[[Evidence, str], None] = lambda _evidence, _file: None,
    ) -> None:
        self.folder = folder
        self._key_file = key_file
        self._name = name
        self._now = now
        self._tell = tell
        self._mutex = threading.Lock()
        self._keys: WitnessKeys | None = None
        self._logs: tuple[Log, ...] = ()
        self._read_from: tuple[int, ...] | None = None
        self._told: dict[tuple[str, str], set[str]] = {}  # by origin and fault, without a file

    @property
    def keys(self) -> WitnessKeys:
        """Made at first use. Raises WitnessUnready where they are here and what they cosigned is not."""
        place = self.folder / HEADS
        if self._keys is None and self.find_keys() is None:
            _make(place)  # before the key: a key on the disk has its heads
        if not place.is_dir():
            raise WitnessUnready(reason="its keys are here, but what they have cosigned is gone")
        if self._keys is None:
            self._keys = open_keys(self._key_file, name=self._name)
        return self._keys

    def find_keys(self) -> WitnessKeys | None:
        """None before the first use."""
        return self._keys or find_keys(self._key_file)

    def logs(self) -> tuple[Log, ...]:
        """Whom it witnesses now. Raises BadPolicy."""
        try:
            status = (self.folder / LOGS).stat()
        except OSError:
            self._read_from = None
            return ()
        read_from = (status.st_ino, status.st_size, status.st_mtime_ns)
        if read_from != self._read_from:
            self._logs = read_logs(read_regular(self.folder, LOGS, limit=MAX_POLICY_BYTES) or b"")
            self._read_from = read_from
        return self._logs

    def add_checkpoint(self, data: bytes) -> bytes:
        """The lines of the cosignatures. ``data``: the request's body."""
        submission = Submission.from_bytes(data)
        with self._alone():
            signed = check_signed(submission, self._log_keys())
            latest = self._find_head(submission.origin)
            try:
                head = check_growth(submission, None if latest is None else read_checkpoint(latest)[0])
            except (OtherSize, NotConsistent) as error:
                self._look_for_evidence(latest, signed, submission, error)
                raise
            reached("checked")
            now = int(self._now())
            lines = self._given_just_now(latest, signed.text, now)
            if lines:
                return _text_of(lines)
            lines = cosign(head, self.keys.signers, time=now)
            reached("signed")
            self._put(HEADS, _name_of(submission.origin), signed.with_signatures(lines).data())
        reached("unlocked")
        return _text_of(lines)

    def find_checkpoint(self, origin_hash: str) -> bytes | None:
        """The latest cosigned head of a log that is witnessed. ``origin_hash``: as in the address, of any form."""
        known = {_name_of(key.name) for key in self._log_keys()} if _HASH.fullmatch(origin_hash) else set()
        return (
            read_regular(self.folder, f"{HEADS}/{origin_hash}", limit=MAX_NOTE_BYTES) if origin_hash in known else None
        )

    def watched(self) -> tuple[Watched, ...]:
        """Every log, for people."""
        found = []
        for origin, url in {log.key.name: _shown(log.url) for log in self.logs()}.items():
            data = self._find_head(origin)
            head = None if data is None else read_checkpoint(data)[0]
            names = sorted(self._evidence_of(origin, "*"), key=lambda name: (name.startswith("unproven"), name))
            found.append(Watched(origin, url, head, tuple(names)))
        return tuple(found)

    def add_log(self, key: VerifierKey, url: str = "") -> None:
        """Raises BadPolicy where it is there already, or the list would not be one."""
        with self._alone():
            old = read_regular(self.folder, LOGS, limit=MAX_POLICY_BYTES) or b""
            new = old + f"log {key.text()}{' ' * bool(url)}{url}\n".encode()
            read_logs(new)
            self._put("", LOGS, new)

    def remove_log(self, wanted: str) -> int:
        """``wanted``: a key's text, or the origin for all of its keys. How many there were."""
        with self._alone():
            old = read_regular(self.folder, LOGS, limit=MAX_POLICY_BYTES) or b""
            lines = old.splitlines(keepends=True)
            kept = [line for line in lines if not _is_of(line, wanted)]
            if len(kept) < len(lines):
                self._put("", LOGS, b"".join(kept))
            return len(lines) - len(kept)

    def _log_keys(self) -> list[VerifierKey]:
        try:
            return [log.key for log in self.logs()]
        except LedgerError as error:
            raise WitnessUnready(reason="its list of ledgers has a mistake") from error

    def _find_head(self, origin: str) -> bytes | None:
        """Raises WitnessUnready for a file that is damaged: it must not count as none."""
        try:
            data = read_regular(self.folder, f"{HEADS}/{_name_of(origin)}", limit=MAX_NOTE_BYTES)
            kept = origin if data is None else read_checkpoint(data)[0].origin
        except LedgerError as error:
            raise WitnessUnready(reason="a head that it keeps cannot be read") from error
        if kept != origin:
            raise WitnessUnready(reason="a head that it keeps is another ledger’s")
        return data

    def _given_just_now(self, latest: bytes | None, text: str, now: int) -> tuple[Signature, ...]:
        """The lines of its own below the very head that it keeps, where they are not REPEAT_S old."""
        if latest is None:
            return ()
        note = read_checkpoint(latest)[1]
        own = {(key.name, key.verifier.key_id) for key in self.keys.signers}
        lines = tuple(line for line in note.signatures if (line.name, line.key_id) in own)
        is_fresh = bool(lines) and 0 <= now - time_of(lines[0].value) < REPEAT_S
        return lines if is_fresh and note.text == text else ()

    def _look_for_evidence(
        self, latest: bytes | None, signed: Note, submission: Submission, error: LedgerError
    ) -> None:
        """Of a head that the log has signed and that is refused."""
        if latest is None or submission.head is None:
            return
        evidence = find_split(latest, signed.data())
        grown = submission.head.size > read_checkpoint(latest)[0].size
        if evidence is None and grown and isinstance(error, NotConsistent):
            evidence = find_rewritten(latest, signed.data(), submission.proof)
        if evidence is None:
            return
        # Both heads name it, so the same two are kept once, whatever proof came with them.
        digest = hashlib.sha256(read_checkpoint(latest)[1].text.encode() + signed.text.encode()).hexdigest()
        name = f"{evidence.fault.value}-{_name_of(submission.origin)[:_DIGITS]}-{digest[:_DIGITS]}.json"
        kept = self._evidence_of(submission.origin, evidence.fault.value)
        if name in kept:
            return
        if len(kept) < (MAX_PROVEN if evidence.is_proof else MAX_UNPROVEN):
            self._put(EVIDENCE, name, evidence.data())
            self._tell(evidence, name)
            return
        told = self._told.setdefault((submission.origin, evidence.fault.value), set())
        if name not in told and len(told) < MAX_TOLD:
            told.add(name)
            self._tell(evidence, "")

    def _evidence_of(self, origin: str, fault: str) -> list[str]:
        pattern = f"{fault}-{_name_of(origin)[:_DIGITS]}-*.json"
        return [path.name for path in (self.folder / EVIDENCE).glob(pattern)]

    def _put(self, folder: str, name: str, data: bytes) -> None:
        """Whole, lasting and at once in the old one's place. Raises WitnessUnready where the disk refuses."""
        place = self.folder / folder
        try:
            _make(place)
            beside = place / BESIDE
            beside.write_bytes(data)
            reached("written")
            sync(beside)
            reached("flushed")
            beside.replace(place / name)
            reached("in place")
            sync_folder(place)
            reached("lasting")
        except OSError as error:
            raise WitnessUnready(reason="its disk refuses") from error

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One thread of one process at a time. Without POSIX: of this process only."""
        with self._mutex:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                handle = open_to_change(self.folder / LOCK)
            except OSError as error:
                raise WitnessUnready(reason="its disk refuses") from error
            try:
                with contextlib.suppress(ImportError):
                    import fcntl

                    fcntl.flock(handle, fcntl.LOCK_EX)
                yield
            finally:
                os.close(handle)


def _make(folder: Path) -> None:
    """Lasting, with those above that are new. Raises OSError."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def _text_of(lines: Iterable[Signature]) -> bytes:
    return "".join(line.line() for line in lines).encode()


def read_logs(data: bytes) -> tuple[Log, ...]:
    """Raises BadPolicy."""
    policy = Policy.from_bytes(data + _NO_QUORUM)
    if policy.witnesses or policy.groups:
        raise BadPolicy(line=0, reason="a witness’s list has lines of logs only")
    return policy.logs


def _is_of(line: bytes, wanted: str) -> bool:
    parts = line.split()
    return parts[:1] == [b"log"] and len(parts) > 1 and wanted.encode() in {parts[1], parts[1].partition(b"+")[0]}


def _name_of(origin: str) -> str:
    """The specification's hash of an origin."""
    return hashlib.sha256(origin.encode()).hexdigest()


def _shown(url: bytes | None) -> str:
    return (url or b"").decode("utf-8", "backslashreplace")


def reached(_point: str) -> None:
    """A point where the process may die; the crash test kills it here."""
