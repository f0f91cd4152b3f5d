"""audit: did this answer come from that model, that prompt and that draw? And what honest answers look like.

``commun audit BUNDLE…`` is what people type: a group whose command ``check`` need not be named. A bundle that is called
like a command is named ``./calibrate``.

No server is asked unless one is named (``--remote``: for answers that another server drew, vLLM's), and no data folder
is needed; one that is there lends its models. It does not lend its key (``remote_key``), which is for the server that
the charter has adopted and not for whatever address is named here: a key for that is read from a file
(``--remote-key-file``).

Exit status: 0 identical or consistent; 1 inconsistent, or a receipt is refused; 2 not audited: something is missing, or
the command line is wrong.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer
from typer.core import TyperGroup

from commun.cli.audit_sample import sample
from commun.cli.files import read_calibration, read_file, write_file
from commun.cli.progress import progress
from commun.cli.words import Home, _, example, tell
from commun.errors import N_, CommunError

if TYPE_CHECKING:
    from commun.auditing.asking import Audited, Comparison
    from commun.auditing.weights import Weights
    from commun.engine.manifest import Progress
    from commun.engine.remote_reader import RemoteReader
    from commun.receipts.verification import Trust

DEFAULT: Final = "check"
NOT_AUDITED: Final = 2
RATE: Final = 0.02  # audit.verdict's own; a test compares them: `--help` should import nothing
MAX_KEY_BYTES: Final = 4096


class BadRemoteKeyFile(CommunError):
    """``details``: ``file``."""

    code = "bad_remote_key_file"
    problem = N_("The file “%(file)s” has no key that could be sent to a server.")
    cure = N_("Put the key alone into it, in one line, as that server's operator gave it.")


class _Audit(TyperGroup):
    """Without the name of a command the arguments are bundles."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


audit_app = typer.Typer(
    cls=_Audit,
    help=_("Audit answers: “commun audit BUNDLE…” asks the model again whether it could have given them."),
    no_args_is_help=True,
    subcommand_metavar="BUNDLE… | COMMAND [ARGS]…",
)

Bundles = Annotated[
    list[str], typer.Argument(metavar="BUNDLE…", help=_("Proofs of answers; - for the standard input."))
]
ModelFile = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="FILE",
        help=_("The model's GGUF file or OpenVINO folder; else the models of the data folder."),
        show_default=False,
    ),
]
Charter = Annotated[
    str,
    typer.Option(
        metavar="DIGEST", help=_("The digest of the first root of the charter that you know."), show_default=False
    ),
]
Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key", metavar="KEY", help=_("A receipt key that you know; may be given more than once."), show_default=False
    ),
]
Policy = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help=_("Your own trust policy (C2SP tlog-policy) in place of the charter's."),
        show_default=False,
    ),
]
RemoteServer = Annotated[
    str,
    typer.Option(
        "--remote",
        metavar="URL",
        help=_("A vLLM server with the model, to ask about answers that another server drew; it is shown them."),
        show_default=False,
    ),
]
RemoteModel = Annotated[
    str,
    typer.Option(
        "--remote-model",
        metavar="NAME",
        help=_("What the model is called there, where it offers several."),
        show_default=False,
    ),
]
RemoteKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--remote-key-file",
        metavar="FILE",
        help=_("A file with the API key for that server. The key of your own settings is never sent there."),
        show_default=False,
    ),
]


@audit_app.command(
    DEFAULT,
    help=_(
        "Asks the model again, offline, whether it could have given these answers. Exit status: 0 identical or "
        "consistent, 1 inconsistent or refused, 2 not audited."
    ),
    epilog=example("commun audit answer.bundle.json --model SmolLM2-135M-Instruct.Q4_1.gguf"),
)
def check(
    bundles: Bundles,
    *,
    model: ModelFile = None,
    remote: RemoteServer = "",
    remote_model: RemoteModel = "",
    remote_key_file: RemoteKeyFile = None,
    calibration: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help=_("Figures of honest answers; may be given more than once."), show_default=False
        ),
    ] = None,
    charter: Charter = "",
    policy: Policy = None,
    key: Keys = None,
    rate: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help=_("How often an honest answer may be called inconsistent."))
    ] = RATE,
    replay: Annotated[
        bool, typer.Option("--replay", help=_("Also generate them again, and show where each first differs."))
    ] = False,
    json: Annotated[bool, typer.Option("--json", help=_("Everything as JSON."))] = False,
    home: Home = None,
) -> None:
    with _NotAuditedOnError():
        from commun.auditing.again import generate_again
        from commun.auditing.asking import Verdicts
        from commun.auditing.repeated import once
        from commun.auditing.shipped import shipped
        from commun.auditing.telling import EXIT, as_json, conclude, told

        comparison = Verdicts((*map(read_calibration, calibration or ()), *shipped()), rate)
        named = _Remote.of(remote, remote_model, remote_key_file)
        looked, repeated = once(_looked(bundles, _trust(charter, key, policy)))
        with progress() as report:
            answers = _asked(looked, comparison, report, home=home, model=model, remote=named)
            again = generate_again(answers, _weights(home, model, report), progress=report) if replay else None
        if json:
            from json import dumps

            typer.echo(dumps(as_json(answers, rate=rate, again=again, repeated=repeated), indent=1, allow_nan=False))
        else:
            for line in told(answers, _, rate=rate, again=again, repeated=repeated):
                typer.echo(line)
    raise typer.Exit(EXIT[conclude(answers, rate=rate)[0]])


