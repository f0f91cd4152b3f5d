"""receipt: verify, offline, what produced an answer; fetch the proof that was not there yet.

The arguments of ``verify`` are read by ``receipts/command.py``, as in the single file ``commun-verify``: one program,
one exit status for each verdict, and none of them for a wrong command line.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from commun.cli.words import Home, _, example, group
from commun.errors import ConfigError, NotFound

AS_THEY_ARE: Final = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

receipt_app = group(_("Receipts: what produced an answer, and whether that can be verified."))


@receipt_app.callback()
def receipts() -> None:
    """One command is still a group."""


@receipt_app.command(
    help=_("Verifies the receipt of an answer, offline. Exit status: 0 verified, 1 refused, 2 in part."),
    epilog=example("commun receipt verify answer.bundle.json --policy policy.txt"),
    context_settings=AS_THEY_ARE,
)
def verify(context: typer.Context) -> None:
    from commun.receipts.command import main

    raise typer.Exit(main(context.args, _, program="commun receipt verify"))


@receipt_app.command(
    help=_("Fetches what a proof still lacks, the ledger's part above all, and writes it into the same file."),
    epilog=example("commun receipt complete answer-1f2e3d4c.bundle.json"),
)
def complete(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_("A proof that was kept before."))],
    source: Annotated[
        str | None,
        typer.Option("--from", help=_("The Commun that answered; by default the one here."), show_default=False),
    ] = None,
    home: Home = None,
) -> None:
    import contextlib

    from commun.config import load_settings
    from commun.fetching import ReceiptSite
    from commun.receipts.bundle import PENDING, Bundle
    from commun.receipts.completing import completed
    from commun.receipts.statement import Statement
    from commun.server import base_url

    bundle = Bundle.from_bytes(read(file))
    statement = Statement.from_envelope(bundle.envelope)
    settings = load_settings(home=home)
    with contextlib.closing(ReceiptSite(source or base_url(settings, settings.port))) as site:
        later = site.find_bundle(statement.receipt)
    if later is None:
        raise NotFound
    whole = completed(bundle, Bundle.from_bytes(later))
    replace_whole(file, whole.data())
    pending = whole.ledger.receipt in (None, PENDING)
    typer.echo(
        _("The ledger's proof is still pending: try again in a moment.") if pending else _("It is complete now.")
    )


def read(file: Path) -> bytes:
    """Raises ConfigError."""
    from commun.receipts.bundle import MAX_BUNDLE_BYTES

    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        raise ConfigError(setting=file.name, reason="it cannot be read") from error


def replace_whole(file: Path, data: bytes) -> None:
    """The old file or the new one, never a part; private as it was made. Raises ConfigError."""
    from commun.secret_file import write_secret

    beside = file.with_name(f".{file.name}.new")
    try:
        beside.unlink(missing_ok=True)
        write_secret(beside, data)
        beside.replace(file)
    except OSError as error:
        raise ConfigError(setting=file.name, reason="it cannot be written") from error
