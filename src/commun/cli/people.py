"""user: key, link."""

from typing import Annotated

import typer

from commun.cli.words import Home, _, example, group

user_app = group(_("People and API keys."))


@user_app.command(
    "key", help=_("Make an API key and print it; it is shown this once."), epilog=example("commun user key laptop")
)
def user_key(name: Annotated[str, typer.Argument(help=_("What the key is for."))], home: Home = None) -> None:
    import asyncio

    from commun.config import load_settings
    from commun.running import make_api_key

    typer.echo(asyncio.run(make_api_key(load_settings(home=home), name)))


@user_app.command("link", help=_("Make a new sign-in link and print it."), epilog=example("commun user link"))
def user_link(home: Home = None) -> None:
    import asyncio

    from commun.config import load_settings
    from commun.running import make_link

    typer.echo(asyncio.run(make_link(load_settings(home=home))))
