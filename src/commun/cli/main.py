"""The command line: every command in one table.

Imports stay inside the commands: `commun --help` must answer at once, and only `serve` and `chat` need the engine.
"""

import sys
from typing import Annotated

import typer

from commun import __version__
from commun.cli import keeping, serving
from commun.cli.audit import audit_app
from commun.cli.board import board_app
from commun.cli.charter import charter_app
from commun.cli.ledger import ledger_app
from commun.cli.models import model_app
from commun.cli.people import user_app
from commun.cli.receipt import receipt_app
from commun.cli.settings import config_app
from commun.cli.witness import witness_app
from commun.cli.words import _, example, tell
from commun.errors import CommunError

app = typer.Typer(
    name="commun",
    help=_("An open AI assistant that nobody alone can change without everybody seeing it."),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(help=_("Start Commun and print the link to open."), epilog=example("commun serve --port 8080"))(
    serving.serve
)
app.command(
    help=_("Talk with the model in the terminal. Nothing is stored."),
    epilog=example("echo 'What is a quorum?' | commun chat"),
)(serving.chat)
app.command(
    help=_("Copy this Commun into one file, also while it runs."), epilog=example("commun backup commun-2026-11-22.tar")
)(keeping.backup)
app.command(
    help=_("Make a fresh data folder out of a backup."),
    epilog=example("commun restore commun-2026-11-22.tar --home ./commun --ledger new"),
)(keeping.restore)
app.add_typer(audit_app, name="audit")
charter_app.add_typer(board_app, name="board")
app.add_typer(charter_app, name="charter")
app.add_typer(ledger_app, name="ledger")
app.add_typer(model_app, name="model")
app.add_typer(receipt_app, name="receipt")
app.add_typer(witness_app, name="witness")
app.add_typer(config_app, name="config")
app.add_typer(user_app, name="user")


def show_version(wanted: bool) -> None:  # noqa: FBT001  (typer calls it so)
    if wanted:
        typer.echo(f"commun {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True)] = False,
) -> None:
    del version


def main() -> None:
    """Entry point: an error of ours is one line with its cure and exit status 1, never a traceback."""
    try:
        app()
    except CommunError as error:
        tell(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
