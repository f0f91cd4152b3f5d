"""The board's desk: the documents that collect signatures on this machine, and what becomes of them.

They lie in the published charter's ``amendments/``: that an amendment is being signed is no secret. The command line
and the page at /board work on the same desk, so that one member may sign a file and another in a browser.

- a document is kept only if everything in it holds (``read_document``); kept again, the signatures are united;
- a document whose base is no longer the newest edition is outdated: it is shown, it can neither be signed nor adopted;
- what lies there and cannot be read is nobody's document: it is left alone and not shown.
"""

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
from commun.charter.loader import Verified, load, verify
from commun.charter.release import NotFrozen, Release, propose_release, read_document
from commun.charter.repository import AMENDMENTS, Repository
from commun.charter.status import SigningStatus, signing_status
from commun.errors import N_, NotFound
from commun.places import CHARTER_FOLDER, TRUST_FOLDER

SUFFIX: Final = ".amendment"
MAX_DOCUMENTS: Final = 64  # on the desk at once

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


class Desk:
    """``home``: the data folder. Nothing is remembered between calls: another process may be at the same desk."""

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
        verified = self.verified()
        found = []
        for name in self.repository.names(AMENDMENTS):
            document = self._find(name)
            if document is not None:
                found.append(_lying(document, verified))
        return tuple(sorted(found, key=lambda lying: (lying.outdated, lying.document.id)))

    def get(self, document_id: str) -> Lying:
        """Raises NotFound."""
        document = self._find(document_name(document_id)) if document_id.isalnum() else None
        if document is None:
            raise NotFound
        return _lying(document, self.verified())

    def keep(self, document: Document) -> Lying:
        """Lays it on the desk, with the signatures of the copy that lies there. Raises OtherBase, DeskFull."""
        with self.repository.locked():
            kept, verified = self._united(document), self.verified()
            lying = _lying(kept, verified)
            if lying.outdated:
                raise OtherBase(base=base_of(document)[0], edition=verified.in_force.newest.number)
            name = document_name(document.id)
            names = self.repository.names(AMENDMENTS)
            if name not in names and len(names) >= MAX_DOCUMENTS:
                raise DeskFull(most=MAX_DOCUMENTS)
            self.repository.put(name, kept.to_bytes())
        return lying

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

        Raises NotEnoughYet, OtherBase, InvalidCharter.
        """
        with self.repository.locked():
            united = self._united(document)
            now = self._now()
            if isinstance(united, Amendment):
                in_force = adopt(self.repository, self.trust, united, now=now)
            else:
                in_force = release(self.repository, self.trust, united, now=now)
            self.withdraw(united.id)
        return in_force

    def withdraw(self, document_id: str) -> None:
        """Takes it off the desk; copies elsewhere are not touched."""
        name = document_name(document_id)
        if name in self.repository.names(AMENDMENTS):
            self.repository.remove(name)

    def _united(self, document: Document) -> Document:
        lying = self._find(document_name(document.id))
        return document if lying is None else merge(document, lying)

    def _find(self, name: str) -> Document | None:
        data = self.repository.find(name, limit=MAX_DOCUMENT_BYTES)
        try:
            return None if data is None else read_document(data)
        except CharterError:
            return None


def document_name(document_id: str) -> str:
    return f"{AMENDMENTS}/{document_id}{SUFFIX}"


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
