"""What a verified charter is called once it holds: an edition, who signed it, whether it is frozen, what is in force.

These are results: only ``loader.py`` and ``history.py`` make them, and only from what they have verified.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from commun.charter.clauses import Charter


@dataclass(frozen=True, slots=True)
class Signature:
    """One member's. ``at``: when, by the member's own clock, under a signature too; None where no valid one is there.
    ``guard``: whether the member guards the entrenched clauses of the edition before.
    """

    member: str
    keyid: str
    at: datetime | None
    guard: bool


@dataclass(frozen=True, slots=True)
class Edition:
    """One adopted, numbered version of the charter.

    ``number`` from 1, without gaps. ``digest``: SHA-256, hex, of the signed bytes of its targets metadata: the name of
    this edition everywhere. ``base_digest``: of the edition before, "" for the first. ``files``: the source folder,
    byte for byte, by relative path. ``reason``: why, in the words of who proposed it. ``proposed``: when (UTC).
    ``root_version``: of the board's root metadata under which it was signed. ``expires``: end of the mandate (UTC).
    """

    number: int
    digest: str
    base_digest: str
    charter: Charter
    files: Mapping[str, bytes]
    reason: str
    proposed: datetime
    root_version: int
    signatures: tuple[Signature, ...]
    expires: datetime


@dataclass(frozen=True, slots=True)
class Freeze:
    """Edition ``edition`` is suspended: ``member`` has put the last one that is not frozen in force. Times UTC."""

    edition: int
    digest: str
    member: str
    keyid: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class InForce:
    """``edition`` is what answers. ``newest`` is the last one adopted: another one only while ``freeze`` is set;
    ``between`` are then those adopted between the two, each of them frozen.
    ``stale_since``: when the mandate ended (UTC), or None while it runs. ``first_root``: digest of the first root, hex:
    it never changes, and names the charter itself.
    """

    edition: Edition
    newest: Edition
    freeze: Freeze | None
    stale_since: datetime | None
    first_root: str
    between: tuple[Edition, ...] = ()

    @property
    def charter(self) -> Charter:
        return self.edition.charter
