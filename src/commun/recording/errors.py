"""Why nothing is answered: what the ledger says against the charter, or that it cannot be written to.

CharterError
├── LedgerRefuses                 ledger_refuses              503   (carries the ledger's own error, or the key's)
├── OtherEditionInLedger          charter_other_in_ledger     503
├── OlderThanLedger               charter_older_than_ledger   503
└── StoppedInLedger               charter_stopped_in_ledger   503
LedgerError
├── LedgerCutShort                ledger_cut_short            500
└── LedgerRewritten               ledger_rewritten            500
BadReceiptKeyFile (CommunError)   bad_receipt_key_file        500
NonceUsed (CommunError)           nonce_used                  409
"""

from collections.abc import Callable

from commun.charter.errors import CharterError
from commun.errors import N_, CommunError
from commun.ledger.errors import LedgerError


class LedgerRefuses(CharterError):
    """``error``: why. Its own words are told, in the reader's language."""

    code = "ledger_refuses"
    problem = N_("Nothing is answered, because nothing can be recorded in the ledger.")
    cure = ""

    def __init__(self, error: CommunError) -> None:
        self.error = error
        super().__init__()

    def problem_text(self, translate: Callable[[str], str] = str) -> str:
        return f"{translate(self.problem)} {self.error.problem_text(translate)}"

    def cure_text(self, translate: Callable[[str], str] = str) -> str:
        return self.error.cure_text(translate)


class OtherEditionInLedger(CharterError):
    """``details``: ``edition``."""

    code = "charter_other_in_ledger"
    problem = N_("The ledger says that edition %(edition)s of the charter was another one.")
    cure = N_("Keep the folders “charter” and “ledger” as evidence, and put back the one that was exchanged.")


class OlderThanLedger(CharterError):
    """``details``: ``edition`` (the newest in the ledger), ``newest`` (the newest that is published)."""

    code = "charter_older_than_ledger"
    problem = N_("The ledger has edition %(edition)s of the charter, and the published charter ends at %(newest)s.")
    cure = N_("Put the newest published charter back; somebody has put an older one in its place.")


class StoppedInLedger(CharterError):
    """``details``: ``edition``."""

    code = "charter_stopped_in_ledger"
    problem = N_("The ledger says that edition %(edition)s was frozen or released, and the published charter does not.")
    cure = N_("Put the file back into the charter’s folder “freezes”; somebody has removed it.")


class LedgerCutShort(LedgerError):
    """``details``: ``size``, ``before``."""

    code = "ledger_cut_short"
    status = 500
    problem = N_("The ledger has %(size)s entries, and it had %(before)s before.")
    cure = N_("Keep its folder as evidence, and put the newest copy of it back.")


class LedgerRewritten(LedgerError):
    code = "ledger_rewritten"
    status = 500
    problem = N_("The ledger is not the one that was written here: its earlier entries were changed.")
    cure = N_("Keep its folder as evidence, and put the newest copy of it back.")


class BadReceiptKeyFile(CommunError):
    """``details``: ``file`` (its name), ``reason``."""

    code = "bad_receipt_key_file"
    problem = N_("The key that signs receipts cannot be read, %(file)s: %(reason)s.")
    cure = N_("Restore the file. Or move it away: a new key is made, and the ledger says so.")


class NonceUsed(CommunError):
    code = "nonce_used"
    status = 409
    problem = N_("This question’s random number (its nonce) has served already, so its seed would be known.")
    cure = N_("Ask again with a new one: draw it for each question.")
