"""What goes into the ledger: short statements about the assistant, none about what anybody wrote.

An entry is one JSON object in the canonical form of RFC 8785, ``type`` among its fields. The types:

=========================  ===================================  ========================================================
type                       fields                               says
=========================  ===================================  ========================================================
``commun/edition/1``       number, digest, event, time          an edition was ``adopted``, ``frozen`` or ``released``
``commun/model/1``         model, engine, version, build,       a model with these files was loaded by this engine
                           profile, time
``commun/software/1``      versions (name: version), time       a server of these versions started
``commun/epoch/1``         sha256                               a secret that seeds and salts come from exists already
``commun/epoch-secret/1``  epoch, secret                        that secret, published now that its time is over
``commun/receipt/1``       sha256                               an answer's receipt exists; nothing else of it
``commun/retention/1``     conversations, files, days, time     so many were erased, being older than so many days
``commun/receipt-key/1``   key, event, time                     a key that signs receipts was ``added`` or ``retired``
``commun/audit/1``         audited, identical, consistent,      so many answers that the draw chose were audited, by
                           inconsistent, not_audited,           whom, with what comparison, at what rate of false
                           comparison, rate, auditor, time      alarms, and what was found
=========================  ===================================  ========================================================

Rules:

- digests are 64 lower-case hexadecimal digits, times ``2026-11-22T06:00:00Z``: when it was recorded; counts whole
  numbers from 0; a receipt's key ``ed25519:`` and 64 lower-case hexadecimal digits; a secret 64 such digits, of which
  ``epoch`` is the digest: an entry that says otherwise is none;
- of an audit, ``audited`` is the sum of what was found; ``rate`` a decimal text such as 0.02, ``auditor`` the name of a
  ledger or a name that somebody gave;
- names and versions have at most MAX_NAME characters, of a small alphabet: nobody's words fit in there. An epoch and a
  receipt have no time of their own: their place between other entries is all that the ledger tells;
- strict when read back: a field that is missing, unknown, twice there or of another type, any other writing of the same
  object (order, spaces, escapes, floats): refused. An entry has one writing, so whoever has its fields has its hash;
- a type that is not known here is refused too: a reader who wants to go on looks at the bytes.

Raises BadStatement, and nothing else, whatever bytes it is given.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, get_args

import rfc8785

from commun.errors import N_
from commun.ledger.errors import LedgerError

MAX_STATEMENT_BYTES: Final = 8192
MAX_NAME: Final = 100
MAX_VERSIONS: Final = 32
MAX_COUNT: Final = 2**53 - 1  # RFC 8785's largest whole number
TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
Event = Literal["adopted", "frozen", "released"]
KeyEvent = Literal["added", "retired"]
Compared = Literal["exact", "calibrated", "both", "none"]
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._+:/@()-]{{0,{MAX_NAME - 1}}}")
_KEY: Final = re.compile(r"ed25519:[0-9a-f]{64}")
_SHARE: Final = re.compile(r"0(\.[0-9]{1,6})?|1")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


class BadStatement(LedgerError):
    """Not one of the types, or not in its one writing."""

    code = "ledger_bad_statement"
    problem = N_("This entry of the ledger is none that Commun writes: %(reason)s.")
    cure = N_("Update Commun, if the entry comes from a newer one.")


@dataclass(frozen=True, slots=True)
class Statement:
    """Making one checks it; ``data`` is the entry."""

    type: ClassVar[str]

    def __post_init__(self) -> None:
        for field in fields(self):
            check = _CHECKS_OF.get((self.type, field.name)) or _CHECKS[field.name]
            check(getattr(self, field.name), field.name)

    def data(self) -> bytes:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return rfc8785.dumps({"type": self.type} | {name: _plain(value) for name, value in values.items()})


@dataclass(frozen=True, slots=True)
class EditionStatement(Statement):
    type: ClassVar[str] = "commun/edition/1"
    number: int
    digest: str
    event: Event
    time: str


@dataclass(frozen=True, slots=True)
class ModelStatement(Statement):
    """``model``: the digest of its manifest. ``profile``: exact or fast."""

    type: ClassVar[str] = "commun/model/1"
    model: str
    engine: str
    version: str
    build: str
    profile: str
    time: str


@dataclass(frozen=True, slots=True)
class SoftwareStatement(Statement):
    type: ClassVar[str] = "commun/software/1"
    versions: Mapping[str, str]
    time: str

    def __post_init__(self) -> None:
        Statement.__post_init__(self)
        object.__setattr__(self, "versions", MappingProxyType(dict(self.versions)))


@dataclass(frozen=True, slots=True)
class EpochStatement(Statement):
    type: ClassVar[str] = "commun/epoch/1"
    sha256: str


@dataclass(frozen=True, slots=True)
class EpochSecretStatement(Statement):
    """``epoch``: SHA-256 of the secret, as an EpochStatement before it has it."""

    type: ClassVar[str] = "commun/epoch-secret/1"
    epoch: str
    secret: str

    def __post_init__(self) -> None:
        Statement.__post_init__(self)
        if hashlib.sha256(bytes.fromhex(self.secret)).hexdigest() != self.epoch:
            raise BadStatement(reason="its epoch is not the SHA-256 of its secret")

    @classmethod
    def of(cls, secret: bytes) -> "EpochSecretStatement":
        return cls(hashlib.sha256(secret).hexdigest(), secret.hex())


@dataclass(frozen=True, slots=True)
class ReceiptStatement(Statement):
    """``sha256``: of the receipt's envelope."""

    type: ClassVar[str] = "commun/receipt/1"
    sha256: str


