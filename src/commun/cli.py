"""The command line: serve, chat, model, config, user.

Imports stay inside the commands: `commun --help` must answer at once, and only `serve` and `chat` need the engine.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commun import __version__
from commun.environment import cli_language
from commun.errors import CommunError, ConfigError
from commun.web.i18n import translator

if TYPE_CHECKING:
    from commun.engine.weights import Manifest, ModelLibrary

_ = translator(cli_language())

app = typer.Typer(
    name="commun",
    help=_("An open AI assistant that nobody alone can change without everybody seeing it."),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
model_app = typer.Typer(help=_("The models on this machine."), no_args_is_help=True)
config_app = typer.Typer(help=_("The settings of operation."), no_args_is_help=True)
user_app = typer.Typer(help=_("People and API keys."), no_args_is_help=True)
app.add_typer(model_app, name="model")
app.add_typer(config_app, name="config")
app.add_typer(user_app, name="user")

Home = Annotated[Path | None, typer.Option("--home", help=_("The data folder."), show_default=False)]


def example(command: str) -> str:
    """The last line of each command's help."""
    return _("Example: %(command)s") % {"command": command}


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


@app.command(help=_("Start Commun and print the link to open."), epilog=example("commun serve --port 8080"))
def serve(
    home: Home = None,
    host: Annotated[str | None, typer.Option(help=_("The address to listen on."), show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help=_("The port to listen on."), show_default=False)] = None,
) -> None:
    from commun.app import run_server
    from commun.config import load_settings

    run_server(load_settings(home=home, host=host, port=port), _)


@app.command(
    help=_("Talk with the model in the terminal. Nothing is stored."),
    epilog=example("echo 'What is a quorum?' | commun chat"),
)
def chat(
    home: Home = None,
    model: Annotated[str | None, typer.Option(help=_("The model to talk with."), show_default=False)] = None,
    seed: Annotated[
        int | None, typer.Option(help=_("The same seed gives the same answer."), show_default=False)
    ] = None,
) -> None:
    from commun.app import run_chat
    from commun.config import load_settings

    run_chat(load_settings(home=home), _, model=model, seed=seed, bars=progress)


@model_app.command("list", help=_("List the models."), epilog=example("commun model list"))
def model_list(home: Home = None) -> None:
    from rich.console import Console
    from rich.table import Table

    library = open_library(home)
    table = Table(box=None)
    for title in (_("Model"), _("Family"), _("Context"), _("Size"), _("Licence"), _("In use")):
        table.add_column(title)
    for manifest in library.list():
        size = sum(entry.size for entry in manifest.files)
        in_use = "✓" if manifest.id == library.current() else ""
        table.add_row(
            manifest.id, manifest.family, str(manifest.context_length), megabytes(size), manifest.licence, in_use
        )
    if not table.row_count:
        typer.echo(_("No model yet. “commun serve” or “commun model add default” gets the one that comes with Commun."))
        return
    Console().print(table)


@model_app.command(
    "add",
    help=_("Add a model: a GGUF file, an OpenVINO folder, a Hugging Face id, or “default”."),
    epilog=example("commun model add ./Qwen3-4B-Q4_K_M.gguf --name qwen"),
)
def model_add(
    source: Annotated[str, typer.Argument(help=_("File, folder, Hugging Face id or “default”."))],
    home: Home = None,
    name: Annotated[str | None, typer.Option(help=_("What to call it."), show_default=False)] = None,
) -> None:
    library = open_library(home)
    with progress() as report:
        manifest = library.add(source, name=name, progress=report)
    describe(manifest)
    typer.echo(_("Use it with: commun model use %(model)s") % {"model": manifest.id})


@model_app.command(
    "use", help=_("Choose the model that answers; restart “commun serve”."), epilog=example("commun model use qwen")
)
def model_use(model: str, home: Home = None) -> None:
    open_library(home).use(model)
    typer.echo(_("“%(model)s” answers from the next start of “commun serve”.") % {"model": model})


@model_app.command(
    "remove", help=_("Remove a model and its files from the data folder."), epilog=example("commun model remove qwen")
)
def model_remove(model: str, home: Home = None) -> None:
    open_library(home).remove(model)
    typer.echo(_("“%(model)s” is removed.") % {"model": model})


@config_app.command("show", help=_("Show every setting and its value."), epilog=example("commun config show"))
def config_show(home: Home = None) -> None:
    from rich.console import Console
    from rich.table import Table

    from commun.config import Settings, load_settings

    settings = load_settings(home=home)
    table = Table(box=None)
    for title in (_("Setting"), _("Value"), _("Variable"), _("Meaning")):
        table.add_column(title)
    for name, field in Settings.model_fields.items():
        meaning = translator(cli_language())(field.description or name)
        table.add_row(name, str(getattr(settings, name)), f"COMMUN_{name.upper()}", meaning)
    Console().print(table)


@config_app.command("check", help=_("Check the settings without starting."), epilog=example("commun config check"))
def config_check(home: Home = None) -> None:
    from commun.config import load_settings

    settings = load_settings(home=home)
    if settings.engine == "remote" and not settings.remote_url:
        raise ConfigError(setting="remote_url", reason="engine is “remote”, and no server is named")
    typer.echo(_("The settings are valid. Data folder: %(home)s") % {"home": settings.home})


@user_app.command(
    "key", help=_("Make an API key and print it; it is shown this once."), epilog=example("commun user key laptop")
)
def user_key(name: Annotated[str, typer.Argument(help=_("What the key is for."))], home: Home = None) -> None:
    import asyncio

    from commun.app import make_api_key
    from commun.config import load_settings

    typer.echo(asyncio.run(make_api_key(load_settings(home=home), name)))


@user_app.command("link", help=_("Make a new sign-in link and print it."), epilog=example("commun user link"))
def user_link(home: Home = None) -> None:
    import asyncio

    from commun.app import make_link
    from commun.config import load_settings

    typer.echo(asyncio.run(make_link(load_settings(home=home))))


def open_library(home: Path | None) -> "ModelLibrary":
    from commun.config import load_settings
    from commun.engine.weights import ModelLibrary

    return ModelLibrary(load_settings(home=home).home)


def describe(manifest: "Manifest") -> None:
    rows: dict[str, Any] = {
        _("Model"): manifest.id,
        _("Family"): manifest.family,
        _("Licence"): manifest.licence or "?",
        _("Digest"): manifest.digest,
        **{f"{_('Fidelity')}: {name}": value for name, value in manifest.fidelity.items()},
    }
    for title, value in rows.items():
        typer.echo(f"{title}: {value}")


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


class Report:
    """Shows what a long step does: one bar a stage (``engine.weights.Progress``)."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(_(stage), total=total or None)
        self._bars.update(self._tasks[stage], completed=done, total=total or None)


@contextlib.contextmanager
def progress() -> Iterator[Report]:
    """Progress bars on standard error, so that standard output stays clean for scripts."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Report(bars)


def main() -> None:
    """Entry point: an error of ours is one line with its cure and exit status 1, never a traceback."""
    try:
        app()
    except CommunError as error:
        typer.echo(error.text(_), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
