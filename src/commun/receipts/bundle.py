"""The bundle: one JSON file with all that is needed to verify one answer offline.

Specification (docs/spec/receipt.md has every field):

- ``format`` "commun-bundle/1"; ``envelope``, a string that is the envelope's text byte for byte: its SHA-256 is the
  receipt's entry in the ledger; ``key``, the public key that signed it; ``disclosed``, ``charter``, ``ledger``;
- ``disclosed`` has every field of ``commitments.FIELDS``: null, or the salt (base64) and the value. Whoever passes a
  bundle on may put null in a field's place: nothing else in the bundle depends on it, and nothing that was there can be
  computed from what is left;
- ``charter``: the files of the published charter that the edition needs, by their name there, as text: every root from
  the first to the edition's, the edition's targets, snapshot, timestamp and assents, its files. null: the charter is
  published elsewhere, and is not verified from this bundle;
- ``ledger``: ``key``, a hint on which key signs the ledger; ``receipt``, the proof of logging of the receipt (C2SP
  tlog-proof, as text), or "pending" while its checkpoint is not there yet, or null where there is no ledger;
  ``edition``: null, or the adoption's entry (base64) and its proof of logging, by the same checkpoint;
- ``seed``, in ``commun-bundle/2`` and there alone: the salt of a seed that was derived from a nonce (base64), and, each
  null or an entry with its proof as the edition's, ``opened`` (that the secret existed) and ``secret`` (the secret
  itself, once the ledger has published it);
- strict JSON (``charter/strict_json.py``): no name twice, no floats, no number beyond 16 digits, UTF-8. Spaces and the
  order of fields are free: nothing is signed here that is not inside a string. No field is unknown, none is missing.

Nothing of a bundle is trusted: keys and policies in it are hints, which count only where the reader's own say so.

Raises ReceiptError: TOO_LARGE, NOT_STRICT_JSON, BUNDLE_FIELDS, NOT_BASE64.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from commun.charter.repository import TIMESTAMP, is_repository_name
from commun.charter.strict_json import NotStrict, check_fields, read_object
from commun.ledger.keys import to_base64
from commun.receipts.commitments import FIELDS, SALT_BYTES, Value, value_from_json, value_to_json
from commun.receipts.dsse import decoded
from commun.receipts.errors import Reason, ReceiptError
from commun.receipts.seeds import SALT_BYTES as SEED_SALT_BYTES

FORMAT: Final = "commun-bundle/1"
FORMAT_WITH_SEED: Final = "commun-bundle/2"
PENDING: Final = "pending"
MAX_BUNDLE_BYTES: Final = 16 << 20  # a charter's 4 MiB at most, escaped, and the longest context's tokens
MAX_CHARTER_FILES: Final = 2048  # 1,024 roots, 256 files, an edition's own
MAX_LEDGER_ENTRY_BYTES: Final = 65_535  # what a file of entries can hold
_FIELDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "format": str,
    "envelope": str,
    "key": str,
    "disclosed": dict,
    "charter": (dict, type(None)),
    "ledger": dict,
}
_LEDGER: Final[Mapping[str, type | tuple[type, ...]]] = {
    "key": str,
    "receipt": (str, type(None)),
    "edition": (dict, type(None)),
}
_ENTRY: Final = {"entry": str, "proof": str}
_SEED: Final[Mapping[str, type | tuple[type, ...]]] = {
    "salt": str,
    "opened": (dict, type(None)),
    "secret": (dict, type(None)),
}
_DISCLOSED: Final[Mapping[str, type | tuple[type, ...]]] = {"salt": str, "value": (str, list)}


@dataclass(frozen=True, slots=True)
class Disclosed:
    """Nothing prints it."""

    salt: bytes = field(repr=False)
    value: Value = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """``entry``: as the ledger has it. ``proof``: a tlog-proof's text."""

    entry: bytes
    proof: str


