"""user: key, link, invite."""

from typing import Annotated

import typer

from commun.cli.words import Home, _, example, group

user_app = group(_("People and API keys."))


@user_app.command(
    "key", help=_("Make an API key and print it; it is shown this once."), epilog=example("commun user key laptop")
)
def user_key(
    name: Annotated[str, typer.Argument(help=_("What the key is for."))],
    *,
    daily_tokens: Annotated[
        int | None,
        typer.Option(min=0, max=10**12, help=_("How many tokens it may use in a day."), show_default=False),
    ] = None,
    at_once: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help=_("How many answers it may have written at once."), show_default=False),
    ] = None,
    home: Home = None,
) -> None:
    import asyncio

    from commun.config import load_settings
    from commun.running import make_api_key

    typer.echo(asyncio.run(make_api_key(load_settings(home=home), name, daily_tokens=daily_tokens, at_once=at_once)))


@user_app.command("link", help=_("Make a new sign-in link and print it."), epilog=example("commun user link"))
def user_link(home: Home = None) -> None:
    import asyncio

    from commun.config import load_settings
    from commun.running import make_link

    typer.echo(asyncio.run(make_link(load_settings(home=home))))


@user_app.command(
    "invite",
    help=_("Make an invitation for one person and print its link; it is shown this once."),
    epilog=example('commun user invite --note "Claire, newsroom"'),
)
def user_invite(
    *,
    administrator: Annotated[bool, typer.Option("--administrator", help=_("The person may invite others."))] = False,
    days: Annotated[int, typer.Option("--days", min=1, max=90, help=_("How many days the link is good for."))] = 7,
    note: Annotated[str, typer.Option("--note", help=_("For whom it is; administrators see it."))] = "",
    home: Home = None,
) -> None:
    import asyncio

    from commun.config import load_settings
    from commun.running import make_invitation

    settings = load_settings(home=home)
    typer.echo(asyncio.run(make_invitation(settings, administrator=administrator, days=days, note=note)))
