"""What the board's pages show: the board, what it decides on, who has signed. Templates pass everything that people
wrote through the filter ``shown``.
"""

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from commun.charter.amendment import Amendment
from commun.charter.edition import InForce, Signature
from commun.charter.freezes import FIRST_TO_FREEZE
from commun.charter.joining import charter_digest
from commun.charter.keys import text_of_key
from commun.charter.loader import Verified
from commun.charter.status import SigningStatus, signing_status
from commun.drafting.desk import Document, Lying, base_of
from commun.web.board_desk import Reading
from commun.web.charter_views import Group, change_groups
from commun.web.templating import part

FREEZABLE: Final = "yes"


@dataclass(frozen=True, slots=True)
class FileView:
    """A file of the proposed charter, whole."""

    name: str
    text: str
    changed: bool


@dataclass(frozen=True, slots=True)
class DocumentView:
    """``number``: of the edition that it makes, or releases. ``digest``: what is signed. ``changes``: word by word,
    as HTML; ``sentences``: the same in a few words. ``signer_keys``, ``signed_keys``: public keys in their text form.
    """

    document: Document
    number: int
    base: int
    changes: Markup
    sentences: tuple[str, ...]
    signed: tuple[Signature, ...]
    status: SigningStatus
    outdated: bool
    files: tuple[FileView, ...]
    signer_keys: tuple[str, ...]
    signed_keys: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.document.id

    @property
    def kind(self) -> str:
        return self.document.kind

    @property
    def digest(self) -> str:
        return self.document.digest


@dataclass(frozen=True, slots=True)
class StateView:
    """What is in force, and who decides. ``freezable``: FREEZABLE, or why not: "first" (there is none to go back to),
    "frozen" (already), "released" (once only). ``charter_id``: the digest that names this charter for ever.
    """

    in_force: InForce
    charter_id: str
    freezable: str
    guards: frozenset[str]


def view_state(reading: Reading) -> StateView:
    verified = reading.verified
    guards = frozenset(verified.in_force.newest.charter.entrenched.guards)
    return StateView(verified.in_force, charter_digest(verified.roots[0]), _freezable(verified), guards)


def _freezable(verified: Verified) -> str:
    if verified.in_force.newest.number < FIRST_TO_FREEZE:
        return "first"
    if verified.freeze is not None:
        return "released" if verified.freeze.released else "frozen"
    return FREEZABLE


def view_lying(reading: Reading, lying: Lying, language: str) -> DocumentView:
    """Made once for each reading: comparing long texts is work."""

    def make() -> DocumentView:
        return _view(lying.document, lying.status, outdated=lying.outdated, language=language)

    return reading.once((lying.document.id, language), make)


def view_draft(document: Document, verified: Verified, language: str) -> DocumentView:
    return _view(document, signing_status(document, verified.root), outdated=False, language=language)


def _view(document: Document, status: SigningStatus, *, outdated: bool, language: str) -> DocumentView:
    amendment = document if isinstance(document, Amendment) else None
    groups = _groups(amendment, language) if amendment else []
    signed = {assent.keyid for assent in document.assents}
    signers = document.signers()
    return DocumentView(
        document=document,
        number=amendment.number if amendment else base_of(document)[0],
        base=base_of(document)[0],
        changes=Markup(part(language, "_board_changes.html", groups=groups)),  # noqa: S704  (our own template's)
        sentences=tuple(change.sentence for group in groups for change in group.changes),
        signed=status.signed,
        status=status,
        outdated=outdated,
        files=_files(amendment) if amendment else (),
        signer_keys=tuple(text_of_key(key) for key in signers.values()),
        signed_keys=tuple(text_of_key(key) for keyid, key in signers.items() if keyid in signed),
    )


def _groups(amendment: Amendment, language: str) -> list[Group]:
    before = amendment.base.charter if amendment.base else None
    return change_groups(before, amendment.charter, language)


def _files(amendment: Amendment) -> tuple[FileView, ...]:
    before = amendment.base.files if amendment.base else {}
    return tuple(
        FileView(name, data.decode("utf-8"), before.get(name) != data) for name, data in sorted(amendment.files.items())
    )
