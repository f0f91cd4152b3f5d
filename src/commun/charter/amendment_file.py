"""An amendment's file: one JSON object, at most MAX_DOCUMENT_BYTES, read as strictly as any metadata.

    format       "commun-amendment/1"
    base         null for the first edition, or the edition that is changed: its number ("edition"), the digest of
                 the one before it ("base"), "reason", "proposed", its board ("root": the signed part of that root's
                 metadata), "files" that are changed or dropped, and the names of those that stay ("unchanged")
    files        the new edition's folder, as text
    metadata     the TUF roles with the signatures so far: targets, snapshot, timestamp; root where there is a new one
    assents      when each member signed

Nothing in it is believed (``amendment.py``): what is returned was made again from the files, the base, the reason and
the time, and every signature was verified over that. A member who has signed a part only is refused.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from tuf.api.metadata import Root, Targets

from commun.charter.amendment import AMENDMENT_FORMAT, MAX_DOCUMENT_BYTES, Amendment, Base, draft
from commun.charter.canonical import EXTENSION, read_metadata, read_time, time_text
from commun.charter.clauses import Charter
from commun.charter.errors import InvalidCharter
from commun.charter.roles import edition_digest, make_root, make_targets
from commun.charter.signing import (
    ASSENT,
    Assent,
    BadDocument,
    check_reason,
    read_assents,
    read_signatures,
    with_verified,
)
from commun.charter.source import read_charter
from commun.charter.strict_json import NotStrict, check_fields, read_object


def write_amendment(amendment: Amendment) -> bytes:
    """Raises BadDocument where it would be too large to be read again."""
    value = {
        "format": AMENDMENT_FORMAT,
        "base": None if amendment.base is None else _base_fields(amendment.base, amendment.files),
        "files": _texts(amendment.files),
        "metadata": {role: amendment.metadata(role).to_dict() for role in amendment.roles},
        "assents": assent_list(amendment.assents),
    }
    data = (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
    if len(data) > MAX_DOCUMENT_BYTES:
        raise BadDocument(reason="it is too large")
    return data


def read_amendment(data: bytes) -> Amendment:
    """Raises CharterError: BadDocument, CharterMistakes, NotAMember, BadSignature…"""
    try:
        return _read(read_object(data, limit=MAX_DOCUMENT_BYTES))
    except NotStrict as error:
        raise BadDocument(reason=str(error)) from None
    except InvalidCharter as error:
        # Of the document, not of the charter in force: nobody shall look for damage there.
        raise BadDocument(reason=str(error.details["reason"])) from None


def assent_list(assents: tuple[Assent, ...]) -> list[dict[str, str]]:
    """As it stands in an amendment's file and in the published ``E.assents.json``."""
    return [
        {"keyid": assent.keyid, "time": time_text(assent.time), "sig": assent.signature(ASSENT)}
        for assent in assents
        if assent.time is not None
    ]


_FIELDS: Final[dict[str, Any]] = {
    "format": str,
    "base": (dict, type(None)),
    "files": dict,
    "metadata": dict,
    "assents": list,
}
_BASE_FIELDS: Final[dict[str, Any]] = {
    "edition": int,
    "base": str,
    "reason": str,
    "proposed": str,
    "root": dict,
    "files": dict,
    "unchanged": list,
}
_PROPOSAL_FIELDS: Final[dict[str, Any]] = {
    "format": str,
    "edition": int,
    "root": int,
    "base": dict,
    "reason": str,
    "proposed": str,
}


