"""JSON from outside, read strictly, and the canonical form that board members sign.

Canonical here is what TUF signs (OLPC canonical JSON, as securesystemslib writes it), not RFC 8785: the two are never
mixed. Clause digests (``clauses.py``) are RFC 8785; everything that a key signs is this.

Rules:

- JSON as ``strict_json.py`` reads it (no name twice, no floats, UTF-8), and its depth bounded;
- metadata: exactly ``signed`` and ``signatures``; each signature exactly a ``keyid`` and a lower-case hex ``sig``, no
  key twice; a ``signed`` part that python-tuf reads *and writes back as the same signed bytes*, so that nothing in it
  is dropped, defaulted or normalised on the way; no field that Commun does not know but ``x-commun``;
- whitespace between tokens is nobody's harm: only the signed part's canonical form counts.

Raises BrokenMetadata, TooLarge beyond a bound, and BadBoard for thresholds below 1 or above the number of keys and for
keys that stand twice; nothing else gets out.
"""

import contextlib
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from securesystemslib.formats import encode_canonical
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from commun.charter.errors import BadBoard, BrokenMetadata, TooLarge
from commun.charter.strict_json import read_object

EXTENSION: Final = "x-commun"
MAX_METADATA_BYTES: Final = 1_000_000  # a board of a hundred signs a root of some 60 kB
MAX_DEPTH: Final = 16  # the deepest honest document, root metadata, has 5 levels
TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"

_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_SPECIFICATION: Final = re.compile(r"1\.[0-9]+(?:\.[0-9]+)?")  # python-tuf takes the digits of any script
_HEX_256: Final = re.compile(r"[0-9a-f]{64}")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")
_SIGNED_FIELDS: Final[dict[str, frozenset[str]]] = {
    "root": frozenset({"consistent_snapshot", "keys", "roles"}),
    "targets": frozenset({"targets"}),
    "snapshot": frozenset({"meta"}),
    "timestamp": frozenset({"meta"}),
}
_COMMON_FIELDS: Final = frozenset({"_type", "version", "spec_version", "expires", EXTENSION})

T = TypeVar("T", Root, Targets, Snapshot, Timestamp)


def parse_strict(data: bytes, *, file: str, limit: int = MAX_METADATA_BYTES) -> dict[str, Any]:
    """One JSON object out of hostile bytes."""
    if len(data) > limit:
        raise TooLarge(file=file, reason="longer than its bound")
    try:
        value = read_object(data, limit=limit)
        check_depth(value, MAX_DEPTH)
    except ValueError as error:
        raise BrokenMetadata(file=file, reason="it is not strict JSON") from error
    return value


def check_depth(value: Any, levels: int) -> None:
    """Raises ValueError where lists and objects lie deeper in each other than ``levels``."""
    if levels < 0:
        raise ValueError("too deep")
    if isinstance(value, dict):
        for item in value.values():
            check_depth(item, levels - 1)
    elif isinstance(value, list):
        for item in value:
            check_depth(item, levels - 1)


def canonical(value: Any) -> bytes:
    """The bytes that are signed. Raises ValueError for what has no canonical form."""
    text = encode_canonical(value)
    if text is None:
        raise ValueError("no canonical form")
    return text.encode("utf-8")


def digest_of(signed_bytes: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(signed_bytes).hexdigest()


def read_metadata(data: bytes, kind: type[T], *, file: str) -> Metadata[T]:
    """One role's metadata; its signatures are not verified here."""
    document = parse_strict(data, file=file)
    _check_frame(document, kind.type, file)
    signed_bytes = canonical(document["signed"])
    try:
        metadata: Metadata[T] = Metadata.from_dict(document)  # takes `document` apart
        same = metadata.signed_bytes == signed_bytes
    except Exception as error:
        # python-tuf and securesystemslib raise a dozen types on data of a wrong type; all mean the same here.
        raise BrokenMetadata(file=file, reason="its fields are not those of its role") from error
    if not same:
        raise BrokenMetadata(file=file, reason="its signed part is not canonical")
    return metadata


def _check_frame(document: Mapping[str, Any], role: str, file: str) -> None:
    if set(document) != {"signed", "signatures"}:
        raise BrokenMetadata(file=file, reason="it has other parts than signed and signatures")
    signed, signatures = document["signed"], document["signatures"]
    if not isinstance(signed, dict) or signed.get("_type") != role:
        raise BrokenMetadata(file=file, reason="it is not the role that stands here")
    if set(signed) != _COMMON_FIELDS | _SIGNED_FIELDS[role]:
        raise BrokenMetadata(file=file, reason="a field is missing or unknown")
    if type(signed["version"]) is not int:
        raise BrokenMetadata(file=file, reason="its version is no whole number")
    if not isinstance(signed["spec_version"], str) or not _SPECIFICATION.fullmatch(signed["spec_version"]):
        raise BrokenMetadata(file=file, reason="it is of another version of TUF")
    check_signatures(signatures, file=file)
    if role == Root.type:
        _check_board(signed["roles"], file)


def _check_board(roles: Any, file: str) -> None:
    """python-tuf refuses these as well, in one error with every other fault; a board's fault has its own name."""
    for role in roles.values() if isinstance(roles, dict) else ():
        if not isinstance(role, dict) or set(role) != {"keyids", "threshold"}:
            raise BrokenMetadata(file=file, reason="a role has other fields than keyids and threshold")
        keyids, threshold = role["keyids"], role["threshold"]
        if not isinstance(keyids, list) or not all(map(is_digest, keyids)) or type(threshold) is not int:
            raise BrokenMetadata(file=file, reason="a key id or a threshold is not one")
        if len(set(keyids)) != len(keyids):
            raise BadBoard(file=file, reason="a key stands twice")
        if not 1 <= threshold <= len(keyids):
            raise BadBoard(file=file, reason="a threshold is below 1 or above the number of keys")


def check_signatures(signatures: Any, *, file: str) -> None:
    """A list of exactly ``{"keyid": hex, "sig": hex}``, no key twice."""
    if not isinstance(signatures, list):
        raise BrokenMetadata(file=file, reason="its signatures are no list")
    seen = set()
    for item in signatures:
        if not isinstance(item, dict) or set(item) != {"keyid", "sig"}:
            raise BrokenMetadata(file=file, reason="a signature has other parts than keyid and sig")
        if not is_digest(item["keyid"]) or not is_hex(item["sig"]):
            raise BrokenMetadata(file=file, reason="a signature is not hexadecimal")
        seen.add(item["keyid"])
    if len(seen) != len(signatures):
        raise BrokenMetadata(file=file, reason="a key stands twice among its signatures")


def is_digest(value: Any) -> bool:
    """64 lower-case hexadecimal digits: a SHA-256 or a key id."""
    return isinstance(value, str) and _HEX_256.fullmatch(value) is not None


def is_hex(value: Any) -> bool:
    return isinstance(value, str) and _HEX.fullmatch(value) is not None


def is_whole(value: Any, *, least: int = 0) -> bool:
    """A whole number (a boolean is none) from ``least``."""
    return type(value) is int and value >= least


def read_time(text: Any, *, file: str) -> datetime:
    """A time as it stands in signed documents, such as 2026-11-22T06:00:00Z."""
    if isinstance(text, str) and _TIME.fullmatch(text):
        with contextlib.suppress(ValueError):  # the 31st of February
            return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    raise BrokenMetadata(file=file, reason="a time has another form than 2026-11-22T06:00:00Z")


def time_text(time: datetime) -> str:
    return time.astimezone(UTC).strftime(TIME_FORMAT)
