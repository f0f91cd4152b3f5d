"""What a witness has told of this ledger: cosignatures, verified before they are used, and why there is none.

A line is good if it is of the policy's key, over the very head, and its time is one: not zero, and at most MAX_AHEAD_S
in the future (clocks differ). Everything else in an answer is ignored.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from commun.errors import N_, CommunError
from commun.ledger.checkpoint import Checkpoint
from commun.ledger.cosignature import time_of, verifier_for
from commun.ledger.errors import LedgerError
from commun.ledger.keys import VerifierKey
from commun.ledger.log import Head
from commun.ledger.note import Note, Signature, read_signature_lines
from commun.ledger.policy import Policy, Witness

MAX_AHEAD_S: Final = 86_400


class WitnessSilent(CommunError):
    """``details``: ``host``, ``reason``."""

    code = "witness_silent"
    status = 502
    problem = N_("The witness at %(host)s has not cosigned: %(reason)s.")
    cure = N_("It is asked again. Others may make the quorum meanwhile.")


class AnotherHistory(WitnessSilent):
    """By its own word, which proves nothing: a witness may be wrong, or lie."""

    code = "witness_another_history"
    problem = N_("The witness at %(host)s says that it has seen another history of this ledger: %(reason)s.")
    cure = N_(
        "Was the ledger restored from an old copy? Compare with “commun ledger compare”, and keep both as evidence."
    )


@dataclass(frozen=True, slots=True)
class WitnessState:
    """One witness of the policy, for people. ``host``: of its URL, "" where it has none and is not asked. ``size``: of
    the last head that it cosigned for us, ``at``: when. ``trouble``: why it does not at present.
    """

    name: str
    key: VerifierKey
    host: str
    size: int | None = None
    at: datetime | None = None
    trouble: CommunError | None = None

    @property
    def is_conflict(self) -> bool:
        return isinstance(self.trouble, AnotherHistory)


def state_of(witness: Witness) -> WitnessState:
    """Before it was asked."""
    try:
        host = urlsplit((witness.url or b"").decode()).hostname or ""
    except ValueError:
        host = "?"
    return WitnessState(witness.name.decode("utf-8", "backslashreplace"), witness.key, host)


def line_of(data: bytes, key: VerifierKey, head: Checkpoint) -> Signature | None:
    """The line of ``key`` among a witness's answer, verified; None where there is no good one."""
    try:
        lines = read_signature_lines(data.decode())
    except (UnicodeDecodeError, LedgerError):
        return None
    for line in lines:
        if (line.name, line.key_id) == (key.name, key.key_id) and _is_good(line, key, head):
            return line
    return None


def lines_below(head: Head, policy: Policy, ledger: VerifierKey) -> dict[VerifierKey, Signature]:
    """What the policy's witnesses have signed already, verified: after a restart they need not be asked."""
    found = {}
    keys = {(item.key.name, item.key.key_id): item.key for item in policy.witnesses}
    for line in Note.from_bytes(head.data).signatures:
        key = keys.get((line.name, line.key_id))
        if key is not None and key != ledger and _is_good(line, key, head.checkpoint):
            found[key] = line
    return found


def _is_good(line: Signature, key: VerifierKey, head: Checkpoint) -> bool:
    try:
        verifier_for(key).check(head.text(), line.value)
        return 0 < time_of(line.value) < time.time() + MAX_AHEAD_S
    except LedgerError:
        return False