def _read(value: dict[str, Any]) -> Amendment:
    check_fields(value, _FIELDS)
    if value["format"] != AMENDMENT_FORMAT:
        raise NotStrict("its format is not known here")
    files = _bytes(value["files"])
    base = None if value["base"] is None else _read_base(value["base"], files)
    metadata = {
        role: check_fields(part, {"signed": dict, "signatures": list}) for role, part in value["metadata"].items()
    }
    if Targets.type not in metadata:
        raise NotStrict("a role is missing or unknown")
    proposal = check_fields(metadata[Targets.type]["signed"].get(EXTENSION), _PROPOSAL_FIELDS)
    if check_reason(proposal["reason"]) != proposal["reason"]:
        raise NotStrict("its reason has space around it")
    amendment = draft(files, base, reason=proposal["reason"], proposed=read_time(proposal["proposed"], file=""))
    if {role: part["signed"] for role, part in metadata.items()} != {
        role: signed.to_dict() for role, signed in amendment.roles.items()
    }:
        raise NotStrict("what would be signed is not what its files say")
    return with_verified(amendment, _read_all_signatures(metadata, value["assents"]))


def _read_all_signatures(metadata: Mapping[str, dict[str, Any]], assents: Any) -> list[Assent]:
    by_role = {role: read_signatures(part["signatures"]) for role, part in metadata.items()}
    times = read_assents(assents)
    if any(set(signatures) != set(times) for signatures in by_role.values()):
        raise NotStrict("a member has signed only a part of it")
    return [
        Assent(
            keyid,
            time,
            tuple(sorted([(ASSENT, sig), *((role, signatures[keyid]) for role, signatures in by_role.items())])),
        )
        for keyid, (time, sig) in times.items()
    ]


def _base_fields(base: Base, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Files that the amendment leaves as they are stand in it once."""
    same = sorted(name for name, data in base.files.items() if files.get(name) == data)
    return {
        "edition": base.number,
        "base": base.base_digest,
        "reason": base.reason,
        "proposed": time_text(base.proposed),
        "root": base.root.to_dict(),
        "files": _texts({name: data for name, data in base.files.items() if name not in same}),
        "unchanged": same,
    }


def _read_base(value: dict[str, Any], files: Mapping[str, bytes]) -> Base:
    check_fields(value, _BASE_FIELDS)
    before = _bytes(value["files"])
    for name in value["unchanged"]:
        if not isinstance(name, str) or name not in files or name in before:
            raise NotStrict("its base names a file that is not there")
        before[name] = files[name]
    unsigned = json.dumps({"signed": value["root"], "signatures": []}).encode()
    root = read_metadata(unsigned, Root, file="root").signed
    charter = read_charter(before)
    number = value["edition"]
    if number < 1:
        raise NotStrict("its base has no number")
    proposed = read_time(value["proposed"], file="")
    # The edition before the base is known by its digest alone.
    named = {"edition": number - 1, "digest": value["base"]}
    targets = make_targets(
        charter, before, number=number, root=root.version, base=named, reason=value["reason"], proposed=proposed
    )
    digest = edition_digest(targets)
    _check_base_root(root, charter, number, digest)
    return Base(number, digest, value["base"], value["reason"], proposed, before, charter, root)


def _check_base_root(root: Root, charter: Charter, number: int, digest: str) -> None:
    """The base's root may have come with an older edition, whose digest nobody knows here, and run longer."""
    extension = root.unrecognized_fields[EXTENSION]
    brought = extension.get("edition") if isinstance(extension, dict) else None
    brought = check_fields(brought, {"number": int, "digest": str})
    expected = make_root(charter, version=root.version, edition=brought["number"], digest=brought["digest"]).to_dict()
    if {**root.to_dict(), "expires": ""} != {**expected, "expires": ""}:
        raise NotStrict("its base has another board than the one that its root names")
    of_base = (brought["number"], brought["digest"]) == (number, digest)
    if not of_base and not 1 <= brought["number"] < number:
        raise NotStrict("the root of its base came with an edition that is neither its base nor older")


def _texts(files: Mapping[str, bytes]) -> dict[str, str]:
    try:
        return {name: files[name].decode("utf-8") for name in sorted(files)}
    except UnicodeError:
        raise BadDocument(reason="a file is not UTF-8 text") from None


def _bytes(texts: dict[str, Any]) -> dict[str, bytes]:
    if not all(isinstance(text, str) for text in texts.values()):
        raise NotStrict("a file is no text")
    return {name: text.encode("utf-8") for name, text in texts.items()}
