"""What every command shares: the terminal's language, the data folder's option, the last line of the help, how an
error is told.
"""

from pathlib import Path
from typing import Annotated

import typer

from commun.environment import cli_language
from commun.errors import CommunError
from commun.web.i18n import translator

_ = translator(cli_language())

Home = Annotated[Path | None, typer.Option("--home", help=_("The data folder."), show_default=False)]


def example(command: str) -> str:
    """The last line of each command's help."""
    return _("Example: %(command)s") % {"command": command}


def group(text: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=text, no_args_is_help=True)


def tell(error: CommunError) -> None:
    """The error, and under it every mistake that it found (``charter.errors.CharterMistakes``)."""
    typer.echo(error.text(_), err=True)
    for mistake in getattr(error, "mistakes", ()):
        place = f"{mistake.file}:{mistake.line}" if mistake.line else mistake.file
        details = {name: _(value) if name == "reason" else value for name, value in mistake.details}
        sentences = (_(text) % details if details else _(text) for text in (mistake.problem, mistake.cure))
        typer.echo(f"  {place}: {' '.join(sentences)}", err=True)
