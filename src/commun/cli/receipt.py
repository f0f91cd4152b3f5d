"""receipt: verify, offline, what produced an answer.

The arguments are read by ``receipts/command.py``, as in the single file ``commun-verify``: one program, one exit status
for each verdict, and none of them for a wrong command line.
"""

from typing import Final

import typer

from commun.cli.words import _, example, group

AS_THEY_ARE: Final = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

receipt_app = group(_("Receipts: what produced an answer, and whether that can be verified."))


@receipt_app.callback()
def receipts() -> None:
    """One command is still a group."""


@receipt_app.command(
    help=_("Verifies the receipt of an answer, offline. Exit status: 0 verified, 1 refused, 2 in part."),
    epilog=example("commun receipt verify answer.bundle.json --policy policy.txt"),
    context_settings=AS_THEY_ARE,
)
def verify(context: typer.Context) -> None:
    from commun.receipts.command import main

    raise typer.Exit(main(context.args, _, program="commun receipt verify"))
