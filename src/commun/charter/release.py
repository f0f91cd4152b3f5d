"""A release while it collects signatures: the quorum's decision that a frozen edition goes on after all.

It signs like an amendment (``signing.py``): by file or in a browser, in any order, merged from copies. Rules:

- what is signed names the edition, its digest, and the freeze that it answers, by the digest of what the freezing
  member signed; the file carries that freeze, so that a signer reads who froze, and why;
- the file also names the board and its quorum, to be shown and to know whose signature is welcome offline; what counts
  is the board that was really adopted, when it is released (``freezing.release``);
- there is no time of a member's own: everybody signs the same bytes.

``read_document`` reads an amendment or a release, whichever a file holds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from securesystemslib.signer import Key
from tuf.api.metadata import Root

from commun.charter.amendment import AMENDMENT_FORMAT, ID_DIGITS, MAX_DOCUMENT_BYTES, Amendment
from commun.charter.canonical import EXTENSION, canonical, digest_of, is_digest, read_time, time_text
from commun.charter.clauses import Board, Member
from commun.charter.edition import Freeze, InForce
from commun.charter.errors import CharterError, InvalidCharter
from commun.charter.freezes import FREEZE_TYPE, MAX_FREEZE_BYTES, MAX_FREEZE_REASON, UNFREEZE_TYPE
from commun.charter.keys import key_from_text
from commun.charter.signing import (
    Assent,
    BadDocument,
    OtherBoard,
    Voters,
    Voting,
    is_signature_by,
    read_signatures,
    whole_second,
    with_verified,
)
from commun.charter.source_schema import MAX_MEMBERS
from commun.charter.strict_json import NotStrict, check_fields, read_object
from commun.errors import N_

RELEASE_FORMAT: Final = "commun-release/1"
RELEASE: Final = "release"
MAX_RELEASE_BYTES: Final = 300_000


class NotFrozen(CharterError):
    code = "not_frozen"
    status = 409
    problem = N_("There is no freeze that this release could end.")
    cure = N_("“commun charter status” shows what is in force.")


@dataclass(frozen=True, slots=True)
class Release:
    """``freeze``: who froze the edition, when and why. ``signed``: what members sign."""

    freeze: Freeze
    freeze_document: Mapping[str, Any]
    board: Board
    proposed: datetime
    assents: tuple[Assent, ...] = ()
    kind: Literal["release"] = "release"

    @property
    def id(self) -> str:
        return digest_of(canonical(self.signed))[:ID_DIGITS]

    @property
    def edition(self) -> int:
        return self.freeze.edition

    @property
    def digest(self) -> str:
        return self.freeze.digest

    @property
    def signed(self) -> dict[str, Any]:
        return {
            "_type": UNFREEZE_TYPE,
            "edition": self.edition,
            "digest": self.digest,
            "freeze": digest_of(canonical(self.freeze_document["signed"])),
            "time": time_text(self.proposed),
        }

    def signers(self) -> Mapping[str, Key]:
        keys = (key_from_text(member.key) for member in self.board.members)
        return {key.keyid: key for key in keys}

    def payloads(self, time: datetime) -> dict[str, bytes]:  # noqa: ARG002  (there is no time of a member's own)
        return {RELEASE: canonical(self.signed)}

    def with_assents(self, assents: tuple[Assent, ...]) -> "Release":
        return replace(self, assents=assents)

    def voting(self) -> Voting:
        names = {key_from_text(member.key).keyid: member.name for member in self.board.members}
        return Voting((Voters("new", names, self.board.quorum),), frozenset(), entrenched=False)

    def check_board(self, root: Root) -> None:
        """Raises OtherBoard where ``root`` names another board than this release does."""
        if dict(self.signers()) != root.keys or self.board.quorum != root.unrecognized_fields[EXTENSION]["quorum"]:
            raise OtherBoard(base=self.edition)

    def published(self) -> bytes:
        """As it lies in the published folder."""
        return _json({"signed": self.signed, "signatures": self._signatures()})

    def to_bytes(self) -> bytes:
        members = [{"name": member.name, "key": member.key} for member in self.board.members]
        return _json(
            {
                "format": RELEASE_FORMAT,
                "freeze": dict(self.freeze_document),
                "board": {"quorum": self.board.quorum, "members": members},
                "signed": self.signed,
                "signatures": self._signatures(),
            }
        )

    @staticmethod
    def from_bytes(data: bytes) -> "Release":
        """Raises BadDocument, BadKey, NotAMember, BadSignature."""
        try:
            return _read(read_object(data, limit=MAX_RELEASE_BYTES))
        except NotStrict as error:
            raise BadDocument(reason=str(error)) from None

    def _signatures(self) -> list[dict[str, str]]:
        return [{"keyid": assent.keyid, "sig": assent.signature(RELEASE)} for assent in self.assents]


Document = Amendment | Release


def propose_release(in_force: InForce, freeze_bytes: bytes, *, now: datetime) -> Release:
    """``freeze_bytes``: the published freeze of the newest edition. Raises NotFrozen, BadDocument."""
    if in_force.freeze is None:
        raise NotFrozen
    board = in_force.newest.charter.board
    try:
        release = _release(read_object(freeze_bytes, limit=MAX_FREEZE_BYTES), board, whole_second(now))
    except NotStrict as error:
        raise BadDocument(reason=str(error)) from None
    if (release.edition, release.digest) != (in_force.newest.number, in_force.newest.digest):
        raise NotFrozen
    return release


def read_document(data: bytes) -> Document:
    """Whatever a file holds that collects signatures. Raises CharterError."""
    try:
        document_format = read_object(data, limit=MAX_DOCUMENT_BYTES).get("format")
    except NotStrict as error:
        raise BadDocument(reason=str(error)) from None
    if document_format == AMENDMENT_FORMAT:
        return Amendment.from_bytes(data)
    if document_format == RELEASE_FORMAT:
        return Release.from_bytes(data)
    raise BadDocument(reason="its format is not known here")


def _read(value: dict[str, Any]) -> Release:
    check_fields(value, {"format": str, "freeze": dict, "board": dict, "signed": dict, "signatures": list})
    if value["format"] != RELEASE_FORMAT:
        raise NotStrict("its format is not known here")
    proposed = _time(value["signed"].get("time"))
    release = _release(value["freeze"], _read_board(value["board"]), proposed)
    if release.signed != value["signed"]:
        raise NotStrict("what would be signed is not what it says")
    signatures = read_signatures(value["signatures"])
    return with_verified(
        release, [Assent(keyid, None, ((RELEASE, signature),)) for keyid, signature in signatures.items()]
    )


def _release(freeze_document: dict[str, Any], board: Board, proposed: datetime) -> Release:
    """Without signatures; the freeze's own is verified under ``board``. Raises NotStrict."""
    check_fields(freeze_document, {"signed": dict, "signatures": list})
    signed = check_fields(
        freeze_document["signed"], {"_type": str, "edition": int, "digest": str, "reason": str, "time": str}
    )
    if signed["_type"] != FREEZE_TYPE or not is_digest(signed["digest"]) or len(signed["reason"]) > MAX_FREEZE_REASON:
        raise NotStrict("its freeze is not one")
    for member in board.members:
        key = key_from_text(member.key)
        signature = read_signatures(freeze_document["signatures"]).get(key.keyid)
        if signature is not None and is_signature_by(key, signature, canonical(signed)):
            at = _time(signed["time"])
            freeze = Freeze(signed["edition"], signed["digest"], member.name, key.keyid, at, signed["reason"])
            return Release(freeze, freeze_document, board, proposed)
    raise NotStrict("no member of its board has signed the freeze")


def _read_board(value: dict[str, Any]) -> Board:
    check_fields(value, {"quorum": int, "members": list})
    members = tuple(Member(**check_fields(item, {"name": str, "key": str})) for item in value["members"])
    if len(members) > MAX_MEMBERS or len({member.key for member in members}) != len(members):
        raise NotStrict("its board is none")
    if not 1 <= value["quorum"] <= len(members):
        raise NotStrict("its board is none")
    return Board(value["quorum"], members)


def _time(text: Any) -> datetime:
    try:
        return read_time(text, file="")
    except InvalidCharter:
        raise NotStrict("a time has another form") from None


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
