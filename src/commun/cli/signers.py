"""A board member's key for one command: a key file and its passphrase, or a hardware key and its PIN."""

import contextlib
import getpass
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commun.cli.words import _
from commun.errors import ConfigError
from commun.places import KEYS_FOLDER, MACHINE_KEYS
from commun.secret_file import write_secret

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from commun.charter.keys import SoftwareKey

MAX_KEY_FILE = 1 << 16

KeyFile = Annotated[
    Path | None,
    typer.Option("--key", help=_("The key file; by default the only one in the data folder."), show_default=False),
]
Hardware = Annotated[
    str | None,
    typer.Option(help=_("A key on a PKCS#11 device, as a pkcs11: URI; needs the extra pkcs11."), show_default=False),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(help=_("A file with the passphrase, for scripts; else it is asked for."), show_default=False),
]


def read_passphrase(file: Path | None, prompt: str) -> str:
    """From the file, or from the person, unseen."""
    if file is not None:
        return file.read_text(encoding="utf-8").rstrip("\n")
    if not sys.stdin.isatty():
        raise ConfigError(setting="--passphrase-file", reason="there is no terminal to ask for the passphrase")
    return getpass.getpass(prompt)


def new_passphrase(file: Path | None) -> tuple[str, bool]:
    """A passphrase for a new key, and whether it was made up here, so that it must be shown. Empty input takes the
    suggested one.
    """
    from commun.charter.keys import check_passphrase, suggest_passphrase

    if file is not None:
        return read_passphrase(file, ""), False
    suggested = suggest_passphrase()
    if not sys.stdin.isatty():
        return suggested, True
    while True:
        first = getpass.getpass(_("Passphrase for the new key (Enter: one is made up for you): "))
        if not first:
            return suggested, True
        check_passphrase(first)
        if getpass.getpass(_("Once more: ")) == first:
            return first, False
        typer.echo(_("The two differ; try again."), err=True)


def show_passphrase(passphrase: str) -> None:
    typer.echo(_("The passphrase of the new key. Write it down; it is shown this once:"))
    typer.echo(f"\n    {passphrase}\n")


def key_path(home: Path, named: Path | None) -> Path:
    """Raises ConfigError where it is not clear which."""
    if named is not None:
        return named
    found = sorted(path for path in (home / KEYS_FOLDER).glob("*.key") if path.name not in MACHINE_KEYS)
    if len(found) != 1:
        reason = "there is no key in the data folder" if not found else "there are several keys in the data folder"
        raise ConfigError(setting="--key", reason=f"{reason}; name one")
    return found[0]


def open_key(path: Path, passphrase_file: Path | None) -> "SoftwareKey":
    """Raises BadKeyFile, BadPassphrase, ConfigError."""
    from commun.charter.keys import SoftwareKey

    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_FILE + 1)
    except OSError as error:
        raise ConfigError(setting="--key", reason=f"{path.name} cannot be read") from error
    prompt = _("Passphrase of %(file)s: ") % {"file": path.name}
    return SoftwareKey.open(data, read_passphrase(passphrase_file, prompt))


@contextlib.contextmanager
def signer_of(home: Path, key: Path | None, hardware: str | None, passphrase_file: Path | None) -> Iterator["Signer"]:
    """The member's signer. Raises BadKeyFile, BadPassphrase, ConfigError, HardwareKeyProblem."""
    if hardware is None:
        yield open_key(key_path(home, key), passphrase_file).signer
        return
    from commun.charter.hardware import hardware_signer

    with hardware_signer(hardware, lambda: read_passphrase(passphrase_file, _("PIN: "))) as signer:
        yield signer


def write_private(path: Path, data: bytes) -> None:
    """A new file for its owner's eyes only. Raises ConfigError where there is one already."""
    try:
        write_secret(path, data)
    except FileExistsError:
        raise ConfigError(setting="--out", reason=f"{path.name} is there already") from None
