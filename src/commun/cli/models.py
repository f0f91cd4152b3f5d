"""model: list, add, use, remove."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commun.cli.progress import progress
from commun.cli.words import Home, _, example, group

if TYPE_CHECKING:
    from commun.engine.weights import Manifest, ModelLibrary

model_app = group(_("The models on this machine."))


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
