"""ledger: verify any log of the C2SP kind, compare what two readers see of it, look into this one, hand out a copy,
the key that verifies it, and the policy that a reader of receipts tells a verifier.

LOG, where a command takes one: a folder or an address; without it, the ledger in the data folder.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commun.cli.words import Home, _, example, group
from commun.errors import ConfigError, NotFound
from commun.places import KEYS_FOLDER, LEDGER_FOLDER

if TYPE_CHECKING:
    from commun.ledger.checkpoint import Checkpoint
    from commun.ledger.comparison import Seen
    from commun.ledger.files import LogReader
    from commun.ledger.keys import VerifierKey

ledger_app = group(_("The ledger: what was recorded about this assistant, and nobody can change unseen."))

KEY_FILE = "ledger.key"
ADDRESSES = ("http://", "https://")
SPLIT = 3  # exit status of ``compare``
MAX_SHOWN = 1000
MAX_ENTRY_SHOWN = 2000  # bytes
MAX_NAME = 1000  # characters of a file's name
Log = Annotated[str | None, typer.Argument(metavar="LOG", help=_("A folder or an address."), show_default=False)]
From = Annotated[str | None, typer.Option("--from", help=_("A folder or an address."), show_default=False)]


@ledger_app.command(
    help=_("Verify a whole ledger: every entry, every file, the signature, and that it has only grown."),
    epilog=example("commun ledger verify https://chat.example.org/ledger --vkey chat.example.org+1f…+AV…"),
)
def verify(
    log: Log = None,
    *,
    vkey: Annotated[
        str | None, typer.Option(help=_("The ledger's public key, as a line or a file."), show_default=False)
    ] = None,
    since: Annotated[
        Path | None, typer.Option(help=_("A head that was seen earlier; growth since then is verified."))
    ] = None,
    save: Annotated[Path | None, typer.Option(help=_("Keep the verified head in this file, for --since."))] = None,
    home: Home = None,
) -> None:
    from commun.ledger.verification import verify_log

    key = own_key(home) if vkey is None and log is None else key_of(vkey)
    earlier = None if since is None else read_head(since)
    with reading(log, home) as reader:
        verified = verify_log(reader, [key], since=earlier)
    head = verified.head.checkpoint
    tell_head(head)
    typer.echo(_("✓ Signed by %(name)s.") % {"name": key.name})
    typer.echo(_("✓ All %(count)s entries are in the tree, and every tile was recomputed.") % {"count": head.size})
    if verified.since is not None:
        old = verified.since.checkpoint.size
        typer.echo(
            _("✓ It has only grown: the first %(count)s entries are those of the earlier head.") % {"count": old}
        )
    if save is not None:
        save.write_bytes(verified.data)


@ledger_app.command(
    help=_(
        "Compare two views of one ledger: folders, addresses or saved heads. "
        "Exit status: 0 they agree, 1 they cannot be compared, 3 they show two histories."
    ),
    epilog=example("commun ledger compare https://chat.example.org/ledger ./head-of-last-week --vkey ledger.vkey"),
)
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=_("A folder, an address or a saved head."))],
    second: Annotated[str, typer.Argument(metavar="B", help=_("A folder, an address or a saved head."))],
    *,
    vkey: Annotated[
        str | None, typer.Option(help=_("The ledger's public key, as a line or a file."), show_default=False)
    ] = None,
    evidence: Annotated[
        Path | None, typer.Option(help=_("Where two histories are shown: keep both heads and the proof in this file."))
    ] = None,
    home: Home = None,
) -> None:
    from commun.ledger.comparison import Fault
    from commun.ledger.comparison import compare as compare_heads

    key = own_key(home) if vkey is None else key_of(vkey)
    with contextlib.ExitStack() as stack:
        seen = [_seen(source, home, stack) for source in (first, second)]
        found = compare_heads(seen[0], seen[1], [key])
    tell_head(found.first)
    tell_head(found.second)
    if found.evidence is None:
        typer.echo(_("✓ They agree: the smaller one is the beginning of the larger one."))
        return
    if found.evidence.fault is Fault.OTHER_ROOT:
        typer.echo(_("✗ TWO HISTORIES: one size and two roots, both signed by the ledger’s key."))
    else:
        typer.echo(_("✗ TWO HISTORIES: the larger one does not begin with the smaller one, and both are signed."))
    if evidence is not None:
        evidence.write_bytes(found.evidence.data())
        typer.echo(
            _("The evidence is in %(file)s. Anybody who has the ledger’s key can check it.") % {"file": evidence}
        )
    raise typer.Exit(SPLIT)


@ledger_app.command(help=_("The newest entries."), epilog=example("commun ledger tail -n 20"))
def tail(
    count: Annotated[int, typer.Option("-n", min=1, max=MAX_SHOWN, help=_("How many."))] = 10,
    source: From = None,
    home: Home = None,
) -> None:
    with reading(source, home) as reader:
        size = head_of(reader)[1].size
        for index, entry in entries(reader, max(0, size - count), size, size):
            typer.echo(f"{index}\t{readable(entry)}")


@ledger_app.command(help=_("One entry and its proof."), epilog=example("commun ledger show 42"))
def show(
    number: Annotated[int, typer.Argument(min=0, help=_("The entry's number, from 0."))],
    source: From = None,
    home: Home = None,
) -> None:
    from commun.ledger.merkle import check_inclusion, leaf_hash, prove_inclusion
    from commun.ledger.proof import LogProof
    from commun.ledger.tiles import TileReader

    with reading(source, home) as reader:
        data, head = head_of(reader)
        if number >= head.size:
            raise NotFound
        ((_index, entry),) = entries(reader, number, number + 1, head.size)
        hashes = prove_inclusion(number, head.size, TileReader(head.size, reader.find))
    check_inclusion(index=number, size=head.size, leaf=leaf_hash(entry), proof=hashes, root=head.root)
    typer.echo(readable(entry))
    typer.echo()
    typer.echo(LogProof.make(index=number, hashes=hashes, checkpoint=data).data().decode(), nl=False)


@ledger_app.command(
    help=_("Copy the ledger's published files into a folder, its head last."),
    epilog=example("commun ledger export /srv/www/ledger"),
)
def export(folder: Path, source: From = None, home: Home = None) -> None:
    from commun.ledger.checkpoint import read_checkpoint
    from commun.ledger.copying import copy_log

    if source is None and folder.resolve() == (home_of(home) / LEDGER_FOLDER).resolve():
        raise ConfigError(setting="FOLDER", reason="it is the ledger's own folder")
    with reading(source, home) as reader:
        tell_head(read_checkpoint(copy_log(reader, folder))[0])


@ledger_app.command(
    help=_("The ledger's public key: whoever has it can verify the ledger."), epilog=example("commun ledger key")
)
def key(home: Home = None) -> None:
    typer.echo(own_key(home).text())


@ledger_app.command(
    help=_(
        "A policy that names this ledger and the charter’s witnesses: with it, and the charter’s digest, a receipt is "
        "verified and not only in part."
    ),
    epilog=example("commun ledger policy > ledger-policy.txt"),
)
def policy(home: Home = None) -> None:
    from commun.cli.documents import desk_of
    from commun.config import load_settings
    from commun.ledger.policy import policy_naming

    key = own_key(home)
    clause = desk_of(home).verified().in_force.charter.witnesses.policy
    public = load_settings(home=home).public_url.rstrip("/")
    typer.echo(policy_naming(key, clause, url=f"{public}/ledger" if public else ""), nl=False)


def home_of(home: Path | None) -> Path:
    from commun.config import load_settings

    return load_settings(home=home).home


def own_key(home: Path | None) -> "VerifierKey":
    """Raises NotFound where no ledger has begun."""
    from commun.ledger.opening import find_key

    found = find_key(home_of(home) / KEYS_FOLDER / KEY_FILE)
    if found is None:
        raise NotFound
    return found.verifier


def key_of(text: str | None) -> "VerifierKey":
    """The line itself, or a file that holds it."""
    from commun.ledger.keys import MAX_KEY_TEXT, VerifierKey

    if text is None:
        raise ConfigError(setting="--vkey", reason="whose ledger is it? Its public key is needed")
    if len(text) <= MAX_NAME and Path(text).is_file():
        text = read_file(Path(text), MAX_KEY_TEXT).decode("utf-8", "replace").strip()
    return VerifierKey.from_text(text)


def read_head(path: Path) -> bytes:
    from commun.ledger.note import MAX_NOTE_BYTES

    return read_file(path, MAX_NOTE_BYTES)


def read_file(path: Path, limit: int) -> bytes:
    """Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ConfigError(setting=path.name, reason="it cannot be read") from error
    if len(data) > limit:
        raise ConfigError(setting=path.name, reason="it is too large for what it should be")
    return data


