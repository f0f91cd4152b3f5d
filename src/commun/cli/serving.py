"""serve and chat."""

from pathlib import Path
from typing import Annotated

import typer

from commun.cli.progress import progress
from commun.cli.words import Home, _


def serve(
    home: Home = None,
    host: Annotated[str | None, typer.Option(help=_("The address to listen on."), show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help=_("The port to listen on."), show_default=False)] = None,
) -> None:
    from commun.config import load_settings
    from commun.running import run_server

    run_server(load_settings(home=home, host=host, port=port), _)


def chat(
    home: Home = None,
    persona: Annotated[str | None, typer.Option(help=_("A tone that the charter adopts."), show_default=False)] = None,
    language: Annotated[
        str | None, typer.Option(help=_("Language of the charter’s prompt: en or fr."), show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help=_("The same seed gives the same answer."), show_default=False)
    ] = None,
    proofs: Annotated[
        Path | None, typer.Option(help=_("A folder for the proof of each answer, all that was said in it."))
    ] = None,
) -> None:
    from commun.config import load_settings
    from commun.running import run_chat

    settings = load_settings(home=home)
    run_chat(settings, _, seed=seed, bars=progress, persona=persona, language=language, proofs=proofs)
