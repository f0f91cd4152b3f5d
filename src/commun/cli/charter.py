"""charter: read the rules, propose others, sign, adopt, freeze, verify. Every command works offline, on files."""

from pathlib import Path
from typing import Annotated

import typer

from commun.cli.documents import (
    Against,
    Named,
    Out,
    Reason,
    Yes,
    announce,
    announce_fallback,
    check_base,
    desk_of,
    document_named,
    home_of,
    now,
    print_document,
    print_remarks,
)
from commun.cli.signers import Hardware, KeyFile, PassphraseFile, new_passphrase, show_passphrase, signer_of
from commun.cli.words import Home, _, example, group
from commun.errors import ConfigError

charter_app = group(_("The charter: the rules of this assistant, and who decides on them."))


@charter_app.command(
    "init",
    help=_("Found a charter with a board of one: your key."),
    epilog=example("commun charter init --name 'Mairie de Lannion'"),
)
def init(
    *,
    home: Home = None,
    name: Annotated[str, typer.Option(help=_("The name of this assistant."))] = "Commun",
    member: Annotated[str, typer.Option(help=_("Your name on the board."))] = "Founder",
    passphrase_file: PassphraseFile = None,
    anew: Annotated[bool, typer.Option("--anew", help=_("Put an older charter aside and found another."))] = False,
) -> None:
    from commun.drafting.founding import found

    passphrase, made_up = new_passphrase(passphrase_file)
    founded = found(home_of(home), now=now(), passphrase=passphrase, name=name, board_name=member, anew=anew)
    for folder in founded.put_aside:
        typer.echo(_("The older charter lies in %(folder)s.") % {"folder": folder})
    typer.echo(_("Your key: %(file)s") % {"file": founded.key_file})
    if made_up:
        show_passphrase(passphrase)
    typer.echo(_("A board of one: whoever holds this key and its passphrase can change this assistant."))
    typer.echo(_("Invite others with: commun charter board invite NAME"))


@charter_app.command("show", help=_("Show the charter in force, whole."), epilog=example("commun charter show"))
def show(
    *,
    home: Home = None,
    edition: Annotated[int | None, typer.Option(help=_("An earlier edition."), show_default=False)] = None,
    folder: Annotated[
        Path | None, typer.Option(help=_("Write its files to this new folder, to change them."), show_default=False)
    ] = None,
) -> None:
    from dataclasses import replace

    from commun.charter.history import get_edition
    from commun.cli.paper import console, print_charter

    desk = desk_of(home)
    in_force = desk.in_force()
    if edition is not None:
        in_force = replace(in_force, edition=get_edition(desk.repository, edition))
    if folder is None:
        print_charter(console(), in_force)
        return
    write_folder(folder, dict(in_force.edition.files if edition else in_force.newest.files))
    typer.echo(_("Written. Change the files, then: commun charter propose %(folder)s --reason …") % {"folder": folder})


