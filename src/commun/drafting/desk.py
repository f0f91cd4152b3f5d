"""The board's desk: the documents that collect signatures on this machine, and what becomes of them.

They lie in the published charter's ``amendments/``: that an amendment is being signed is no secret. The command line
and the page at /board work on the same desk, so that one member may sign a file and another in a browser.

- a document is kept only if everything in it holds (``read_document``); kept again, the signatures are united. What
  was read once is not read again as long as its bytes stay (``ReadBefore``), however often somebody looks;
- what a stranger sends is only glanced at (``charter/glance.py``) until it has a signature of the present board, or is
  a document that lies here;
- a document whose base is no longer the newest edition is outdated: it is shown, it can neither be signed nor adopted;
- at most MAX_DOCUMENTS that can be read lie here. Only those that can still be adopted can fill it: where there is no
  room for another one, outdated ones are dropped, the oldest first;
- what lies there under another name than a document's is left alone and not looked at. What has such a name and cannot
  be read (damaged, too large, a link) is nobody's document: it is not shown among them and counts for nothing; it is
  named (``unreadable``) and can be withdrawn like any other, by its name.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from commun.charter.adoption import adopt
from commun.charter.amendment import MAX_DOCUMENT_BYTES, Amendment, merge
from commun.charter.edition import InForce
from commun.charter.errors import CharterError, NotAMember, OtherBase
from commun.charter.freezing import release
from commun.charter.glance import check_sent
from commun.charter.loader import Verified, load, verify
from commun.charter.release import NotFrozen, Release, propose_release, read_document
from commun.charter.repository import AMENDMENTS, Repository, is_repository_name
from commun.charter.status import SigningStatus, signing_status
from commun.drafting.witnesses import check_witnesses
from commun.errors import N_, NotFound
from commun.places import CHARTER_FOLDER, TRUST_FOLDER

SUFFIX: Final = ".amendment"
MAX_DOCUMENTS: Final = 64  # on the desk at once
MAX_READ_BEFORE: Final = 2 * MAX_DOCUMENTS

Document = Amendment | Release


class DeskFull(CharterError):
    """``details``: ``most``."""

    code = "desk_full"
    status = 409
    problem = N_("There are %(most)s amendments in flight already.")
    cure = N_("Adopt or withdraw one of them first.")


@dataclass(frozen=True, slots=True)
class Lying:
    """A document on the desk. ``outdated``: made on another edition than the newest."""

    document: Document
    status: SigningStatus
    outdated: bool


class ReadBefore:
    """Documents by the digest of their bytes: a document is nothing but what its bytes say, whoever asks and when."""

    def __init__(self, most: int = MAX_READ_BEFORE) -> None:
        self._most = most
        self._held: OrderedDict[bytes, Document] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, data: bytes) -> Document:
        """Raises CharterError."""
        digest = hashlib.sha256(data).digest()
        with self._lock:
            found = self._held.get(digest)
            if found is not None:
                self._held.move_to_end(digest)
                return found
        document = read_document(data)
        with self._lock:
            self._held[digest] = document
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        return document


_READ_BEFORE: Final = ReadBefore()  # for all desks of this process


class Desk:
    """``home``: the data folder. What lies there is looked at anew for each call: another process may be at the same
    desk.
    """

    def __init__(self, home: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.home = home
        self.repository = Repository(home / CHARTER_FOLDER)
        self.trust = home / TRUST_FOLDER
        self._now = now

    def in_force(self) -> InForce:
        """Verified, and trusted from now on. Raises CharterError."""
        return load(self.repository, self.trust, now=self._now())

    def verified(self) -> Verified:
        """Raises CharterError."""
        return verify(self.repository, self.trust, now=self._now())

    def documents(self) -> tuple[Lying, ...]:
        """All that can be read, those that can still be adopted first."""
        found = self._readable(self.verified()).values()
        return tuple(sorted(found, key=lambda lying: (lying.outdated, lying.document.id)))

    def unreadable(self) -> tuple[str, ...]:
        """The ids, by their names, of what lies there and cannot be read: it can only be withdrawn."""
        return tuple(_id_in(name) for name in self._names() if self._find(name) is None)

    def get(self, document_id: str) -> Lying:
        """Raises NotFound."""
        document = self._find(document_name(document_id))
        if document is None:
            raise NotFound
        return _lying(document, self.verified())

    def keep(self, document: Document) -> Lying:
        """Lays it on the desk, with the signatures of the copy that lies there. Raises OtherBase, DeskFull, and
        UnusableWitnesses.
        """
        if isinstance(document, Amendment):
            check_witnesses(document.charter)
        with self.repository.locked():
            kept, verified = self._united(document), self.verified()
            lying = _lying(kept, verified)
            if lying.outdated:
                raise OtherBase(base=base_of(document)[0], edition=verified.in_force.newest.number)
            name = document_name(document.id)
            if name not in self._names():
                self._make_room(verified)
            self.repository.put(name, kept.to_bytes())
        return lying

    def _make_room(self, verified: Verified) -> None:
        """For one more. Raises DeskFull."""
        if len(self._names()) < MAX_DOCUMENTS:
            return
        lying = self._readable(verified)
        outdated = sorted(
            (name for name, each in lying.items() if each.outdated), key=lambda name: lying[name].document.proposed
        )
        if len(lying) - len(outdated) >= MAX_DOCUMENTS:
            raise DeskFull(most=MAX_DOCUMENTS)
        for name in outdated[: max(0, len(lying) + 1 - MAX_DOCUMENTS)]:
            self.repository.remove(name)

    def receive_file(self, data: bytes) -> Lying:
        """As ``receive``, of bytes that nobody has looked at yet. Raises CharterError."""
        verified = self.verified()
        known = {_id_in(name) for name in self._names()}
        check_sent(data, verified.root.signed, verified.in_force.newest, known=known)
        return self.receive(_READ_BEFORE.read(data))

    def receive(self, document: Document) -> Lying:
        """As ``keep``, from somebody whom nobody knows: more signatures for what lies here already, or what a member of
        the present board has signed, so that no stranger fills the desk. Raises NotAMember besides.
        """
        with self.repository.locked():
            board = self.verified().root.signed.keys
            if self._find(document_name(document.id)) is None and not any(
                assent.keyid in board for assent in document.assents
            ):
                raise NotAMember
            return self.keep(document)

    def propose_release(self) -> Release:
        """Lays the release of the frozen edition on the desk. Raises NotFrozen."""
        verified = self.verified()
        if verified.freeze is None:
            raise NotFrozen
        document = propose_release(verified.in_force, verified.freeze.data, now=self._now())
        self.keep(document)
        return document

    def settle(self, document: Document) -> InForce:
        """Adopts an amendment, or releases what is frozen; then it no longer lies on the desk.

        Raises NotEnoughYet, OtherBase, InvalidCharter, UnusableWitnesses.
        """
        if isinstance(document, Amendment):
            check_witnesses(document.charter)
        with self.repository.locked():
            united = self._united(document)
            now = self._now()
            if isinstance(united, Amendment):
                in_force = adopt(self.repository, self.trust, united, now=now)
            else:
                in_force = release(self.repository, self.trust, united, now=now)
            if document_name(united.id) in self._names():
                self.withdraw(united.id)
        return in_force

    def withdraw(self, document_id: str) -> None:
        """Takes it off the desk, whether it can be read or not; copies elsewhere are not touched. Raises NotFound."""
        name = document_name(document_id)
        if name not in self._names():
            raise NotFound
        self.repository.remove(name)

    def _united(self, document: Document) -> Document:
        lying = self._find(document_name(document.id))
        return document if lying is None else merge(document, lying)

    def _names(self) -> list[str]:
        """What has a document's name, whatever it is."""
        return [name for name in self.repository.names(AMENDMENTS) if is_repository_name(name)]

    def _readable(self, verified: Verified) -> dict[str, Lying]:
        found = ((name, self._find(name)) for name in self._names())
        return {name: _lying(document, verified) for name, document in found if document is not None}

    def _find(self, name: str) -> Document | None:
        try:
            data = self.repository.find(name, limit=MAX_DOCUMENT_BYTES)
            return None if data is None else _READ_BEFORE.read(data)
        except CharterError:
            return None


def document_name(document_id: str) -> str:
    return f"{AMENDMENTS}/{document_id}{SUFFIX}"


def _id_in(name: str) -> str:
    return name.removeprefix(f"{AMENDMENTS}/").removesuffix(SUFFIX)


def base_of(document: Document) -> tuple[int, str]:
    """Number and digest of the edition that it stands on."""
    if isinstance(document, Amendment):
        return document.base_number, document.base_digest
    return document.edition, document.digest


def _lying(document: Document, verified: Verified) -> Lying:
    newest = verified.in_force.newest
    outdated = base_of(document) != (newest.number, newest.digest)
    if isinstance(document, Release) and verified.in_force.freeze is None:
        outdated = True
    return Lying(document, signing_status(document, None if outdated else verified.root), outdated=outdated)