@audit_app.command(
    help=_("Writes down what honest answers of your own server look like, recomputed on this machine."),
    epilog=example("commun audit calibrate answers/*.bundle.json --out calibration.json"),
)
def calibrate(
    bundles: Bundles,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help=_("The file to write."), show_default=False)],
    batch: Annotated[int, typer.Option(min=1, max=20_000, help=_("How many of the answers ran at once, at most."))] = 1,
    first: Annotated[
        list[int] | None,
        typer.Option(
            "--first",
            min=1,
            metavar="TOKENS",
            help=_(
                "Each answer’s first tokens also count as an answer, for shorter ones; may be given more than once."
            ),
            show_default=False,
        ),
    ] = None,
    model: ModelFile = None,
    remote: RemoteServer = "",
    remote_model: RemoteModel = "",
    remote_key_file: RemoteKeyFile = None,
    charter: Charter = "",
    policy: Policy = None,
    key: Keys = None,
    home: Home = None,
) -> None:
    with _NotAuditedOnError():
        from commun.auditing.calibrating import Measured, calibration_of, check_alike, least_rate

        named = _Remote.of(remote, remote_model, remote_key_file)
        looked = _looked(bundles, _trust(charter, key, policy))
        check_alike(looked)
        with progress() as report:
            answers = _asked(looked, Measured(), report, home=home, model=model, remote=named)
        made = calibration_of(answers, batch=batch, first=first or ())
        write_file(out, made.data())
    typer.echo(_("%(file)s has the figures of %(answers)s answers.") % {"file": out, "answers": len(made.answers)})
    typer.echo(_("It serves for answers of this model and machine, audited on this machine, of about these lengths."))
    typer.echo(
        _("The smallest rate of false alarms that so many answers allow is %(rate)s; 2 %% takes 149 of each length.")
        % {"rate": f"{least_rate(len(made.answers)):.2%}"}
    )
    typer.echo(_("That they are honest is your word: nothing can compute it."))


audit_app.command(
    help=_("Audits the answers that the draw chose and whose owners agreed; what it finds is public."),
    epilog=example("commun audit sample"),
)(sample)


class _NotAuditedOnError:
    """An error of ours is told, and the status is that of what was not audited: 1 would speak against an answer."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        if isinstance(error, CommunError):
            tell(error)
            raise typer.Exit(NOT_AUDITED) from error


class _Remote(NamedTuple):
    """``url`` "": nobody named a server. ``key`` "": it needs none."""

    url: str
    model: str
    key: str

    @classmethod
    def of(cls, url: str, model: str, key_file: Path | None) -> "_Remote":
        """Raises NoFile, BadRemoteKeyFile."""
        return cls(url, model, "" if key_file is None else _key_in(key_file))


def _key_in(file: Path) -> str:
    data = read_file(str(file), MAX_KEY_BYTES)
    key = data.decode("ascii", "replace").strip()
    if len(data) > MAX_KEY_BYTES or not key or not (key.isascii() and key.isprintable()):
        raise BadRemoteKeyFile(file=str(file))
    return key


def _asked(
    looked: "Sequence[Audited]",
    comparison: "Comparison",
    report: "Progress",
    *,
    home: Path | None,
    model: Path | None,
    remote: _Remote,
) -> "tuple[Audited, ...]":
    """Another server about what another server drew, where one is named; the model here about the rest."""
    from commun.auditing.asking import ask
    from commun.auditing.elsewhere import ask_there, ask_weights

    weights = _weights(home, model, report)
    if remote.url:
        with closing(_reader(remote)) as server:
            looked = ask_there(looked, server, comparison, progress=report)
    elif model is not None:
        looked = ask_weights(looked, weights, model, comparison, progress=report)
    return ask(looked, weights, comparison, progress=report)


def _reader(remote: _Remote) -> "RemoteReader":
    from commun.engine.remote_model import look_up
    from commun.engine.remote_reader import RemoteReader

    address = f"{remote.url}#{remote.model}" if remote.model else remote.url
    return RemoteReader(look_up(address, remote.key), remote.key)


def _looked(bundles: Sequence[str], trust: "Trust") -> "list[Audited]":
    from commun.auditing.asking import look
    from commun.receipts.bundle import MAX_BUNDLE_BYTES

    return [look(name, read_file(name, MAX_BUNDLE_BYTES), trust) for name in bundles]


def _trust(charter: str, keys: Sequence[str] | None, policy: Path | None) -> "Trust":
    from commun.ledger.policy import MAX_POLICY_BYTES
    from commun.receipts.verification import Trust

    return Trust(
        charter.lower(), tuple(keys or ()), None if policy is None else read_file(str(policy), MAX_POLICY_BYTES)
    )


def _weights(home: Path | None, model: Path | None, report: "Progress") -> "Weights":
    from commun.auditing.weights import Weights
    from commun.config import load_settings

    return Weights(load_settings(home=home).home, model, progress=report)
