"""One role vouches for another: metadata from outside is read, and held to the keys that its delegator names for it.

For any TUF repository; the canonical form that a charter's own metadata must have is ``canonical.py``'s. Rules (numbers
are sections of the TUF specification, 1.0.x):

- strict JSON before python-tuf sees it (``strict_json.py``); fields that nobody knows are kept and count in what is
  signed (4.1), as Sigstore's and others' metadata needs;
- python-tuf then checks each field; what it does not check is checked here: versions, thresholds and lengths are whole
  numbers, and no board has a threshold below 1 or one key twice;
- a threshold counts keys, not key ids: the same key under two ids is one (python-tuf counts it twice);
- a signature that does not verify is no signature; it spoils nothing where enough others do (4.2.1);
- lengths and hashes where the delegator gives them (5.5.2, 5.6.2, 5.7.3): one of them of the SHA-2 family, each of a
  known kind, and each must fit;
- names on the way out are safe: a role's is percent-encoded into one path component, a target's path stays below its
  folder, a hash in a file name is hexadecimal.

Raises subclasses of InvalidCharter only, whatever the bytes; ``reason`` is of our own words.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar
from urllib.parse import quote

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Key, Metadata, MetaFile, Role, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from commun.charter.errors import (
    BadBoard,
    BrokenMetadata,
    CharterError,
    TooFewSignatures,
    TooLarge,
    UnsafeName,
    WrongFile,
)
from commun.charter.strict_json import NotStrict, read_object

MAX_NAME: Final = 200  # of a role, percent-encoded: file systems allow 255 bytes
MAX_PATH: Final = 1_000  # characters of a target's path
STRONG_HASHES: Final = ("sha256", "sha512", "sha384")  # the first one given names the target's file
_HEX: Final = re.compile(r"[0-9a-f]{64,128}")

T = TypeVar("T", Root, Timestamp, Snapshot, Targets)
Delegator = Metadata[Root] | Metadata[Targets]


def read_role(data: bytes, kind: type[T], *, file: str, limit: int) -> Metadata[T]:
    """Metadata of one kind; whether anybody signed it is not asked here."""
    if len(data) > limit:
        raise TooLarge(file=file, reason="it is longer than it may be")
    try:
        document = read_object(data, limit=limit)
    except NotStrict as error:
        raise BrokenMetadata(file=file, reason=str(error)) from error
    with refusals(file):
        _check_boards(document, file)
        metadata: Metadata[T] = Metadata.from_dict(document)  # takes `document` apart
        if not isinstance(metadata.signed, kind):
            raise BrokenMetadata(file=file, reason="it is not the role that belongs here")
        _check_whole_numbers(metadata.signed)
        _ = metadata.signed_bytes  # it has a canonical form
    return metadata


def check_signed(metadata: Metadata[T], role: str, delegator: Delegator, *, file: str) -> None:
    """Raises TooFewSignatures unless a threshold of the keys that ``delegator`` names for ``role`` have signed."""
    with refusals(file):
        signatures = {keyid: signature for keyid, signature in metadata.signatures.items() if signature.signature}
        result = delegator.signed.get_verification_result(role, metadata.signed_bytes, signatures)
        signed = len({_spelling(key) for key in result.signed.values()})
        if signed < result.threshold:
            raise TooFewSignatures(file=file, reason=f"{signed} of the {result.threshold} signatures that it needs")


def check_bytes(data: bytes, described: MetaFile | TargetFile, *, file: str) -> None:
    """Raises WrongFile unless ``data`` is what ``described`` describes."""
    with refusals(file):
        if described.hashes is not None and not set(described.hashes) & set(STRONG_HASHES):
            raise WrongFile(file=file, reason="it is described by no hash that counts")
        described.verify_length_and_hashes(data)


def role_name(role: str) -> str:
    """``role`` as one safe path component. Raises UnsafeName."""
    name = quote(role, safe="")
    if not 0 < len(name) <= MAX_NAME:
        raise UnsafeName(file=name[:MAX_NAME], reason="a role's name is empty or too long")
    return name


def metadata_file(role: str, version: int | None) -> str:
    """Its published name: ``3.targets.json``, or ``timestamp.json`` where ``version`` is None."""
    return f"{role_name(role)}.json" if version is None else f"{version}.{role_name(role)}.json"


def check_target_path(path: str) -> None:
    """Raises UnsafeName unless ``path`` is relative, plain and stays below its folder."""
    plain = path.isprintable() and "\\" not in path and len(path) <= MAX_PATH
    if not plain or any(part in {"", ".", ".."} for part in path.split("/")):
        raise UnsafeName(file="targets", reason="a target's path leaves its folder or is not plain")


def target_file(target: TargetFile, *, consistent: bool) -> str:
    """Where ``target`` is published: with its hash before the base name in a consistent snapshot (6.2)."""
    check_target_path(target.path)
    if not consistent:
        return target.path
    digest = next((target.hashes[kind] for kind in STRONG_HASHES if kind in target.hashes), "")
    if not _HEX.fullmatch(digest):
        raise WrongFile(file="targets", reason="a target is described by no hash that counts")
    folder, slash, name = target.path.rpartition("/")
    return f"{folder}{slash}{digest}.{name}"


@contextmanager
def refusals(file: str) -> Iterator[None]:
    """The boundary: what python-tuf and securesystemslib raise becomes one of the charter's errors."""
    try:
        yield
    except (CharterError, MemoryError):
        raise
    except LengthOrHashMismatchError as error:
        raise WrongFile(file=file, reason="its length or its hash is not what was signed") from error
    except Exception as error:
        # On fields of a wrong type they raise a dozen kinds, built-in ones among them; all mean the same.
        raise BrokenMetadata(file=file, reason="its fields are not those of its role") from error


def _check_boards(document: dict[str, Any], file: str) -> None:
    """python-tuf refuses these as well, but in one error with every other fault; a board's fault has its own name."""
    roles = document["signed"].get("roles", {})
    for role in roles.values() if isinstance(roles, dict) else ():
        keyids = role["keyids"]
        if role["threshold"] < 1:
            raise BadBoard(file=file, reason="a threshold below 1")
        if len(set(keyids)) != len(keyids):
            raise BadBoard(file=file, reason="a key stands twice in a role")


def _check_whole_numbers(signed: Signed) -> None:
    """Booleans are numbers to Python, and python-tuf takes them."""
    numbers: list[Any] = [signed.version]
    roles: list[Role] = []
    if isinstance(signed, Root):
        roles += signed.roles.values()
    elif isinstance(signed, Timestamp):
        numbers += [signed.snapshot_meta.version, signed.snapshot_meta.length or 0]
    elif isinstance(signed, Snapshot):
        numbers += [number for meta in signed.meta.values() for number in (meta.version, meta.length or 0)]
    elif isinstance(signed, Targets):
        numbers += [target.length for target in signed.targets.values()]
        if signed.delegations is not None:
            bins = signed.delegations.succinct_roles
            roles += [bins] if bins is not None else (signed.delegations.roles or {}).values()
    numbers += [role.threshold for role in roles]
    if any(type(number) is not int for number in numbers):
        raise TypeError("something else stands where a whole number should")


def _spelling(key: Key) -> str:
    """The same for every way in which one key may be written: case of hexadecimal digits, line breaks of PEM."""
    return "".join(f"{key.keytype}{sorted(key.keyval.items())}".split()).replace("\\n", "").casefold()
