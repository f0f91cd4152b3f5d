"""The names of what lies in the data folder; each room makes its own."""

from typing import Final

CHARTER_FOLDER: Final = "charter"  # the published charter: static files, for everybody
TRUST_FOLDER: Final = "charter-trust"  # what this machine has verified: never published, never taken from outside
KEYS_FOLDER: Final = "keys"  # board keys of people who sign on this machine, and the machine's own
MACHINE_KEYS: Final = frozenset({"ledger.key", "receipts.key", "witness.key"})  # nobody signs a charter with these
LEDGER_FOLDER: Final = "ledger"  # the transparency log: static files, for everybody
WITNESS_FOLDER: Final = "witness"  # what this Commun has cosigned for other ledgers, and whose