@dataclass(frozen=True, slots=True)
class ShownSeed:
    """``salt``: what the statement has the SHA-256 of. ``opened``: the entry of the secret's digest. ``secret``: the
    entry that publishes it. None: not there.
    """

    salt: bytes
    opened: LoggedEntry | None = None
    secret: LoggedEntry | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """``key``: a verifier key's text (a hint), or "". ``receipt``: a tlog-proof's text, PENDING or None."""

    key: str = ""
    receipt: str | None = None
    edition: LoggedEntry | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """In its form; nothing of it is verified. ``envelope``: its bytes. ``key``: a receipt key's text. ``disclosed``: by
    field, those only that are disclosed. ``charter``: by name in the published charter, or None. ``seed`` None:
    withheld, or none was derived from a nonce.
    """

    envelope: bytes
    key: str
    disclosed: Mapping[str, Disclosed]
    charter: Mapping[str, bytes] | None
    ledger: Logged
    seed: ShownSeed | None = None

    @classmethod
    def from_bytes(cls, data: bytes) -> "Bundle":
        if len(data) > MAX_BUNDLE_BYTES:
            raise ReceiptError(Reason.TOO_LARGE, "the file is longer than a bundle may be")
        try:
            value = read_object(data, limit=MAX_BUNDLE_BYTES)
        except NotStrict as error:
            raise ReceiptError(Reason.NOT_STRICT_JSON, f"the file: {error}") from None
        try:
            given = _seed_of(value)
            check_fields(value, _FIELDS)
            logged = check_fields(value["ledger"], _LEDGER)
            found = _all_disclosed(value["disclosed"])
            charter = None if value["charter"] is None else _charter(value["charter"])
            edition = _entry(logged["edition"], "the edition's entry")
            seed = None if given is None else _seed(given)
        except NotStrict as error:
            raise ReceiptError(Reason.BUNDLE_FIELDS, f"the bundle: {error}") from None
        ledger = Logged(logged["key"], logged["receipt"], edition)
        return cls(value["envelope"].encode(), value["key"], found, charter, ledger, seed)

    def data(self) -> bytes:
        """The file: readable, one field a line."""
        value = {
            "format": FORMAT if self.seed is None else FORMAT_WITH_SEED,
            "envelope": self.envelope.decode(),
            "key": self.key,
            "disclosed": {name: _disclosed_json(self.disclosed.get(name)) for name in FIELDS},
            "charter": None
            if self.charter is None
            else {name: self.charter[name].decode() for name in sorted(self.charter)},
            "ledger": {
                "key": self.ledger.key,
                "receipt": self.ledger.receipt,
                "edition": _entry_json(self.ledger.edition),
            },
        }
        if self.seed is not None:
            value["seed"] = {
                "salt": to_base64(self.seed.salt),
                "opened": _entry_json(self.seed.opened),
                "secret": _entry_json(self.seed.secret),
            }
        lines = (f" {json.dumps(name)}: {json.dumps(item, ensure_ascii=False)}" for name, item in value.items())
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode()

    def without(self, *fields: str) -> "Bundle":
        """For passing on: those fields withheld."""
        return replace(self, disclosed={name: item for name, item in self.disclosed.items() if name not in fields})


def read_disclosed(data: bytes) -> dict[str, Disclosed]:
    """A bundle's field ``disclosed`` alone. Nothing of it is verified. Raises ReceiptError."""
    try:
        return _all_disclosed(read_object(data, limit=MAX_BUNDLE_BYTES))
    except NotStrict as error:
        raise ReceiptError(Reason.BUNDLE_FIELDS, f"what is disclosed: {error}") from None


def _all_disclosed(value: dict[str, Any]) -> dict[str, Disclosed]:
    if set(value) != set(FIELDS):
        raise NotStrict("what is disclosed has a field missing or unknown")
    return {name: _disclosed(name, item) for name, item in value.items() if item is not None}


def _seed_of(value: dict[str, Any]) -> dict[str, Any] | None:
    """Takes the field out of the newer format, so that the rest is as in the first. None: the first."""
    if value.get("format") == FORMAT:
        return None
    if value.get("format") != FORMAT_WITH_SEED:
        raise NotStrict("it is a bundle of another format")
    seed = value.pop("seed", None)
    if not isinstance(seed, dict):
        raise NotStrict("its seed is missing or no object")
    return seed


def _disclosed(name: str, value: Any) -> Disclosed:
    checked = check_fields(value, _DISCLOSED)
    salt = decoded(checked["salt"], "a salt")
    if len(salt) != SALT_BYTES:
        raise NotStrict("a salt has another length than 32 bytes")
    return Disclosed(salt, value_from_json(name, checked["value"]))


def _disclosed_json(item: Disclosed | None) -> dict[str, Any] | None:
    return None if item is None else {"salt": to_base64(item.salt), "value": value_to_json(item.value)}


def _charter(value: dict[str, Any]) -> dict[str, bytes]:
    if len(value) > MAX_CHARTER_FILES:
        raise NotStrict("it has more of the charter's files than an edition needs")
    for name, text in value.items():
        if not is_repository_name(name) or name == TIMESTAMP or not isinstance(text, str):
            raise NotStrict("a file that no published edition has, or that is no text")
    return {name: text.encode() for name, text in value.items()}


def _seed(value: dict[str, Any]) -> ShownSeed:
    checked = check_fields(value, _SEED)
    salt = decoded(checked["salt"], "the seed's salt")
    if len(salt) != SEED_SALT_BYTES:
        raise NotStrict("the seed's salt has another length than 32 bytes")
    opened = _entry(checked["opened"], "the entry of the secret's digest")
    return ShownSeed(salt, opened, _entry(checked["secret"], "the secret's entry"))


def _entry(value: dict[str, Any] | None, what: str) -> LoggedEntry | None:
    if value is None:
        return None
    checked = check_fields(value, _ENTRY)
    entry = decoded(checked["entry"], what)
    if len(entry) > MAX_LEDGER_ENTRY_BYTES:
        raise NotStrict(f"{what} is longer than an entry may be")
    return LoggedEntry(entry, checked["proof"])


def _entry_json(logged: LoggedEntry | None) -> dict[str, str] | None:
    return None if logged is None else {"entry": to_base64(logged.entry), "proof": logged.proof}
