"""A short look at a document that a stranger sent, before anything in it is drafted, compared or laid out.

Reading a document (``release.read_document``) makes it again from its files: seconds, for a file that was made to take
long. So first, in work that grows with the file and no faster:

- it is strict JSON of at most MAX_DOCUMENT_BYTES, of a known format;
- what is signed (an amendment's targets, a release's signed part) is at most MAX_SIGNED_BYTES, in canonical form;
- one of the present board's keys has signed that, or it is a document that lies on the desk (``known``: ids). The
  first signature in the board's name that does not fit refuses the whole file;
- signatures are public and can be copied beside other files. So an amendment's files must be those whose digests are
  signed; and it must stand on the newest edition, with that edition's files.

All that passes was chosen by a member of the board or is in force. It is no proof of anything else: whoever is let
through is read with the same distrust as before.

Raises BadDocument, NotAMember, BadSignature, OtherBase; nothing else gets out.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from securesystemslib.signer import Key
from tuf.api.metadata import Root, Targets

from commun.charter.amendment import AMENDMENT_FORMAT, ID_DIGITS, MAX_DOCUMENT_BYTES
from commun.charter.canonical import EXTENSION, MAX_DEPTH, canonical, check_depth, digest_of
from commun.charter.edition import Edition
from commun.charter.errors import BadSignature, NotAMember, OtherBase
from commun.charter.release import RELEASE_FORMAT
from commun.charter.signing import BadDocument, is_signature_by, read_signatures
from commun.charter.strict_json import NotStrict, read_object

MAX_SIGNED_BYTES: Final = 200_000  # 256 files, each with its digest and the longest name, are some 90,000


def check_sent(data: bytes, root: Root, newest: Edition, *, known: Collection[str] = ()) -> None:
    """Whether it is worth being read. ``root``: of the present board. ``known``: ids of what lies on the desk."""
    try:
        value = read_object(data, limit=MAX_DOCUMENT_BYTES)
        part = _signed_part(value)
        signed = _signed_bytes(_object(part, "signed"))
        if digest_of(signed)[:ID_DIGITS] not in known:
            _check_signed(signed, read_signatures(part.get("signatures")), root.keys)
        if value["format"] == AMENDMENT_FORMAT:
            _check_files(_object(value, "files"), _object(part["signed"], "targets"))
            _check_base(value, _object(part["signed"], EXTENSION), newest)
    except NotStrict as error:
        raise BadDocument(reason=str(error)) from None


def _signed_part(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("format") == AMENDMENT_FORMAT:
        return _object(_object(value, "metadata"), Targets.type)
    if value.get("format") == RELEASE_FORMAT:
        return value
    raise NotStrict("its format is not known here")


def _signed_bytes(signed: dict[str, Any]) -> bytes:
    if len(json.dumps(signed)) > MAX_SIGNED_BYTES:
        raise NotStrict("what is signed is too large")
    try:
        check_depth(signed, MAX_DEPTH)
        return canonical(signed)
    except Exception as error:
        # securesystemslib raises types of its own for what has no canonical form.
        raise NotStrict("what is signed has no canonical form") from error


def _check_signed(signed: bytes, signatures: Mapping[str, str], keys: Mapping[str, Key]) -> None:
    """Raises NotAMember, BadSignature. At most one signature is verified."""
    keyid = next((keyid for keyid in signatures if keyid in keys), None)
    if keyid is None:
        raise NotAMember
    if not is_signature_by(keys[keyid], signatures[keyid], signed):
        raise BadSignature


def _check_files(files: dict[str, Any], targets: dict[str, Any]) -> None:
    if set(files) != set(targets):
        raise NotStrict("what would be signed is not what its files say")
    for name, text in files.items():
        target = targets[name]
        hashes = target.get("hashes") if isinstance(target, dict) else None
        if not isinstance(text, str) or hashes != {"sha256": hashlib.sha256(text.encode()).hexdigest()}:
            raise NotStrict("what would be signed is not what its files say")


def _check_base(value: Mapping[str, Any], extension: dict[str, Any], newest: Edition) -> None:
    if extension.get("base") != {"edition": newest.number, "digest": newest.digest}:
        base = extension.get("base")
        number = base.get("edition") if isinstance(base, dict) else None
        raise OtherBase(base=number if type(number) is int else 0, edition=newest.number)
    base, files = _object(value, "base"), value["files"]
    texts, same = _object(base, "files"), base.get("unchanged")
    if not isinstance(same, list) or not all(isinstance(name, str) and name in files for name in same):
        raise NotStrict("its base names a file that is not there")
    before = {**texts, **{name: files[name] for name in same}}
    if before != {name: data.decode("utf-8") for name, data in newest.files.items()}:
        raise NotStrict("its base is not the newest edition")


def _object(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    if not isinstance(found, dict):
        raise NotStrict("a field is missing or unknown")
    return found
