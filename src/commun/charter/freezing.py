"""Any one member's brake, and the quorum's release. ``freezes.py`` reads and verifies what is written here.

Rules:

- ``freeze``: any one member of the newest edition's board, alone and at once, with a reason. The last edition that is
  not frozen itself is then in force (``Verified.fallback``): the one before, as a rule, and an older one where that was
  frozen and never released. The board stays the newest one's;
- only the newest edition can be frozen, and not the first, for there must be one to go back to;
- what comes back is a whole older charter, with its own range of software versions: where that excludes the version
  that runs here, nothing is answered until the quorum releases or adopts another edition. One member can bring that
  about where the newest edition has moved the range. It is not prevented: a brake that asked the software first would
  fail where it is needed; but “commun charter freeze” says it beforehand;
- one freeze per edition: frozen already, or released by the board once, it cannot be frozen again, so that one member
  cannot hold up the others for ever;
- ``release``: the quorum of that board, on a Release (``release.py``), which names the very freeze that it ends;
- an edition that is adopted later ends the freeze, too: a quorum has signed it, on the frozen one;
- who signs elsewhere, in a browser, is given the bytes (``freeze_payload``) and brings the signature
  (``freeze_signed``): the same rules, asked again; had another edition been adopted meanwhile, it would not fit;
- as in ``adoption.py``, the loader verifies the folder as it would be before anything is written.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import Key, Signer

from commun.charter.canonical import canonical, time_text
from commun.charter.edition import InForce
from commun.charter.errors import BadSignature, CannotFreeze, NotAMember, NotEnoughYet, OtherBase
from commun.charter.freezes import FIRST_TO_FREEZE, FREEZE_TYPE
from commun.charter.loader import Verified, load, verify
from commun.charter.release import NotFrozen, Release
from commun.charter.repository import Repository, freeze_name, unfreeze_name
from commun.charter.signing import check_reason, is_signature_by, whole_second
from commun.charter.status import signing_status

NO_BEFORE: Final = "the first edition has none before it to go back to"
FROZEN: Final = "it is frozen already"
RELEASED: Final = "the board has released it, and one edition is frozen once only"


def freeze(repository: Repository, trust: Path, signer: Signer, *, reason: str, now: datetime) -> InForce:
    """Raises NoReason, NotAMember, CannotFreeze, and what loading raises."""
    key = signer.public_key
    with repository.locked():
        payload = freeze_payload(verify(repository, trust, now=now), key, reason=reason, time=now)
        signature = signer.sign(payload).signature
        return freeze_signed(repository, trust, key, signature, reason=reason, time=now, now=now)


def freeze_payload(verified: Verified, key: Key, *, reason: str, time: datetime) -> bytes:
    """What the member with this public key signs to freeze the newest edition. Raises NoReason, NotAMember,
    CannotFreeze.
    """
    return canonical(_freeze_fields(verified, key, reason=reason, time=time))


def freeze_signed(
    repository: Repository, trust: Path, key: Key, signature: str, *, reason: str, time: datetime, now: datetime
) -> InForce:
    """``signature``: hex, over the ``freeze_payload`` for this reason and time. Raises BadSignature besides."""
    with repository.locked():
        verified = verify(repository, trust, now=now)
        signed = _freeze_fields(verified, key, reason=reason, time=time)
        if not is_signature_by(key, signature, canonical(signed)):
            raise BadSignature
        document = {"signed": signed, "signatures": [{"keyid": key.keyid, "sig": signature}]}
        data = (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
        return _put(repository, trust, freeze_name(verified.in_force.newest.number), data, now=now)


def _freeze_fields(verified: Verified, key: Key, *, reason: str, time: datetime) -> dict[str, Any]:
    reason = check_reason(reason)
    _check_freezable(verified, key)
    newest = verified.in_force.newest
    return {
        "_type": FREEZE_TYPE,
        "edition": newest.number,
        "digest": newest.digest,
        "reason": reason,
        "time": time_text(whole_second(time)),
    }


def release(repository: Repository, trust: Path, document: Release, *, now: datetime) -> InForce:
    """Releasing what this very document has released is harmless. Raises NotFrozen, OtherBase, NotEnoughYet."""
    with repository.locked():
        verified = verify(repository, trust, now=now)
        newest, state = verified.in_force.newest, verified.freeze
        if (document.edition, document.digest) != (newest.number, newest.digest):
            raise OtherBase(base=document.edition, edition=newest.number)
        if state is None or state.signed_digest != document.signed["freeze"]:
            raise NotFrozen
        if state.released:
            return load(repository, trust, now=now)
        status = signing_status(document, verified.root)
        if not status.complete:
            raise NotEnoughYet(signed=len(status.signed), needed=status.needed)
        return _put(repository, trust, unfreeze_name(newest.number), document.published(), now=now)


def _check_freezable(verified: Verified, key: Key) -> None:
    if verified.root.signed.keys.get(key.keyid) != key:
        raise NotAMember
    if verified.in_force.newest.number < FIRST_TO_FREEZE:
        raise CannotFreeze(reason=NO_BEFORE)
    if verified.freeze is not None:
        raise CannotFreeze(reason=RELEASED if verified.freeze.released else FROZEN)


def _put(repository: Repository, trust: Path, name: str, data: bytes, *, now: datetime) -> InForce:
    verify(Repository(repository.folder, staged={name: data}), trust, now=now)
    repository.put(name, data)
    return load(repository, trust, now=now)
