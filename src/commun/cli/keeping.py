"""backup and restore."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commun.cli.words import Home, _

if TYPE_CHECKING:
    from commun.backup.making import Made
    from commun.backup.restoring import History, Restored

MEGABYTE = 1_000_000


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_("Where it is written; nothing is written over."))],
    *,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help=_("Leave out the keys that sign in this Commun’s name."))
    ] = False,
    with_models: Annotated[
        bool, typer.Option("--with-models", help=_("Take the models’ files in, too; they are large."))
    ] = False,
    home: Home = None,
) -> None:
    from commun.backup.making import make_backup
    from commun.config import load_settings

    made = make_backup(load_settings(home=home).home, file.absolute(), keys=not without_keys, models=with_models)
    tell_made(file, made, with_models=with_models)


def tell_made(file: Path, made: "Made", *, with_models: bool) -> None:
    manifest = made.manifest
    size = {"file": file, "count": len(manifest.parts), "size": f"{made.size / MEGABYTE:.1f}"}
    typer.echo(_("✓ %(file)s: %(count)s files, %(size)s MB, readable by you alone.") % size)
    if manifest.ledger is not None:
        typer.echo(_("The ledger in it has %(size)s entries.") % {"size": manifest.ledger.size})
    if manifest.keys:
        typer.echo(
            _("It holds the keys that sign in this Commun’s name, not encrypted: keep it as safe as this machine.")
        )
    else:
        typer.echo(_("The keys are not in it: what is restored from it begins a new ledger and new keys."))
    for name in made.left_out:
        typer.echo(_("Left out, because a secret is in it: %(name)s.") % {"name": name})
    if not with_models:
        typer.echo(_("Models are not in it: the charter names their digests, and their files can be added again."))
    typer.echo(_("What is deleted from now on is still in this file, sealed as it was: throw old backups away."))


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help=_("A backup."))],
    *,
    home: Annotated[Path, typer.Option("--home", help=_("The new data folder; it must be empty or not there."))],
    ledger: Annotated[
        str | None,
        typer.Option(
            metavar="continue|new",
            help=_("continue: nothing was recorded after the backup. new: begin another ledger, put this one aside."),
        ),
    ] = None,
    newest: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help=_("A folder with a later copy of the ledger, to continue.")),
    ] = None,
) -> None:
    from commun.backup.restoring import restore as restore_backup

    restored = restore_backup(file, home.absolute(), history=history_of(ledger), newest=newest)
    tell_restored(home, restored)


def history_of(ledger: str | None) -> "History | None":
    from commun.backup.restoring import History

    if ledger is None:
        return None
    try:
        return History(ledger)
    except ValueError:
        raise typer.BadParameter(_("“continue” or “new”"), param_hint="--ledger") from None


def tell_restored(home: Path, restored: "Restored") -> None:
    from datetime import UTC, datetime

    manifest = restored.manifest
    day = f"{datetime.fromtimestamp(manifest.made, UTC):%Y-%m-%d %H:%M} UTC"
    typer.echo(_("✓ %(home)s is as it was on %(day)s. Every file was checked.") % {"home": home, "day": day})
    if restored.goes_on is not None:
        typer.echo(_("The ledger goes on after its %(size)s entries.") % {"size": restored.goes_on})
        for host in restored.silent:
            typer.echo(_("The witness at %(host)s could not be asked whether it has seen more.") % {"host": host})
        typer.echo(_("Never start the Commun that this backup was made of again: two would sign one ledger."))
    elif manifest.ledger is not None:
        typer.echo(
            _(
                "The ledger of before is in the folder “ledger-before”. A new one begins at the first start, under "
                "another name and key: tell its witnesses and its readers."
            )
        )
    typer.echo(_("What was deleted, revoked or changed after the backup is there again as it was."))
    typer.echo(_("Start it: %(command)s") % {"command": f"COMMUN_HOME={home} commun serve"})
