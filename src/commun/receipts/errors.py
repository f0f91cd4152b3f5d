"""Why a receipt or a bundle is refused: one error, one named reason. docs/spec/receipt.md lists the same names.

A reason belongs to one step of the verification; ``detail`` says more, in a short technical phrase in English of our
own words: never text from outside. Programs compare reasons, and no more.
"""

from enum import StrEnum
from typing import Final

from commun.errors import N_, CommunError


class Reason(StrEnum):
    # 1, the file's form
    TOO_LARGE = "too-large"
    NOT_STRICT_JSON = "not-strict-json"
    BUNDLE_FIELDS = "bundle-fields"
    NOT_BASE64 = "not-base64"
    ENVELOPE_FORM = "envelope-form"
    # 2, the envelope's signature
    BAD_KEY = "bad-key"
    UNKNOWN_KEY = "unknown-key"
    WRONG_SIGNATURE = "wrong-signature"
    # 3, the statement
    STATEMENT_NOT_CANONICAL = "statement-not-canonical"
    STATEMENT_TYPE = "statement-type"
    STATEMENT_FIELDS = "statement-fields"
    STATEMENT_CONTRADICTION = "statement-contradiction"
    # 4, what is disclosed
    COMMITMENT_ABSENT = "commitment-absent"
    COMMITMENT_MISMATCH = "commitment-mismatch"
    COUNT_MISMATCH = "count-mismatch"
    SEED_ABSENT = "seed-absent"
    SEED_MISMATCH = "seed-mismatch"
    # 5, the charter
    CHARTER_UNKNOWN = "charter-unknown"
    CHARTER_INVALID = "charter-invalid"
    CHARTER_EXTRA_FILE = "charter-extra-file"
    CHARTER_OTHER_EDITION = "charter-other-edition"
    CHARTER_EXPIRED = "charter-expired"
    # 6, what the charter allows
    MODEL_NOT_ADOPTED = "model-not-adopted"
    ENGINE_NOT_ADOPTED = "engine-not-adopted"
    SOFTWARE_NOT_ALLOWED = "software-not-allowed"
    OUTSIDE_CHARTER = "outside-charter"
    PROMPT_NOT_ADOPTED = "prompt-not-adopted"
    # 7, the ledger
    BAD_POLICY = "bad-policy"
    OTHER_LEDGER = "other-ledger"
    PROOF_FORM = "proof-form"
    CHECKPOINT_UNSIGNED = "checkpoint-unsigned"
    TOO_FEW_WITNESSES = "too-few-witnesses"
    NOT_IN_LEDGER = "not-in-ledger"
    EDITION_NOT_IN_LEDGER = "edition-not-in-ledger"
    FORK = "fork"
    LEDGER_TIME = "ledger-time"
    EPOCH_NOT_IN_LEDGER = "epoch-not-in-ledger"
    SECRET_NOT_IN_LEDGER = "secret-not-in-ledger"  # noqa: S105  (a reason's name)
    SEED_NOT_DERIVED = "seed-not-derived"


# The first reason of each step; those that follow belong to the same one.
_FIRST_OF_STEP: Final = (
    Reason.TOO_LARGE,
    Reason.BAD_KEY,
    Reason.STATEMENT_NOT_CANONICAL,
    Reason.COMMITMENT_ABSENT,
    Reason.CHARTER_UNKNOWN,
    Reason.MODEL_NOT_ADOPTED,
    Reason.BAD_POLICY,
)
_ORDER: Final = list(Reason)
STEP_OF: Final = {
    reason: sum(_ORDER.index(first) <= place for first in _FIRST_OF_STEP) for place, reason in enumerate(_ORDER)
}


class ReceiptError(CommunError):
    """``details``: ``reason`` (a Reason), ``detail``."""

    code = "receipt_refused"
    status = 422
    problem = N_("The receipt does not hold: %(detail)s (%(reason)s).")
    cure = N_("Do not rely on it. Ask for the file again where it came from, and keep this one as evidence.")

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        super().__init__(reason=reason.value, detail=detail)
