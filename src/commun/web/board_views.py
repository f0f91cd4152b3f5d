"""What the board's pages show: the board, what it decides on, who has signed. Templates pass everything that people
wrote through the filter ``shown``.
"""

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from commun.charter.amendment import Amendment
from commun.charter.comparison import Work
from commun.charter.edition import InForce, Signature
from commun.charter.freezes import FIRST_TO_FREEZE
from commun.charter.joining import charter_digest
from commun.charter.keys import text_of_key
from commun.charter.loader import Verified
from commun.charter.status import SigningStatus, signing_status
from commun.drafting.desk import Document, Lying, base_of
from commun.web.board_desk import Reading
from commun.web.charter_views import change_groups
from commun.web.kept import KeptViews
from commun.web.paper import shown, too_long
from commun.web.templating import part

FREEZABLE: Final = "yes"
SHORT: Final = 50_000  # characters of HTML


@dataclass(frozen=True, slots=True)
class FileView:
    """A file of the proposed charter. ``whole``: whether ``text`` is all of it. Otherwise it says that the file is too
    long to be shown; then no browser signs it (``static/payloads.js``).
    """

    name: str
    text: Markup
    changed: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What a document changes, made once for each language."""

    changes: Markup
    sentences: tuple[str, ...]
    files: tuple[FileView, ...]


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
    def is_short(self) -> bool:
        """Whether all its changes can stand in a list of documents."""
        return len(self.changes) <= SHORT

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


def tell(document: Document, language: str) -> Told:
    """The part that costs work. It depends on the language and on what is signed, and on nothing else."""
    if not isinstance(document, Amendment):
        return Told(Markup(""), (), ())
    before = document.base.charter if document.base else None
    groups = change_groups(before, document.charter, language)
    return Told(
        Markup(part(language, "_board_changes.html", groups=groups)),  # noqa: S704  (our own template's)
        tuple(change.sentence for group in groups for change in group.changes),
        _files(document, language),
    )


async def view_lying(views: KeptViews, lying: Lying, language: str) -> DocumentView:
    document = lying.document
    told = await views.get(("document", document.digest, language), lambda: tell(document, language))
    return _view(document, lying.status, outdated=lying.outdated, told=told)


def view_draft(document: Document, verified: Verified, language: str) -> DocumentView:
    """Costs work: in a thread."""
    status = signing_status(document, verified.root)
    return _view(document, status, outdated=False, told=tell(document, language))


def _view(document: Document, status: SigningStatus, *, outdated: bool, told: Told) -> DocumentView:
    amendment = document if isinstance(document, Amendment) else None
    signed = {assent.keyid for assent in document.assents}
    signers = document.signers()
    return DocumentView(
        document=document,
        number=amendment.number if amendment else base_of(document)[0],
        base=base_of(document)[0],
        changes=told.changes,
        sentences=told.sentences,
        signed=status.signed,
        status=status,
        outdated=outdated,
        files=told.files,
        signer_keys=tuple(text_of_key(key) for key in signers.values()),
        signed_keys=tuple(text_of_key(key) for keyid, key in signers.items() if keyid in signed),
    )


def _files(amendment: Amendment, language: str) -> tuple[FileView, ...]:
    before = amendment.base.files if amendment.base else {}
    work = Work()
    found = []
    for name, data in sorted(amendment.files.items()):
        text = data.decode("utf-8")
        can_show = work.can_show(text)
        html = shown(text) if can_show else too_long(language)
        found.append(FileView(name, html, before.get(name) != data, whole=can_show))
    return tuple(found)
