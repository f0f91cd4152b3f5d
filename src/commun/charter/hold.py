"""The legal hold: the charter's clause ``retention.hold_until``, as it counts on a day.

Rules:

- the day that the clause names is the last of the hold (UTC);
- while the newest edition is frozen the longest hold counts, of every edition from the one in force to the newest: what
  a quorum has held is not erased because one member stops its edition, nor because brakes put an older one in force;
- it says what may not be erased, and erases nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from commun.charter.edition import InForce


@dataclass(frozen=True, slots=True)
class Hold:
    """``until``: the last day (UTC). ``edition``: the one whose clause it is."""

    until: date
    edition: int


def hold_of(in_force: InForce, now: datetime) -> Hold | None:
    """The hold that counts at that moment; None where there is none. ``now``: with its time zone."""
    today = now.astimezone(UTC).date()
    return max((hold for hold in _holds(in_force) if hold.until >= today), key=lambda hold: hold.until, default=None)


def _holds(in_force: InForce) -> Iterator[Hold]:
    for edition in (in_force.edition, *in_force.between, in_force.newest):
        until = edition.charter.retention.hold_until
        if until is not None:
            yield Hold(until, edition.number)
