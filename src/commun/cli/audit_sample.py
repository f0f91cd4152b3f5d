"""audit sample: answers that the draw chose and whose owners agreed are audited here, or by another Commun.

The server runs it by night (``audit_hour``); beside it, by hand, it does the same. What was found is written into the
ledger: at once, or by the server that has the ledger, within seconds. Low priority: whoever asks goes first.

Exit status: 0 nothing speaks against any answer; 1 one is inconsistent; 2 it could not be done.
"""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commun.cli.files import NoFile, read_calibration, read_file
from commun.cli.progress import progress
from commun.cli.words import Home, _, tell
from commun.errors import N_, CommunError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from commun.auditing.asking import Audited
    from commun.auditing.sampled import Tally
    from commun.config import Settings
    from commun.ledger.entries import AuditStatement

INCONSISTENT = 1
NOT_DONE = 2
NICE = 19  # the least priority that there is
RATE = 0.02  # audit.verdict's own; a test compares them: `--help` should import nothing


class NeedsName(CommunError):
    code = "auditor_needs_name"
    problem = N_("Results of another Commun need the name of who audited.")
    cure = N_("Name it with --by, such as --by commun.example.org.")


class OwnName(CommunError):
    """The page would say that this Commun audited itself."""

    code = "auditor_is_ours"
    problem = N_("“%(name)s” is the name of this Commun itself: results of another one cannot stand under it.")
    cure = N_("Name who audited with --by. What is audited here needs no --results.")


class OneOfBoth(CommunError):
    code = "one_of_both"
    problem = N_("Answers are handed out, or results recorded: not both at once.")
    cure = N_("Give --out or --results.")


def sample(
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help=_("Hands the answers to another Commun: their proofs, in files."), show_default=False
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=_("Records what another Commun found: what “commun audit … --json” wrote there."),
            show_default=False,
        ),
    ] = None,
    by: Annotated[str, typer.Option(metavar="NAME", help=_("Who audited, for --results."), show_default=False)] = "",
    calibration: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help=_("Figures of honest answers; may be given more than once."), show_default=False
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help=_("What was recorded, as JSON."))] = False,
    home: Home = None,
) -> None:
    from commun.config import load_settings

    try:
        if out is not None and results is not None:
            raise OneOfBoth
        if results is not None and not by:
            raise NeedsName
        settings = load_settings(home=home)
        if out is not None:
            _tell_handed(asyncio.run(_hand_out(settings, out)), out, json=json)
            return
        statement = asyncio.run(
            _audit_here(settings, calibration or []) if results is None else _record_results(settings, results, by)
        )
    except CommunError as error:
        tell(error)
        raise typer.Exit(NOT_DONE) from error
    _tell_recorded(statement, json=json)
    raise typer.Exit(INCONSISTENT if statement is not None and statement.inconsistent else 0)


async def _audit_here(settings: "Settings", calibrations: list[Path]) -> "AuditStatement | None":
    from commun.audit.verdict import RATE as OWN_RATE
    from commun.auditing.sampled import tally_of
    from commun.running import open_samples

    async with open_samples(settings) as opened:
        waiting = await opened.sampled.waiting()
        if not waiting.here and not waiting.over:
            return None
        kept = await opened.sampled.bundles(waiting.here)
        answers = await asyncio.to_thread(_asked, settings, kept.files, calibrations) if kept.files else []
        tally = tally_of(answers, (*waiting.over, *kept.over))
        if not tally.receipts:
            return None
        statement = _statement(tally, rate=OWN_RATE, auditor=opened.name)
        await opened.sampled.record(tally, statement)
        opened.expect()
        return statement


def _asked(settings: "Settings", files: "Iterable[tuple[str, bytes]]", calibrations: list[Path]) -> "list[Audited]":
    from commun.auditing.asking import Verdicts, ask, look
    from commun.auditing.shipped import shipped
    from commun.auditing.weights import Weights
    from commun.receipts.verification import NOTHING

    if hasattr(os, "nice"):
        os.nice(NICE)
    comparison = Verdicts((*map(read_calibration, calibrations), *shipped()), RATE)
    looked = [look(name, data, NOTHING) for name, data in files]
    with progress() as report:
        return list(ask(looked, Weights(settings.home, None, progress=report), comparison, progress=report))


async def _hand_out(settings: "Settings", folder: Path) -> int:
    """Each counts as handed out once its file is there: interrupted, it goes on where it was."""
    from commun.auditing.sampled import SUFFIX
    from commun.running import open_samples

    async with open_samples(settings) as opened:
        waiting = await opened.sampled.waiting()
        kept = await opened.sampled.bundles(waiting.here)
        for name, data in kept.files:
            await asyncio.to_thread(_write_once, folder / f"{name}{SUFFIX}", data)
            await opened.sampled.hand([name])
        return len(kept.files)


def _write_once(file: Path, data: bytes) -> None:
    """The same file, of a run that was interrupted, may be there. Raises NoFile."""
    from commun.secret_file import write_secret

    try:
        write_secret(file, data)
    except FileExistsError as error:
        if read_file(str(file), len(data)) != data:
            raise NoFile(file=str(file)) from error
    except OSError as error:
        raise NoFile(file=str(file)) from error


async def _record_results(settings: "Settings", file: Path, by: str) -> "AuditStatement":
    from json import loads

    from commun.auditing.sampled import MAX_RESULTS_BYTES, BadResults, read_results
    from commun.recording.statements import as_name
    from commun.running import open_samples

    try:
        value = loads(read_file(str(file), MAX_RESULTS_BYTES))
    except (ValueError, RecursionError):
        raise BadResults(file=file.name, reason=N_("it is not what an audit writes")) from None
    async with open_samples(settings) as opened:
        if as_name(by).casefold() == opened.name.casefold():
            raise OwnName(name=by)
        waiting = await opened.sampled.waiting()
        tally, rate = read_results(file.name, value, [one.receipt_id for one in waiting.handed])
        statement = _statement(tally, rate=rate, auditor=by)
        await opened.sampled.record(tally, statement)
        opened.expect()
        return statement


def _statement(tally: "Tally", *, rate: float, auditor: str) -> "AuditStatement":
    from commun.assistant.in_force import utc_now

    return tally.statement(rate=rate, auditor=auditor, now=utc_now())


def _tell_handed(count: int, folder: Path, *, json: bool) -> None:
    if json:
        from json import dumps

        typer.echo(dumps({"handed": count}))
        return
    typer.echo(_("%(count)s answers were written into %(folder)s.") % {"count": count, "folder": folder})
    if count:
        typer.echo(_("They hold what was said, in clear; their owners were promised that it is erased in seven days."))
        typer.echo(_("Whoever audits them runs, with the model at hand:"))
        typer.echo("  commun audit *.bundle.json --json > results.json")
        typer.echo(_("Record what they found with “commun audit sample --results results.json --by NAME”."))


def _tell_recorded(statement: "AuditStatement | None", *, json: bool) -> None:
    if json:
        from json import dumps, loads

        typer.echo(dumps(None if statement is None else loads(statement.data())))
    elif statement is None:
        typer.echo(_("No answer waits for an audit."))
    else:
        sentence = _(
            "Audited: %(audited)s (%(identical)s identical, %(consistent)s consistent, %(inconsistent)s inconsistent). "
            "Not audited: %(not_audited)s."
        )
        counts = ("audited", "identical", "consistent", "inconsistent", "not_audited")
        typer.echo(sentence % {name: getattr(statement, name) for name in counts})
        typer.echo(_("The ledger is told; the page /audits shows it. What was kept of these answers is erased."))
