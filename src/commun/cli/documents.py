"""What the charter's commands share: their options, the desk, and documents named on the command line.

DOCUMENT, where a command takes one: a file that came by mail or on a stick, or the id of an amendment that lies on
this machine's desk (``drafting/desk.py``).
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commun.cli.words import _
from commun.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from rich.console import Console

    from commun.charter.amendment import Amendment
    from commun.charter.edition import Edition, InForce
    from commun.drafting.desk import Desk, Document

MAX_FILE_BYTES = 8_000_000
ID_DIGITS = 12

Named = Annotated[str, typer.Argument(metavar="DOCUMENT", help=_("A file, or the id of an amendment."))]
Reason = Annotated[str, typer.Option(help=_("Why: everybody will read it."), show_default=False)]
Out = Annotated[Path | None, typer.Option(help=_("Write the result to this file."), show_default=False)]
Against = Annotated[
    Path | None,
    typer.Option(help=_("A copy of the published charter, to compare the amendment with."), show_default=False),
]
Yes = Annotated[bool, typer.Option("--yes", help=_("Do not ask."))]


def now() -> datetime:
    return datetime.now(UTC)


def home_of(home: Path | None) -> Path:
    from commun.config import load_settings

    return load_settings(home=home).home


def desk_of(home: Path | None) -> "Desk":
    from commun.drafting.desk import Desk

    return Desk(home_of(home))


def read_file(path: Path) -> bytes:
    """Bounded. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(setting=str(path.name), reason="it cannot be read") from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(setting=str(path.name), reason="it is too large for an amendment")
    return data


def document_named(named: str, desk: "Desk") -> tuple["Document", Path | None]:
    """The document, and the file that it came from. Raises CharterError, NotFound, ConfigError."""
    from commun.charter.release import read_document

    path = Path(named)
    if path.is_file():
        return read_document(read_file(path)), path
    if len(named) == ID_DIGITS and named.isalnum():
        return desk.get(named).document, None
    raise NotFound


def check_base(document: "Document", desk: "Desk", against: Path | None) -> None:
    """Says what was compared: a file alone could show a difference to an edition that never was. A signature on that
    counts nowhere (``charter/amendment.py``), so that a warning is enough; of a copy, the first root's digest says
    whose charter it is. Raises OtherBase.
    """
    from commun.charter.errors import NoCharter, OtherBase
    from commun.charter.joining import charter_digest
    from commun.charter.loader import verify
    from commun.charter.repository import Repository
    from commun.drafting.desk import base_of

    try:
        verified = desk.verified() if against is None else verify(Repository(against), None, now=now())
    except NoCharter:
        typer.echo(_("! Not compared: there is no published charter here. Name a copy of it with --against."))
        typer.echo(_("  If the edition that it changes was never adopted, a signature on it counts nowhere."))
        return
    newest = verified.in_force.newest
    if base_of(document) != (newest.number, newest.digest):
        raise OtherBase(base=base_of(document)[0], edition=newest.number)
    document.check_board(verified.root.signed)
    typer.echo(_("✓ Compared with the published charter: it stands on edition %(number)s.") % {"number": newest.number})
    if against is not None:
        digest = charter_digest(verified.roots[0])
        typer.echo(_("  That copy is of charter %(digest)s: the one of your invitation?") % {"digest": digest})


def told(result: "InForce | Amendment") -> None:
    """What became of an amendment that was proposed and signed in one step."""
    from commun.charter.amendment import Amendment

    if isinstance(result, Amendment):
        words = _("Proposed as %(id)s and signed by you. Others can sign it with: commun charter sign %(id)s")
        typer.echo(words % {"id": result.id})
    else:
        typer.echo(_("In force: edition %(number)s.") % {"number": result.edition.number})


def announce(out: "Console", in_force: "InForce") -> None:
    words = _("In force: edition %(number)s.") % {"number": in_force.edition.number}
    out.print(words)


def print_document(out: "Console", document: "Document") -> None:
    from rich.text import Text

    from commun.charter.amendment import Amendment
    from commun.charter.changes import changes
    from commun.charter.words import shown
    from commun.cli.paper import heading, print_changes

    if not isinstance(document, Amendment):
        out.print(
            heading(_("Edition %(number)s is released and comes into force again.") % {"number": document.edition})
        )
        return
    out.print(heading(_("Proposed edition %(number)s (%(id)s)") % {"number": document.number, "id": document.id}))
    out.print(Text(shown(document.reason)))
    print_changes(out, changes(document.base.charter if document.base else None, document.charter))
    print_remarks(out, document)


def print_remarks(out: "Console", amendment: "Amendment") -> None:
    """What is signed and is no value: shown, so that nobody signs what they were not shown."""
    from rich.text import Text

    from commun.charter.remarks import files_changed_in_remarks
    from commun.charter.words import shown
    from commun.cli.paper import texts_compared

    base = amendment.base
    if base is None:
        return
    for name in files_changed_in_remarks(base.charter, base.files, amendment.charter, amendment.files):
        out.print()
        out.print(Text(_("The file %(file)s changes only in its remarks or its layout.") % {"file": shown(name)}))
        before, after = (files[name].decode("utf-8", "replace") for files in (base.files, amendment.files))
        out.print(texts_compared(out, before, after))


def announce_fallback(edition: "Edition") -> None:
    """What a freeze brings back, and whether it can run here at all."""
    from commun import __version__
    from commun.assistant.in_force import numbers

    typer.echo(_("Edition %(number)s would answer again.") % {"number": edition.number})
    software = edition.charter.software
    if not numbers(software.least) <= numbers(__version__) < numbers(software.below):
        words = _("! It is not for this version of Commun (%(version)s): nothing would be answered here.")
        typer.echo(words % {"version": __version__})
