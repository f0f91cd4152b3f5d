"""When each member signed, read from ``metadata/E.assents.json``.

A member's own clock, under the member's own signature: canonical JSON of {"_type": "commun-assent/1", "edition":
digest, "time"}. It is told, never relied on: a missing, damaged or forged assent makes the time unknown, no more.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature

from commun.charter.canonical import canonical, is_hex, parse_strict, read_time
from commun.charter.errors import InvalidCharter
from commun.charter.repository import Repository

ASSENT_TYPE: Final = "commun-assent/1"
MAX_ASSENTS_BYTES: Final = 100_000


def find_assents(repository: Repository, file: str, digest: str, keys: Mapping[str, Key]) -> dict[str, datetime]:
    """Times by key id, of those keys whose assent to this edition holds."""
    try:
        data = repository.find(file, limit=MAX_ASSENTS_BYTES)
        document = {} if data is None else parse_strict(data, file=file, limit=MAX_ASSENTS_BYTES)
    except InvalidCharter:
        return {}
    assents = document.get("assents")
    times: dict[str, datetime] = {}
    for item in assents if isinstance(assents, list) else []:
        if isinstance(item, dict) and (key := keys.get(str(item.get("keyid")))) is not None:
            time = _time_of(item, digest, key)
            if time is not None:
                times.setdefault(key.keyid, time)
    return times


def assent_payload(digest: str, time: str) -> bytes:
    """What the member signs."""
    return canonical({"_type": ASSENT_TYPE, "edition": digest, "time": time})


def _time_of(item: Mapping[str, Any], digest: str, key: Key) -> datetime | None:
    try:
        time = read_time(item.get("time"), file="assents")
        if not is_hex(item.get("sig")):
            return None
        key.verify_signature(Signature(key.keyid, item["sig"]), assent_payload(digest, item["time"]))
    except (InvalidCharter, UnverifiedSignatureError):
        return None
    return time