@contextlib.contextmanager
def reading(source: str | None, home: Path | None) -> "Iterator[LogReader]":
    from commun.ledger.files import LogFolder

    if source is not None and source.startswith(ADDRESSES):
        from commun.fetching import LogSite

        with contextlib.closing(LogSite(source)) as site:
            yield site
    else:
        yield LogFolder(home_of(home) / LEDGER_FOLDER if source is None else Path(source))


def _seen(source: str, home: Path | None, stack: contextlib.ExitStack) -> "Seen":
    """A file is a saved head; anything else is a ledger."""
    from commun.ledger.comparison import Seen

    if not source.startswith(ADDRESSES) and len(source) <= MAX_NAME and Path(source).is_file():
        return Seen(read_head(Path(source)))
    reader = stack.enter_context(reading(source, home))
    return Seen(head_of(reader)[0], reader)


def head_of(reader: "LogReader") -> "tuple[bytes, Checkpoint]":
    """As it is published; nothing is verified."""
    from commun.ledger.checkpoint import read_checkpoint
    from commun.ledger.errors import MissingTile
    from commun.ledger.files import CHECKPOINT

    data = reader.find_checkpoint()
    if data is None:
        raise MissingTile(tile=CHECKPOINT)
    return data, read_checkpoint(data)[0]


def entries(reader: "LogReader", start: int, end: int, size: int) -> "Iterator[tuple[int, bytes]]":
    from commun.ledger.tiles import TILE_WIDTH, read_entries

    for bundle in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
        for place, entry in enumerate(read_entries(bundle, size, reader.find), bundle * TILE_WIDTH):
            if start <= place < end:
                yield place, entry


def readable(entry: bytes) -> str:
    """Others may have written it: nothing in it is obeyed by the terminal, and it has an end."""
    from commun.charter.words import shown

    try:
        text = entry[:MAX_ENTRY_SHOWN].decode()
    except UnicodeDecodeError:
        return f"0x{entry[:MAX_ENTRY_SHOWN].hex()}"
    return shown(text.replace("\n", "⏎")) + ("…" if len(entry) > MAX_ENTRY_SHOWN else "")


def tell_head(head: "Checkpoint") -> None:
    from commun.charter.words import shown

    words = _("%(name)s: %(count)s entries, root %(root)s")
    typer.echo(words % {"name": shown(head.origin), "count": head.size, "root": head.root.hex()})
