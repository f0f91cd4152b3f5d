"""model: list, add, use, remove."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from commun.cli.documents import Yes
from commun.cli.progress import progress
from commun.cli.signers import Hardware, KeyFile, PassphraseFile
from commun.cli.words import Home, _, example, group

if TYPE_CHECKING:
    from collections.abc import Callable

    from commun.engine.weights import Manifest, ModelLibrary, Progress

NICE: Final = 19
EVERY_S: Final = 0.5

model_app = group(_("The models on this machine."))


@model_app.command("list", help=_("List the models."), epilog=example("commun model list"))
def model_list(home: Home = None) -> None:
    from rich.console import Console
    from rich.table import Table

    library = open_library(home)
    adopted, answers = adopted_digests(home)
    table = Table(box=None)
    for title in (_("Model"), _("Family"), _("Context"), _("Size"), _("Licence"), _("In the charter")):
        table.add_column(title)
    for manifest in library.list():
        size = sum(entry.size for entry in manifest.files)
        name = manifest.identity
        place = _("answers") if name == answers else _("adopted") if name in adopted else ""
        table.add_row(
            manifest.id, manifest.family, str(manifest.context_length), megabytes(size), manifest.licence, place
        )
    if not table.row_count:
        typer.echo(_("No model yet. “commun serve” or “commun model add default” gets the one that comes with Commun."))
        return
    Console().print(table)


def adopted_digests(home: Path | None) -> tuple[set[str], str]:
    """The identities of the models that the charter adopts, and of the one that answers. Nothing without a charter."""
    from commun.charter.errors import CharterError
    from commun.cli.documents import desk_of
    from commun.engine.manifest import identity

    try:
        models = desk_of(home).verified().in_force.charter.models
    except CharterError:
        return set(), ""
    found = {model.id: identity(model.digest, model.url, model.remote_model) for model in models.adopted}
    return set(found.values()), found[models.default]


@model_app.command(
    "add",
    help=_("Add a model: a GGUF file, an OpenVINO folder, a Hugging Face id, a server’s address, or “default”."),
    epilog=example("commun model add ./Qwen3-4B-Q4_K_M.gguf --name qwen"),
)
def model_add(
    source: Annotated[
        str, typer.Argument(help=_("File, folder, Hugging Face id, address ending in /v1, or “default”."))
    ],
    *,
    home: Home = None,
    name: Annotated[str | None, typer.Option(help=_("What to call it."), show_default=False)] = None,
    origin: Annotated[
        str | None,
        typer.Option("--from", help=_("Instead of the setting models_from."), metavar="URL", show_default=False),
    ] = None,
    hub: Annotated[bool, typer.Option("--hub", help=_("From Hugging Face, whatever lies here."))] = False,
    json: Annotated[bool, typer.Option("--json", help=_("What is done, one JSON object a line."))] = False,
) -> None:
    library = open_library(home, origin)
    add = library.add_from_hub if hub else library.add
    if json:
        _add_for_programs(add, source, name)
        return
    with progress() as report:
        manifest = add(source, name=name, progress=report)
    describe(manifest)
    typer.echo(_("Use it with: commun model use %(model)s") % {"model": manifest.id})


def _add_for_programs(add: "Callable[..., Manifest]", source: str, name: str | None) -> None:
    """What ``engine/adding.py`` listens to. The least priority: whoever asks the server goes first."""
    from json import dumps

    from commun.errors import CommunError
    from commun.web.i18n import LANGUAGES, translator

    def say(**said: Any) -> None:
        typer.echo(dumps(said, ensure_ascii=False))

    def report(stage: str, done: int, total: int) -> None:
        say(stage=stage, done=done, total=total)

    os.nice(NICE)
    try:
        manifest = add(source, name=name, progress=Seldom(report))
    except CommunError as error:
        say(error={language: error.text(translator(language)) for language in LANGUAGES})
        raise typer.Exit(1) from error
    say(model=manifest.id)


class Seldom:
    """Passes on the first of each stage, then one every EVERY_S: a download tells of each piece."""

    def __init__(self, report: "Progress") -> None:
        self._report = report
        self._stage, self._next = "", 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage or now >= self._next:
            self._stage, self._next = stage, now + EVERY_S
            self._report(stage, done, total)


@model_app.command(
    "use",
    help=_("Propose that this model answers. With a board of one, your signature puts it in force at once."),
    epilog=example("commun model use qwen"),
)
def model_use(
    model: str,
    *,
    home: Home = None,
    reason: Annotated[str | None, typer.Option(help=_("Why: everybody will read it."), show_default=False)] = None,
    key: KeyFile = None,
    hardware: Hardware = None,
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
) -> None:
    from commun.cli.board import propose_and_sign
    from commun.cli.documents import desk_of
    from commun.drafting.editing import with_default_model, with_model
    from commun.drafting.models import adopted_model

    library, desk = open_library(home), desk_of(home)
    manifest = library.get(model)
    files = with_model(desk.verified().in_force.newest.files, adopted_model(manifest, library.converted(model)))
    why = reason or _("“%(model)s” answers from now on.") % {"model": manifest.name}
    propose_and_sign(desk, with_default_model(files, model), why, (key, hardware, passphrase_file), yes=yes)


@model_app.command(
    "remove", help=_("Remove a model and its files from the data folder."), epilog=example("commun model remove qwen")
)
def model_remove(model: str, home: Home = None) -> None:
    open_library(home).remove(model)
    typer.echo(_("“%(model)s” is removed.") % {"model": model})


def open_library(home: Path | None, origin: str | None = None) -> "ModelLibrary":
    from commun.config import load_settings
    from commun.engine.weights import ModelLibrary

    settings = load_settings(home=home, models_from=origin)
    return ModelLibrary(settings.home, endpoint=settings.models_from, remote_key=settings.remote_key.get_secret_value())


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