@dataclass(frozen=True, slots=True)
class RetentionStatement(Statement):
    type: ClassVar[str] = "commun/retention/1"
    conversations: int
    files: int
    days: int
    time: str


@dataclass(frozen=True, slots=True)
class ReceiptKeyStatement(Statement):
    """``added`` stands before the first receipt that the key has signed, ``retired`` after the last."""

    type: ClassVar[str] = "commun/receipt-key/1"
    key: str
    event: KeyEvent
    time: str


@dataclass(frozen=True, slots=True)
class AuditStatement(Statement):
    """``not_audited``: they were drawn, and nothing could be compared, or their time was over. ``comparison``: exact,
    calibrated (with honest answers), both, or none where none was audited. ``rate``: how often the calibrated one calls
    an honest answer inconsistent. ``auditor``: this ledger's own name, or who else audited.
    """

    type: ClassVar[str] = "commun/audit/1"
    audited: int
    identical: int
    consistent: int
    inconsistent: int
    not_audited: int
    comparison: Compared
    rate: str
    auditor: str
    time: str

    def __post_init__(self) -> None:
        Statement.__post_init__(self)
        if self.audited != self.identical + self.consistent + self.inconsistent:
            raise BadStatement(reason="its verdicts are more or fewer than what was audited")


KINDS: Final[Mapping[str, type[Statement]]] = {
    kind.type: kind
    for kind in (
        EditionStatement,
        ModelStatement,
        SoftwareStatement,
        EpochStatement,
        EpochSecretStatement,
        ReceiptStatement,
        RetentionStatement,
        ReceiptKeyStatement,
        AuditStatement,
    )
}


def read_statement(data: bytes) -> Statement:
    if len(data) > MAX_STATEMENT_BYTES:
        raise BadStatement(reason="it is longer than any of them")
    try:
        value = json.loads(data)
        canonical = rfc8785.dumps(value)
    except (ValueError, RecursionError, rfc8785.CanonicalizationError):  # UnicodeError is a ValueError
        raise BadStatement(reason="it is not canonical JSON") from None
    if canonical != data or not isinstance(value, dict):
        raise BadStatement(reason="it is not canonical JSON")
    name = value.pop("type", None)
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise BadStatement(reason="its type is not known here")
    if set(value) != {field.name for field in fields(kind)}:
        raise BadStatement(reason="a field is missing or unknown")
    return kind(**value)


def time_text(time: datetime) -> str:
    return time.astimezone(UTC).strftime(TIME_FORMAT)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _check_digest(value: Any, name: str) -> None:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise BadStatement(reason=f"its {name} is not a SHA-256 in small hexadecimal digits")


def _check_secret(value: Any, name: str) -> None:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise BadStatement(reason=f"its {name} is not 32 bytes in small hexadecimal digits")


def _check_name(value: Any, name: str) -> None:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise BadStatement(reason=f"its {name} is not a name or a version")


def _check_count(value: Any, name: str) -> None:
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise BadStatement(reason=f"its {name} is not a whole number from 0")


def _check_number(value: Any, name: str) -> None:
    _check_count(value, name)
    if value == 0:
        raise BadStatement(reason=f"its {name} is 0")


def _check_event(value: Any, name: str) -> None:
    if not isinstance(value, str) or value not in get_args(Event):
        raise BadStatement(reason=f"its {name} is none of an edition")


def _check_key(value: Any, name: str) -> None:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise BadStatement(reason=f"its {name} is no key that signs receipts")


def _check_key_event(value: Any, name: str) -> None:
    if not isinstance(value, str) or value not in get_args(KeyEvent):
        raise BadStatement(reason=f"its {name} is none of a key")


def _check_compared(value: Any, name: str) -> None:
    if not isinstance(value, str) or value not in get_args(Compared):
        raise BadStatement(reason=f"its {name} is none of an audit")


def _check_share(value: Any, name: str) -> None:
    if not isinstance(value, str) or not _SHARE.fullmatch(value):
        raise BadStatement(reason=f"its {name} is no share such as 0.02")


def _check_time(value: Any, name: str) -> None:
    try:
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            raise ValueError  # noqa: TRY301  (one refusal for both)
        datetime.strptime(value, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:  # the 31st of February
        raise BadStatement(reason=f"its {name} is not one such as 2026-11-22T06:00:00Z") from None


def _check_versions(value: Any, name: str) -> None:
    if not isinstance(value, Mapping) or not 1 <= len(value) <= MAX_VERSIONS:
        raise BadStatement(reason=f"its {name} are no names with versions")
    for key, version in value.items():
        _check_name(key, name)
        _check_name(version, name)


_CHECKS: Final = {
    "number": _check_number,
    "digest": _check_digest,
    "event": _check_event,
    "time": _check_time,
    "model": _check_digest,
    "engine": _check_name,
    "version": _check_name,
    "build": _check_name,
    "profile": _check_name,
    "versions": _check_versions,
    "sha256": _check_digest,
    "epoch": _check_digest,
    "secret": _check_secret,
    "conversations": _check_count,
    "files": _check_count,
    "days": _check_count,
    "key": _check_key,
    "audited": _check_count,
    "identical": _check_count,
    "consistent": _check_count,
    "inconsistent": _check_count,
    "not_audited": _check_count,
    "comparison": _check_compared,
    "rate": _check_share,
    "auditor": _check_name,
}
_CHECKS_OF: Final = {(ReceiptKeyStatement.type, "event"): _check_key_event}
