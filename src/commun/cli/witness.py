"""witness: cosign the heads of other organisations' ledgers, so that none of them can show two histories."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commun.cli.words import Home, _, example, group
from commun.errors import ConfigError, NotFound
from commun.places import KEYS_FOLDER, WITNESS_FOLDER

if TYPE_CHECKING:
    from commun.ledger.witness_state import Witness

witness_app = group(_("The witness: cosign other ledgers, so that none of them can show two histories."))

ADDRESS = "/witness"  # below a Commun's own
Key = Annotated[str, typer.Argument(metavar="VKEY", help=_("The ledger's public key, as a line or a file."))]


@witness_app.command(
    help=_("Run the witness alone, without a model or a charter."), epilog=example("commun witness serve --port 8100")
)
def serve(
    home: Home = None,
    host: Annotated[str | None, typer.Option(help=_("The address to listen on."), show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help=_("The port to listen on."), show_default=False)] = None,
) -> None:
    from commun.config import load_settings
    from commun.running import run_witness

    run_witness(load_settings(home=home, host=host, port=port), _)


@witness_app.command(
    help=_("The witness’s public key, for other organisations’ policies; made at first use."),
    epilog=example("commun witness key"),
)
def key(
    *,
    ml_dsa: Annotated[
        bool,
        typer.Option("--ml-dsa", help=_("The second key, of type ML-DSA-44, which quantum computers do not break.")),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(help=_("The witness’s name, a public address without https://; for the first use only.")),
    ] = None,
    home: Home = None,
) -> None:
    keys = witness_of(home, name).keys
    if name is not None and keys.name != name:
        raise ConfigError(setting="--name", reason="the witness has a name already, and its key carries it")
    lines = keys.lines()
    if ml_dsa and len(lines) == 1:
        raise NotFound
    typer.echo(lines[1 if ml_dsa else 0])


@witness_app.command(
    help=_("Witness a ledger from now on."),
    epilog=example("commun witness add chat.example.org/ledger+1f…+AV… https://chat.example.org/ledger"),
)
def add(
    vkey: Key,
    url: Annotated[str, typer.Argument(help=_("Where the ledger is published; for people."))] = "",
    home: Home = None,
) -> None:
    from commun.charter.words import shown
    from commun.cli.ledger import key_of
    from commun.config import load_settings

    found = key_of(vkey)
    witness = witness_of(home)
    witness.add_log(found, url)
    public = load_settings(home=home).public_url.rstrip("/") or "URL"
    typer.echo(_("%(name)s is witnessed now.") % {"name": shown(found.name)})
    typer.echo(_("Give its organisation this line for the policy in its charter:"))
    typer.echo(f"\n    witness NAME {witness.keys.lines()[0]} {public}{ADDRESS}\n")


@witness_app.command(
    help=_("Witness a ledger no more. What was cosigned for it is kept, and so is evidence."),
    epilog=example("commun witness remove chat.example.org/ledger"),
)
def remove(
    name: Annotated[str, typer.Argument(help=_("The ledger’s name, or one of its public keys."))], home: Home = None
) -> None:
    if not witness_of(home).remove_log(name):
        raise NotFound


@witness_app.command(
    "list",
    help=_("The ledgers that are witnessed: the latest head of each, and evidence against it."),
    epilog=example("commun witness list"),
)
def list_(home: Home = None) -> None:
    from commun.charter.words import shown
    from commun.ledger.witness_state import EVIDENCE

    witness = witness_of(home)
    watched = witness.watched()
    if not watched:
        typer.echo(_("No ledger is witnessed here. Add one with “commun witness add VKEY”."))
    for item in watched:
        typer.echo(f"{shown(item.origin)}  {shown(item.url)}".rstrip())
        if item.head is None:
            typer.echo("  " + _("nothing cosigned yet"))
        else:
            words = _("%(count)s entries, root %(root)s")
            typer.echo("  " + words % {"count": item.head.size, "root": item.head.root.hex()})
        for file in item.evidence:
            what = _("could not prove its growth") if file.startswith("unproven") else _("TWO HISTORIES")
            typer.echo(f"  ✗ {what}: {witness.folder / EVIDENCE / file}")


def witness_of(home: Path | None, name: str | None = None) -> "Witness":
    """As a server of this data folder has it (``app.build_witness``)."""
    from commun.config import load_settings
    from commun.ledger.opening import public_origin
    from commun.ledger.witness_keys import KEY_FILE
    from commun.ledger.witness_state import Witness

    settings = load_settings(home=home)
    public = public_origin(settings.public_url.rstrip("/") + ADDRESS) if settings.public_url else ""
    return Witness(settings.home / WITNESS_FOLDER, settings.home / KEYS_FOLDER / KEY_FILE, name=name or public)
