"""receipt: verify, offline, what produced an answer."""

from pathlib import Path
from typing import Annotated

import typer

from commun.cli.words import _, example, group

receipt_app = group(_("Receipts: what produced an answer, and whether that can be verified."))


@receipt_app.callback()
def receipts() -> None:
    """One command is still a group."""


@receipt_app.command(
    help=_("Verify a receipt's bundle, offline. Exit status: 0 verified, 1 refused, 2 verified with parts missing."),
    epilog=example("commun receipt verify answer.bundle.json --policy policy.txt"),
)
def verify(
    file: Annotated[str, typer.Argument(metavar="FILE", help=_("The bundle; - for the standard input."))],
    *,
    charter: Annotated[
        str, typer.Option(metavar="DIGEST", help=_("The first root that you trust."), show_default=False)
    ] = "",
    key: Annotated[list[str] | None, typer.Option(help=_("A receipt key that you trust."), show_default=False)] = None,
    policy: Annotated[
        Path | None, typer.Option(help=_("Your own trust policy (C2SP tlog-policy)."), show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_("The report as JSON."))] = False,
) -> None:
    from commun.receipts.command import run

    own = None if policy is None else str(policy)
    raise typer.Exit(run(file, charter=charter, keys=key or [], policy=own, as_json=as_json, translate=_))
