"""Why something of a ledger is refused. The tree (code, HTTP status)::

    LedgerError                       ledger_error               422
    ├── OutOfRange                    ledger_out_of_range        422   (a size, an index or a time that cannot be one)
    ├── BadProof                      ledger_bad_proof           422   (a Merkle proof that does not hold)
    ├── BadLogKey                     ledger_bad_key             422
    ├── BadNote                       ledger_bad_note            422
    ├── BadCheckpoint                 ledger_bad_checkpoint      422
    ├── BadProofFile                  ledger_bad_proof_file      422
    ├── BadPolicy                     ledger_bad_policy          422   (names the line)
    ├── BadTile                       ledger_bad_tile            422
    ├── MissingTile                   ledger_missing_tile        404
    ├── UnknownLog                    ledger_unknown_log         403
    ├── NotSigned                     ledger_not_signed          403
    ├── WrongSignature                ledger_wrong_signature     403   (in the name of a known key)
    └── TooFewWitnesses               ledger_too_few_witnesses   403   (says who is missing)

Nothing else escapes the modules of the pure core, whatever bytes they are given. ``reason`` in ``details`` is a short
phrase in English, of our own words and told in the reader's language: never text from outside. ``key`` and ``missing``
are names out of the reader's own policy.
"""

from typing import TYPE_CHECKING

from commun.errors import N_, CommunError

if TYPE_CHECKING:
    from commun.ledger.policy import Standing


class LedgerError(CommunError):
    """``details``: ``reason``, wherever nothing else is said."""

    code = "ledger_error"
    status = 422
    problem = N_("The ledger's data cannot be used: %(reason)s.")
    cure = N_("Fetch it again from where it was published, or from somebody else who keeps a copy.")


class OutOfRange(LedgerError):
    """A number that is not whole, is negative or is above 2^63 - 1, or a range that no tree has."""

    code = "ledger_out_of_range"
    problem = N_("A number cannot be one of this ledger: %(reason)s.")


class BadProof(LedgerError):
    """Altered, cut, for another entry or for another tree."""

    code = "ledger_bad_proof"
    problem = N_("The proof does not hold: %(reason)s.")


class BadLogKey(LedgerError):
    code = "ledger_bad_key"
    problem = N_("This key of a log or a witness cannot be used: %(reason)s.")
    cure = N_("Copy the whole line again from whoever publishes it.")


class BadNote(LedgerError):
    """Not a signed note: characters, line ends, signature lines, bounds."""

    code = "ledger_bad_note"
    problem = N_("The signed text is not in its format: %(reason)s.")


class BadCheckpoint(LedgerError):
    """A note whose text is not origin, size and root."""

    code = "ledger_bad_checkpoint"
    problem = N_("The ledger's signed head is not in its format: %(reason)s.")


class BadProofFile(LedgerError):
    code = "ledger_bad_proof_file"
    problem = N_("The proof of logging is not in its format: %(reason)s.")


class BadPolicy(LedgerError):
    """``details``: ``line`` (from 1; 0: the whole file), ``reason``."""

    code = "ledger_bad_policy"
    problem = N_("The trust policy is not valid, line %(line)s: %(reason)s.")
    cure = N_("Mend that line and try again.")


class BadTile(LedgerError):
    """A name or a content that no tile has."""

    code = "ledger_bad_tile"
    problem = N_("A file of the ledger is not in its format: %(reason)s.")


class MissingTile(LedgerError):
    """``details``: ``tile`` (its path, which is made of numbers only)."""

    code = "ledger_missing_tile"
    status = 404
    problem = N_("A file of the ledger is missing: %(tile)s.")


class UnknownLog(LedgerError):
    code = "ledger_unknown_log"
    status = 403
    problem = N_("This is the head of a ledger that the trust policy does not know.")
    cure = N_("Check that the policy is the one for this ledger.")


class NotSigned(LedgerError):
    code = "ledger_not_signed"
    status = 403
    problem = N_("None of the keys that are known here has signed this.")
    cure = N_("Check that the keys are those of this ledger; they may have been changed.")


class WrongSignature(LedgerError):
    """``details``: ``key`` (the name of the known key)."""

    code = "ledger_wrong_signature"
    status = 403
    problem = N_("A signature in the name of “%(key)s” is not its own.")
    cure = N_("Do not use it: the text or the signature was changed. Keep it as evidence.")


class TooFewWitnesses(LedgerError):
    """``details``: ``signed`` (how many witnesses did), ``missing`` (the names of those who would help).

    ``standing``: the whole quorum, group by group.
    """

    code = "ledger_too_few_witnesses"
    status = 403
    problem = N_("Too few witnesses have confirmed it: %(signed)s have; missing: %(missing)s.")
    cure = N_("Wait until more witnesses have signed, and fetch it again.")

    def __init__(self, standing: "Standing", *, signed: int, missing: str) -> None:
        self.standing = standing
        super().__init__(signed=signed, missing=missing)
