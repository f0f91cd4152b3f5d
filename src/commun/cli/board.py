"""charter board: invite, join, add, remove. Who sits on the board is decided by an amendment, like everything else."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commun.cli.documents import Out, Reason, Yes, desk_of, home_of, now, told
from commun.cli.signers import (
    Hardware,
    KeyFile,
    PassphraseFile,
    new_passphrase,
    show_passphrase,
    signer_of,
    write_private,
)
from commun.cli.words import Home, _, example, group
from commun.errors import ConfigError
from commun.places import KEYS_FOLDER

if TYPE_CHECKING:
    from commun.drafting.desk import Desk

board_app = group(_("The board: who decides on the charter."))

MAX_TEXT_FILE = 1 << 14

Quorum = Annotated[
    int | None, typer.Option(help=_("How many must sign from then on; by default as now."), show_default=False)
]


@board_app.command(
    "invite",
    help=_("Write an invitation to the board. It is no secret and grants nothing by itself."),
    epilog=example("commun charter board invite 'Bob Le Goff' > bob.txt"),
)
def invite(
    name: Annotated[str, typer.Argument(help=_("Who is invited, as the charter will call them."))],
    *,
    home: Home = None,
    by: Annotated[
        str | None, typer.Option(help=_("Who invites; by default the first on the board."), show_default=False)
    ] = None,
) -> None:
    from commun.charter.joining import Invitation, charter_digest

    verified = desk_of(home).verified()
    newest = verified.in_force.newest
    invitation = Invitation(
        name=name,
        by=by or newest.charter.board.members[0].name,
        charter_name=newest.charter.name,
        root_digest=charter_digest(verified.roots[0]),
        edition=newest.digest,
    )
    typer.echo(invitation.to_text())
    hint = _("Send this text. It is answered with “commun charter board join” or in a browser at /board/join.")
    typer.echo(hint, err=True)


@board_app.command(
    "join",
    help=_("Answer an invitation: make your key, and a request to send back. Needs no Commun server."),
    epilog=example("commun charter board join bob.txt --out request.txt"),
)
def join(
    invitation: Annotated[str, typer.Argument(help=_("The invitation’s text, or a file that holds it."))],
    *,
    home: Home = None,
    out: Out = None,
    key_out: Annotated[
        Path | None,
        typer.Option(help=_("Where the new key goes; by default into the data folder."), show_default=False),
    ] = None,
    hardware: Hardware = None,
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
) -> None:
    from commun.charter.joining import Invitation, accept
    from commun.charter.keys import make_key
    from commun.charter.words import shown

    asked = Invitation.from_text(text_of(invitation))
    details = {"by": shown(asked.by), "name": shown(asked.name), "charter": shown(asked.charter_name)}
    typer.echo(_("%(by)s invites %(name)s to the board of “%(charter)s”.") % details)
    typer.echo(_("Charter: %(digest)s") % {"digest": asked.root_digest})
    if not yes:
        typer.confirm(_("Make a key and answer?"), abort=True)
    if hardware is not None:
        with signer_of(home_of(home), None, hardware, passphrase_file) as signer:
            request = accept(asked, signer)
    else:
        passphrase, made_up = new_passphrase(passphrase_file)
        key = make_key()
        path = key_out or home_of(home) / KEYS_FOLDER / f"{key.keyid[:12]}.key"
        write_private(path, key.sealed(passphrase))
        typer.echo(_("Your key: %(file)s") % {"file": path})
        if made_up:
            show_passphrase(passphrase)
        request = accept(asked, key.signer)
    if out is None:
        typer.echo(request.to_text())
    else:
        out.write_text(request.to_text() + "\n", encoding="utf-8")
    typer.echo(_("Send the request back. You are a member once an amendment with it is adopted."), err=True)


@board_app.command(
    "add",
    help=_("Propose a new member, from the request that came back, and sign."),
    epilog=example("commun charter board add request.txt --guard --reason 'Bob is our delegate'"),
)
def add(
    request: Annotated[str, typer.Argument(help=_("The request’s text, or a file that holds it."))],
    reason: Reason,
    *,
    home: Home = None,
    quorum: Quorum = None,
    guard: Annotated[bool, typer.Option("--guard", help=_("Also guards the entrenched clauses."))] = False,
    key: KeyFile = None,
    hardware: Hardware = None,
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
) -> None:
    from commun.charter.clauses import Member
    from commun.charter.joining import JoinRequest
    from commun.drafting.editing import with_guard, with_member, with_quorum

    desk = desk_of(home)
    verified = desk.verified()
    joining = JoinRequest.from_text(text_of(request))
    joining.check_charter(verified.roots[0])
    files = with_member(verified.in_force.newest.files, Member(joining.name, joining.key))
    if guard:
        files = with_guard(files, joining.name)
    if quorum is not None:
        files = with_quorum(files, quorum)
    propose_and_sign(desk, files, reason, (key, hardware, passphrase_file), yes=yes)


@board_app.command(
    "remove",
    help=_("Propose that a member leaves, and sign."),
    epilog=example("commun charter board remove 'Bob Le Goff' --reason 'The mandate ended'"),
)
def remove(
    name: str,
    reason: Reason,
    *,
    home: Home = None,
    quorum: Quorum = None,
    guard: Annotated[
        bool, typer.Option("--guard", help=_("Also from the guards, which every guard must sign."))
    ] = False,
    key: KeyFile = None,
    hardware: Hardware = None,
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
) -> None:
    from commun.drafting.editing import with_quorum, without_member

    desk = desk_of(home)
    files = dict(desk.verified().in_force.newest.files)
    if quorum is not None:
        files = with_quorum(files, quorum)
    files = without_member(files, name, guard=guard)
    propose_and_sign(desk, files, reason, (key, hardware, passphrase_file), yes=yes)


def propose_and_sign(
    desk: "Desk",
    files: dict[str, bytes],
    reason: str,
    keys: tuple[Path | None, str | None, Path | None],
    *,
    yes: bool,
) -> None:
    """Shows what changes, asks, signs; where this signature is enough, it is in force. ``keys``: as ``signer_of``."""
    from commun.charter.changes import changes
    from commun.charter.source import read_charter
    from commun.cli.paper import console, print_changes
    from commun.drafting.founding import amend

    newest = desk.verified().in_force.newest
    print_changes(console(), changes(newest.charter, read_charter(files)))
    typer.echo()
    if not yes:
        typer.confirm(_("Sign this?"), abort=True)
    with signer_of(desk.home, *keys) as signer:
        told(amend(desk.home, files, reason=reason, signer=signer, now=now()))


def text_of(named: str) -> str:
    """The text itself, or what the file of that name holds. Raises ConfigError."""
    if named.startswith("commun-"):
        return named
    try:
        with Path(named).open("rb") as file:
            return file.read(MAX_TEXT_FILE).decode("utf-8", "replace")
    except OSError as error:
        raise ConfigError(setting=Path(named).name, reason="it cannot be read") from error
