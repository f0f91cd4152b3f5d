"""Any one member's brake, and the quorum's release. ``freezes.py`` reads and verifies what is written here.

Rules:

- ``freeze``: any one member of the newest edition's board, alone and at once, with a reason. The edition before is then
  in force; the board stays the newest one's;
- only the newest edition can be frozen, and not the first, for there must be one to go back to;
- one freeze per edition: frozen already, or released by the board once, it cannot be frozen again, so that one member
  cannot hold up the others for ever;
- ``release``: the quorum of that board, on a Release (``release.py``), which names the very freeze that it ends;
- an edition that is adopted later ends the freeze, too: a quorum has signed it, on the frozen one;
- as in ``adoption.py``, the loader verifies the folder as it would be before anything is written.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Final

from securesystemslib.signer import Signer

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
    reason = check_reason(reason)
    with repository.locked():
        verified = verify(repository, trust, now=now)
        _check_freezable(verified, signer)
        newest = verified.in_force.newest
        signed = {
            "_type": FREEZE_TYPE,
            "edition": newest.number,
            "digest": newest.digest,
            "reason": reason,
            "time": time_text(whole_second(now)),
        }
        signature = signer.sign(canonical(signed)).signature
        if not is_signature_by(signer.public_key, signature, canonical(signed)):
            raise BadSignature
        document = {"signed": signed, "signatures": [{"keyid": signer.public_key.keyid, "sig": signature}]}
        data = (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
        return _put(repository, trust, freeze_name(newest.number), data, now=now)


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


def _check_freezable(verified: Verified, signer: Signer) -> None:
    if verified.root.signed.keys.get(signer.public_key.keyid) != signer.public_key:
        raise NotAMember
    if verified.in_force.newest.number < FIRST_TO_FREEZE:
        raise CannotFreeze(reason=NO_BEFORE)
    if verified.freeze is not None:
        raise CannotFreeze(reason=RELEASED if verified.freeze.released else FROZEN)


def _put(repository: Repository, trust: Path, name: str, data: bytes, *, now: datetime) -> InForce:
    verify(Repository(repository.folder, staged={name: data}), trust, now=now)
    repository.put(name, data)
    return load(repository, trust, now=now)
