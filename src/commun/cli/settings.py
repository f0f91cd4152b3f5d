"""config: show, check."""

import typer

from commun.cli.words import Home, _, example, group
from commun.environment import cli_language
from commun.web.i18n import translator

config_app = group(_("The settings of operation."))


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
    from commun.openid.provider import open_provider

    settings = load_settings(home=home)
    open_provider(settings)
    typer.echo(_("The settings are valid. Data folder: %(home)s") % {"home": settings.home})
