"""From a signed amendment to an adopted edition.

Rules:

- an amendment is adopted on the newest edition or not at all, also while that one is frozen: of two amendments in
  flight, the first that is adopted makes the other one raise OtherBase, and nothing that was signed of the other one
  counts anywhere else (``amendment.py``);
- enough signatures, counted here to be told (NotEnoughYet) and verified by the loader to be believed: the folder as it
  would be is loaded like any published charter, before anything is written and again before the commit point
  (``Repository.publish``). Whatever this module did wrong, an edition that does not hold is not put in force;
- adopting the same amendment again is harmless and gives what is in force: who was interrupted may repeat it;
- of those who signed, everybody's signature and time is published; but targets, snapshot and timestamp carry those of
  the new board only, for nobody else's count there.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata

from commun.charter.amendment import Amendment
from commun.charter.amendment_file import assent_list
from commun.charter.canonical import digest_of
from commun.charter.edition import InForce
from commun.charter.errors import MixedEditions, NoCharter, NotEnoughYet, OtherBase
from commun.charter.loader import Verified, load, verify
from commun.charter.repository import (
    TIMESTAMP,
    Repository,
    assents_name,
    root_name,
    snapshot_name,
    target_name,
    targets_name,
    timestamp_name,
)
from commun.charter.status import signing_status


def adopt(repository: Repository, trust: Path, document: Amendment, *, now: datetime) -> InForce:
    """Raises OtherBase, NotEnoughYet, RepositoryBusy, and InvalidCharter where what is published does not hold."""
    with repository.locked():
        before = _find_verified(repository, trust, now=now)
        if before is not None and before.in_force.newest.digest == document.digest:
            return load(repository, trust, now=now)
        _check_base(document, before)
        status = signing_status(document, None if before is None else before.root)
        if not status.complete:
            raise NotEnoughYet(signed=len(status.signed), needed=status.needed)

        def check(view: Repository) -> None:
            newest = verify(view, trust, now=now).in_force.newest
            if newest.digest != document.digest:
                raise MixedEditions(file=TIMESTAMP, reason="it is not the amendment that was to be adopted")

        repository.publish(published_files(document), check=check)
        return load(repository, trust, now=now)


def published_files(document: Amendment) -> dict[str, bytes]:
    """What an adopted amendment adds to the published folder, by name; TIMESTAMP among them."""
    number = document.number
    targets, snapshot, timestamp = (
        _of_new_board(document, metadata) for metadata in (document.targets, document.snapshot, document.timestamp)
    )
    files = {
        targets_name(number): targets,
        snapshot_name(number): snapshot,
        timestamp_name(number): timestamp,
        assents_name(number): _json({"assents": assent_list(document.assents)}),
        TIMESTAMP: timestamp,
    }
    if document.root is not None:
        files[root_name(document.root.signed.version)] = document.root.to_bytes()
    return files | {target_name(path, digest_of(data)): data for path, data in document.files.items()}


def _of_new_board(document: Amendment, metadata: Metadata[Any]) -> bytes:
    board = document.board_root().keys
    signatures = {keyid: signature for keyid, signature in metadata.signatures.items() if keyid in board}
    return Metadata(metadata.signed, signatures).to_bytes()


def _check_base(document: Amendment, before: Verified | None) -> None:
    number, digest = (0, "") if before is None else (before.in_force.newest.number, before.in_force.newest.digest)
    if (document.base_number, document.base_digest) != (number, digest):
        raise OtherBase(base=document.base_number, edition=number)


def _find_verified(repository: Repository, trust: Path, *, now: datetime) -> Verified | None:
    """None where there is no charter yet, and none was trusted."""
    try:
        return verify(repository, trust, now=now)
    except NoCharter:
        return None


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