def write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Raises ConfigError where something is there."""
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(setting="--folder", reason="it is not empty")
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@charter_app.command(
    "propose",
    help=_("Propose the charter in a folder as the next edition."),
    epilog=example("commun charter propose ./charter --reason 'Answers may be longer'"),
)
def propose(folder: Path, reason: Reason, *, home: Home = None, out: Out = None) -> None:
    from commun.charter import amendment
    from commun.charter.changes import changes
    from commun.charter.source import read_folder
    from commun.cli.paper import console, print_changes

    desk = desk_of(home)
    verified = desk.verified()
    proposed = amendment.propose(read_folder(folder), verified.in_force, verified.root, reason=reason, now=now())
    desk.keep(proposed)
    if out is not None:
        out.write_bytes(proposed.to_bytes())
    terminal = console()
    print_changes(terminal, changes(verified.in_force.newest.charter, proposed.charter))
    print_remarks(terminal, proposed)
    typer.echo()
    typer.echo(_("Proposed as %(id)s. Sign it with: commun charter sign %(id)s") % {"id": proposed.id})


@charter_app.command(
    "diff",
    help=_("Show what an amendment changes, word by word."),
    epilog=example("commun charter diff budget.amendment"),
)
def diff(document: Named, *, home: Home = None, against: Against = None) -> None:
    from commun.cli.paper import console

    desk = desk_of(home)
    found = document_named(document, desk)[0]
    check_base(found, desk, against)
    print_document(console(), found)


@charter_app.command(
    "sign",
    help=_("Read what changes, then sign it with your key."),
    epilog=example("commun charter sign budget.amendment --key ~/keys/me.key"),
)
def sign(
    document: Named,
    *,
    home: Home = None,
    key: KeyFile = None,
    hardware: Hardware = None,
    passphrase_file: PassphraseFile = None,
    out: Out = None,
    against: Against = None,
    yes: Yes = False,
) -> None:
    from commun.charter import amendment
    from commun.charter.status import signing_status
    from commun.cli.paper import console, print_signing

    desk = desk_of(home)
    found, file = document_named(document, desk)
    terminal = console()
    check_base(found, desk, against)
    print_document(terminal, found)
    typer.echo()
    if not yes:
        typer.confirm(_("Sign this?"), abort=True)
    with signer_of(desk.home, key, hardware, passphrase_file) as signer:
        signed = amendment.sign(found, signer, now=now())
    target = out or file
    if target is not None:
        target.write_bytes(signed.to_bytes())
    if file is None:
        signed = desk.keep(signed).document
    status = signing_status(signed)
    print_signing(terminal, status)
    if status.complete:
        typer.echo(_("Complete. Put it in force with: commun charter adopt %(document)s") % {"document": document})


@charter_app.command(
    "status",
    help=_("What is in force, and what is being signed."),
    epilog=example("commun charter status"),
)
def status(
    document: Annotated[
        str | None, typer.Argument(metavar="DOCUMENT", help=_("A file, or the id of an amendment."), show_default=False)
    ] = None,
    *,
    home: Home = None,
) -> None:
    from commun.charter.status import signing_status
    from commun.cli.paper import console, heading, print_signing, print_state

    desk, terminal = desk_of(home), console()
    if document is not None:
        print_signing(terminal, signing_status(document_named(document, desk)[0]))
        return
    in_force = desk.in_force()
    announce(terminal, in_force)
    print_state(terminal, in_force)
    for lying in desk.documents():
        typer.echo()
        note = _("outdated: propose it again on the newest edition") if lying.outdated else lying.document.kind
        terminal.print(heading(f"{lying.document.id} · {note}"))
        print_signing(terminal, lying.status)
    for name in desk.unreadable():
        typer.echo()
        terminal.print(heading(f"{name} · {_('cannot be read: it can only be withdrawn')}"))


@charter_app.command(
    "adopt",
    help=_("Put a signed amendment in force. Several copies of it: their signatures are united."),
    epilog=example("commun charter adopt budget-alice.amendment budget-bob.amendment"),
)
def adopt(documents: Annotated[list[str], typer.Argument(metavar="DOCUMENT…")], home: Home = None) -> None:
    from commun.charter.amendment import merge
    from commun.cli.paper import console

    desk = desk_of(home)
    found = [document_named(named, desk)[0] for named in documents]
    announce(console(), desk.settle(merge(found[0], *found[1:])))


@charter_app.command(
    "withdraw",
    help=_("Take an amendment off this machine's desk."),
    epilog=example("commun charter withdraw 3f1c09ab77de"),
)
def withdraw(document: Named, home: Home = None) -> None:
    desk = desk_of(home)
    desk.withdraw(document)  # by its name: also what cannot be read
    typer.echo(_("Withdrawn here. Copies elsewhere can still be signed."))


@charter_app.command(
    "freeze",
    help=_("Put the last edition that is not frozen in force, at once and alone, until the quorum decides."),
    epilog=example("commun charter freeze --reason 'It advertises'"),
)
def freeze(
    reason: Reason,
    *,
    home: Home = None,
    key: KeyFile = None,
    hardware: Hardware = None,
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
) -> None:
    from commun.charter import freezing
    from commun.cli.paper import console

    desk = desk_of(home)
    verified = desk.verified()
    newest = verified.in_force.newest
    if verified.fallback is not None:
        announce_fallback(verified.fallback)
    if not yes:
        typer.confirm(_("Freeze edition %(number)s?") % {"number": newest.number}, abort=True)
    with signer_of(desk.home, key, hardware, passphrase_file) as signer:
        in_force = freezing.freeze(desk.repository, desk.trust, signer, reason=reason, now=now())
    announce(console(), in_force)


@charter_app.command(
    "unfreeze",
    help=_("Propose to release the frozen edition; the quorum signs."),
    epilog=example("commun charter unfreeze --out release.amendment"),
)
def unfreeze(*, home: Home = None, out: Out = None) -> None:
    desk = desk_of(home)
    document = desk.propose_release()
    if out is not None:
        out.write_bytes(document.to_bytes())
    typer.echo(_("Proposed as %(id)s. Sign it with: commun charter sign %(id)s") % {"id": document.id})


@charter_app.command(
    "history",
    help=_("Every edition: when, why, who signed."),
    epilog=example("commun charter history"),
)
def history(home: Home = None) -> None:
    from rich.text import Text

    from commun.charter.history import editions, freezes
    from commun.charter.words import shown
    from commun.cli.paper import console, day, print_edition

    repository, terminal = desk_of(home).repository, console()
    frozen = {freeze.edition: freeze for freeze in freezes(repository)}
    for edition in reversed(editions(repository)):
        print_edition(terminal, edition)
        if edition.number in frozen:
            past = frozen[edition.number]
            words = _("frozen by %(member)s on %(day)s: %(reason)s") % {
                "member": past.member,
                "day": day(past.at),
                "reason": past.reason,
            }
            terminal.print(Text("  ❄ " + shown(words), style="yellow"))
        terminal.print()


@charter_app.command(
    "verify",
    help=_("Verify a published charter from its first edition on: this one, or a copy of any."),
    epilog=example("commun charter verify ./copy-of-their-charter"),
)
def verify(
    folder: Annotated[Path | None, typer.Argument(help=_("The published folder."), show_default=False)] = None,
    home: Home = None,
) -> None:
    from commun.charter.history import find_findings, verify_all
    from commun.charter.repository import Repository
    from commun.cli.paper import console, print_state

    repository = Repository(folder) if folder is not None else desk_of(home).repository
    in_force, editions = verify_all(repository, now=now())
    terminal = console()
    for edition in editions:
        members = ", ".join(signature.member for signature in edition.signatures)
        words = _("Edition %(number)s holds: %(digest)s, signed by %(members)s")
        typer.echo("✓ " + words % {"number": edition.number, "digest": edition.digest, "members": members})
    announce(terminal, in_force)
    print_state(terminal, in_force)
    found = find_findings(repository)
    for finding in found:
        typer.echo(f"! {finding.file}: {_(finding.problem)}")
    if found:
        raise typer.Exit(2)


@charter_app.command(
    "passphrase",
    help=_("Change the passphrase of a key file."),
    epilog=example("commun charter passphrase ~/keys/me.key"),
)
def passphrase(key: Path, *, old_file: PassphraseFile = None, new_file: PassphraseFile = None) -> None:
    from commun.cli.signers import open_key

    opened = open_key(key, old_file)
    wanted, made_up = new_passphrase(new_file)
    staged = key.with_name(f".{key.name}.new")
    staged.unlink(missing_ok=True)
    staged.touch(mode=0o600)
    staged.write_bytes(opened.sealed(wanted))
    staged.replace(key)
    if made_up:
        show_passphrase(wanted)
    typer.echo(_("The key has its new passphrase. Older copies of the file keep the old one."))
