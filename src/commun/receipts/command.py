"""``commun receipt verify`` and the single file ``commun-verify``: one program, told in words or as JSON.

The standard library's own parser of arguments, so that the single file needs no other. It reads files and nothing else:
no network, no clock, no data folder. Exit status: 0 verified, 1 refused or not readable, 2 verified with parts missing.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, TextIO

from commun.errors import N_
from commun.ledger.errors import LedgerError
from commun.ledger.policy import MAX_POLICY_BYTES
from commun.receipts.bundle import MAX_BUNDLE_BYTES
from commun.receipts.sentences import Sentence
from commun.receipts.verification import STEPS, Outcome, Report, Trust, Verdict, verify

if TYPE_CHECKING:
    from commun.receipts.seeded import PublishedSecret

Translate = Callable[[str], str]
EXIT: Final = {Verdict.VERIFIED: 0, Verdict.REFUSED: 1, Verdict.PARTIAL: 2}
VERDICTS: Final = {
    Verdict.VERIFIED: N_("Verified: every step holds."),
    Verdict.PARTIAL: N_("Nothing contradicts it, and parts are missing: they are marked with “…”."),
    Verdict.REFUSED: N_("REFUSED at step %(step)s: %(detail)s (%(reason)s)."),
}
OUTCOMES: Final = {
    Outcome.HOLDS: N_("holds"),
    Outcome.MISSING: N_("in part"),
    Outcome.REFUSED: N_("REFUSED"),
    Outcome.NOT_REACHED: N_("not looked at"),
}


class _Parser(argparse.ArgumentParser):
    """argparse's own status for a wrong command line is 2, which means something else here."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT[Verdict.REFUSED], f"{self.prog}: {message}\n")


def main(arguments: Sequence[str], translate: Translate, *, program: str = "commun-verify") -> int:
    """The exit status. ``translate``: gettext's function for the reader's language."""
    about = translate(N_("Verifies the receipt of an answer, offline. Exit status: 0 verified, 1 refused, 2 in part."))
    parser = _Parser(program, description=about, epilog=f"{program} answer.bundle.json --charter DIGEST")
    parser.add_argument("file", metavar="FILE", help=translate(N_("The bundle; - for the standard input.")))
    pinned = translate(N_("The digest of the first root of the charter that you know."))
    parser.add_argument("--charter", default="", metavar="DIGEST", help=pinned)
    trusted = translate(N_("A receipt key that you know; may be given more than once."))
    parser.add_argument("--key", action="append", default=[], metavar="KEY", help=trusted)
    policy = translate(N_("Your own trust policy (C2SP tlog-policy) in place of the charter's."))
    parser.add_argument("--policy", metavar="FILE", help=policy)
    log = translate(N_("Your own copy of the ledger, a folder: its published secrets derive seeds again."))
    parser.add_argument("--log", metavar="FOLDER", help=log)
    parser.add_argument("--json", action="store_true", help=translate(N_("The report as JSON.")))
    given = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no such letter is no reason to stop
    return run(
        given.file,
        charter=given.charter,
        keys=given.key,
        policy=given.policy,
        log=given.log,
        as_json=given.json,
        translate=translate,
    )


def run(
    file: str,
    *,
    charter: str,
    keys: Sequence[str],
    policy: str | None,
    log: str | None,
    as_json: bool,
    translate: Translate,
) -> int:
    """The exit status."""
    try:
        data = _read(file, MAX_BUNDLE_BYTES)
        own = None if policy is None else _read(policy, MAX_POLICY_BYTES)
        secrets = () if log is None else _secrets(Path(log))
    except LedgerError as error:
        sys.stderr.write(error.text(translate) + "\n")
        return EXIT[Verdict.REFUSED]
    except OSError as error:
        sys.stderr.write(translate(N_("%(file)s cannot be read.")) % {"file": error.filename or file} + "\n")
        return EXIT[Verdict.REFUSED]
    report = verify(data, Trust(charter.lower(), tuple(keys), own, secrets))
    if as_json:
        sys.stdout.write(json.dumps(report.to_json(), indent=1) + "\n")
    else:
        tell(report, translate, sys.stdout)
    return EXIT[report.verdict]


def tell(report: Report, translate: Translate, out: TextIO) -> None:
    def say(sentence: Sentence, mark: str) -> None:
        print(f"     {mark} {translate(sentence.text) % dict(sentence.details)}", file=out)

    for step in report.steps:
        print(f"  {step.number}. {translate(STEPS[step.number - 1])}: {translate(OUTCOMES[step.outcome])}", file=out)
        for sentence in step.proves:
            say(sentence, "✓")
        for sentence in step.missing:
            say(sentence, "…")
    print(f"  {len(STEPS)}. {translate(STEPS[-1])}:", file=out)
    for sentence in report.not_proven:
        say(sentence, "–")
    details = {"step": report.to_json()["step"], "detail": report.detail, "reason": report.reason or ""}
    print("\n" + translate(VERDICTS[report.verdict]) % details, file=out)


def _secrets(folder: Path) -> "tuple[PublishedSecret, ...]":
    """Raises LedgerError, OSError."""
    from commun.receipts.ledger_copy import secrets_in  # nobody else needs the files of a log

    return secrets_in(folder)


def _read(path: str, limit: int) -> bytes:
    """One byte more than may be, at most: the verification says that it is too long."""
    if path == "-":
        return sys.stdin.buffer.read(limit + 1)
    with Path(path).open("rb") as file:
        return file.read(limit + 1)
