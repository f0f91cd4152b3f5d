"""What every command shares: the terminal's language, the data folder's option, the last line of the help."""

from pathlib import Path
from typing import Annotated

import typer

from commun.environment import cli_language
from commun.web.i18n import translator

_ = translator(cli_language())

Home = Annotated[Path | None, typer.Option("--home", help=_("The data folder."), show_default=False)]


def example(command: str) -> str:
    """The last line of each command's help."""
    return _("Example: %(command)s") % {"command": command}


def group(text: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=text, no_args_is_help=True)
