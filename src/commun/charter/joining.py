"""How somebody's key comes to the board: an invitation out, a request back, both short texts for a mail or a page.

Rules:

- an invitation is no secret and grants nothing. It says who invites whom to which charter; the charter is named by the
  digest of its first root, which never changes, and by its newest edition, so that the invited can see what they join;
- the request is the new member's answer: name, public key, and the key's own signature over both and the charter's
  digest. So nobody can register a key that they do not hold, or carry a request over to another board;
- a request is not membership: that is an amendment that names the key, signed by the quorum;
- texts are ``commun-invitation:`` or ``commun-join:`` and base64url of canonical JSON; space and line breaks in them
  (mail programs) do not matter. What cannot be read is refused with BadInvitation, a request whose signature does not
  fit with BadSignature.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any, Final

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, Root

from commun.charter.canonical import canonical, digest_of, is_digest
from commun.charter.errors import BadSignature, CharterError
from commun.charter.keys import MAX_KEY_TEXT, key_from_text, text_of_key
from commun.charter.signing import is_signature_by
from commun.charter.strict_json import NotStrict, check_fields, read_object
from commun.errors import N_

INVITATION: Final = "commun-invitation"
REQUEST: Final = "commun-join"
INVITATION_TYPE: Final = "commun-invitation/1"
REQUEST_TYPE: Final = "commun-join/1"
MAX_TEXT: Final = 8192
MAX_NAME: Final = 200
_SPACE: Final = re.compile(r"\s+")


class BadInvitation(CharterError):
    """``details``: ``reason``."""

    code = "bad_invitation"
    status = 422
    problem = N_("This is not an invitation to a board, nor the answer to one: %(reason)s.")
    cure = N_("Copy the whole text, from “commun-” to its end.")


@dataclass(frozen=True, slots=True)
class Invitation:
    """``name``: of who is invited; ``by``: of who invites. ``root_digest``: ``charter_digest``. ``edition``: the
    newest edition's digest.
    """

    name: str
    by: str
    charter_name: str
    root_digest: str
    edition: str

    def __post_init__(self) -> None:
        for name in (self.name, self.by, self.charter_name):
            _check_name(name)
        if not is_digest(self.root_digest) or not is_digest(self.edition):
            raise BadInvitation(reason="a digest is not one")

    def to_text(self) -> str:
        return _to_text(
            INVITATION,
            {
                "_type": INVITATION_TYPE,
                "name": self.name,
                "by": self.by,
                "charter_name": self.charter_name,
                "charter": self.root_digest,
                "edition": self.edition,
            },
        )

    @staticmethod
    def from_text(text: str) -> "Invitation":
        """Raises BadInvitation."""
        fields = _from_text(INVITATION, text, ("_type", "name", "by", "charter_name", "charter", "edition"))
        if fields["_type"] != INVITATION_TYPE:
            raise BadInvitation(reason="its format is not known here")
        return Invitation(fields["name"], fields["by"], fields["charter_name"], fields["charter"], fields["edition"])


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """``key``: the public key's text form. ``charter``: the first root's digest. ``sig``: hex, over ``join_payload``.
    One that exists has been verified.
    """

    name: str
    key: str
    charter: str
    sig: str

    def __post_init__(self) -> None:
        """Raises BadInvitation, BadKey, BadSignature."""
        _check_name(self.name)
        if not is_digest(self.charter):
            raise BadInvitation(reason="a digest is not one")
        if not is_signature_by(key_from_text(self.key), self.sig, join_payload(self.name, self.key, self.charter)):
            raise BadSignature

    def to_text(self) -> str:
        return _to_text(
            REQUEST,
            {"_type": REQUEST_TYPE, "name": self.name, "key": self.key, "charter": self.charter, "sig": self.sig},
        )

    @staticmethod
    def from_text(text: str) -> "JoinRequest":
        """Raises BadInvitation, BadKey, BadSignature."""
        fields = _from_text(REQUEST, text, ("_type", "name", "key", "charter", "sig"))
        if fields["_type"] != REQUEST_TYPE:
            raise BadInvitation(reason="its format is not known here")
        return JoinRequest(fields["name"], fields["key"], fields["charter"], fields["sig"])

    def check_charter(self, first_root: Metadata[Root]) -> None:
        """Raises BadInvitation where the request is for another board."""
        if self.charter != charter_digest(first_root):
            raise BadInvitation(reason="it is about another charter")


def charter_digest(first_root: Metadata[Root]) -> str:
    """The name of a charter that never changes: SHA-256, hex, of its first root's signed bytes."""
    return digest_of(first_root.signed_bytes)


def join_payload(name: str, key: str, charter: str) -> bytes:
    """What the new key signs: here, or in a browser, whose signature then makes a JoinRequest."""
    return canonical({"_type": REQUEST_TYPE, "name": name, "key": key, "charter": charter})


def accept(invitation: Invitation, signer: Signer) -> JoinRequest:
    """The answer to an invitation. Raises BadKey, BadSignature."""
    key = text_of_key(signer.public_key)
    signature = signer.sign(join_payload(invitation.name, key, invitation.root_digest)).signature
    return JoinRequest(invitation.name, key, invitation.root_digest, signature)


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME or name != name.strip() or not name.isprintable():
        raise BadInvitation(reason="a name is empty, too long or not one line")


def _to_text(kind: str, fields: dict[str, str]) -> str:
    return f"{kind}:{base64.urlsafe_b64encode(canonical(fields)).decode()}"


def _from_text(kind: str, text: str, names: tuple[str, ...]) -> dict[str, Any]:
    if len(text) > MAX_TEXT:
        raise BadInvitation(reason="it is too long")
    start, _, rest = _SPACE.sub("", text).partition(":")
    if start != kind:
        raise BadInvitation(reason="it does not begin as one")
    try:
        # Any length of padding: some mail programs and forms drop the “=” at the end.
        data = base64.b64decode(rest.rstrip("=") + "=" * (-len(rest.rstrip("=")) % 4), altchars=b"-_", validate=True)
        fields = check_fields(read_object(data, limit=MAX_TEXT), dict.fromkeys(names, str))
    except (binascii.Error, ValueError, NotStrict):
        raise BadInvitation(reason="it is not complete") from None
    if len(fields.get("key", "")) > MAX_KEY_TEXT:
        raise BadInvitation(reason="it is too long")
    return fields
