"""The head that proofs are made against: the newest that enough witnesses have signed.

Rules:

- how many are enough, and which, is the policy of the charter in force. Where it asks for none, the newest head is the
  one;
- a head that fulfilled an earlier policy counts only as far as it fulfils this one;
- it is stored, so that a restart, or witnesses that cannot be reached, take no proof away that there was.
"""

from dataclasses import dataclass, field

from commun.ledger.checkpoint import read_checkpoint
from commun.ledger.cosignature import open_checkpoint
from commun.ledger.errors import LedgerError
from commun.ledger.keys import VerifierKey
from commun.ledger.log import Head
from commun.ledger.policy import Policy, Standing


@dataclass(slots=True)
class WitnessedHead:
    """``key``: the ledger's own. ``policy`` None: no witness is asked for."""

    key: VerifierKey
    policy: Policy | None = None
    _held: Head | None = field(default=None)

    @property
    def asks_for_witnesses(self) -> bool:
        return self.policy is not None and self.policy.quorum is not None

    def use(self, text: str) -> None:
        """A policy's text, "" for none; what is held is judged again. Raises BadPolicy."""
        self.policy = Policy.from_bytes(f"{text}\n".encode()) if text else None  # a charter's texts end without one
        held, self._held = self._held, None
        if held is not None:
            self.offer(held.data)

    def offer(self, note: bytes) -> bool:
        """Whether it is the one from now on: signed by the ledger and by enough witnesses, and not older."""
        if self.policy is None or not self.asks_for_witnesses:
            return False
        try:
            self.policy.check(note, logs=(self.key,))
            head = Head(read_checkpoint(note)[0], note)
        except LedgerError:
            return False
        if head.checkpoint.origin != self.key.name or (self._held is not None and head.size < self._held.size):
            return False
        self._held = head
        return True

    def find(self, newest: Head) -> Head | None:
        """None: no head has enough signatures yet."""
        return self._held if self.asks_for_witnesses else newest

    def standing(self, head: Head) -> Standing | None:
        """How far the witnesses of ``head`` have come; None where none is asked for."""
        if self.policy is None or not self.asks_for_witnesses:
            return None
        witnesses = [item.key for item in self.policy.witnesses]
        try:
            signed = open_checkpoint(head.data, log=[self.key], others=witnesses)
        except LedgerError:
            return self.policy.standing(())
        return self.policy.standing(signed.dated)
