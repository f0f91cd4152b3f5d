"""Why a charter, an edition, a key or a signature is refused. The tree (code, HTTP status)::

    CharterError                      charter_error           503
    ├── NoCharter                     no_charter              503
    ├── InvalidCharter                invalid_charter         503   (an attack or damage: nothing of it is used)
    │   ├── BrokenMetadata            charter_broken          503
    │   ├── TooFewSignatures          charter_unsigned        503
    │   ├── RolledBack                charter_rolled_back     503
    │   ├── WrongVersion              charter_wrong_version   503
    │   ├── WrongFile                 charter_wrong_file      503
    │   ├── MixedEditions             charter_mixed           503
    │   ├── UnsafeName                charter_unsafe_name     503
    │   ├── TooLarge                  charter_too_large       503
    │   ├── BadBoard                  charter_bad_board       503
    │   └── EntrenchmentBroken        charter_entrenchment    503
    ├── WrongSoftware                 charter_wrong_software  503
    ├── ModelNotAdopted               model_not_adopted       503
    ├── CharterMistakes               charter_mistakes        422   (the source folder; carries every mistake)
    ├── OtherBase                     amendment_other_base    409
    ├── NotEnoughYet                  amendment_incomplete    409
    ├── NothingChanges                amendment_empty         409
    ├── CannotFreeze                  cannot_freeze           409
    ├── NotAMember                    not_a_member            403
    ├── BadSignature                  bad_signature           403
    ├── BadKey                        bad_key                 422
    ├── BadPassphrase                 bad_passphrase          403
    └── BadKeyFile                    bad_key_file            422
    OutsideCharter (BadRequest)       outside_charter         400   (a wish beyond the bounds; names the clause)

``reason`` in ``details`` is a short technical phrase in English, of our own words: never text from outside.
"""

from dataclasses import dataclass

from commun.errors import N_, BadRequest, CommunError


class CharterError(CommunError):
    """``details``: ``reason``."""

    code = "charter_error"
    status = 503
    problem = N_("The charter cannot be used: %(reason)s.")
    cure = N_("“commun charter verify” says more.")


class NoCharter(CharterError):
    code = "no_charter"
    problem = N_("There is no charter here, and without one nothing is answered.")
    cure = N_("Start “commun serve”, which founds one, or run “commun charter init”.")


class InvalidCharter(CharterError):
    """What was published does not hold; nothing of it is used. ``details``: ``file``, ``reason``."""

    code = "invalid_charter"
    problem = N_("The charter is not valid: %(file)s: %(reason)s.")
    cure = N_("Put the published files back as they were adopted; the log and “commun charter verify” say more.")


class BrokenMetadata(InvalidCharter):
    """Not the format: not JSON, not canonical, duplicate names, fields missing or of another type."""

    code = "charter_broken"


class TooFewSignatures(InvalidCharter):
    """Not signed by a quorum of the board that had to sign it."""

    code = "charter_unsigned"


class RolledBack(InvalidCharter):
    """Older than what this machine has already trusted."""

    code = "charter_rolled_back"


class WrongVersion(InvalidCharter):
    """A number that does not follow from the one before it (a jump, too)."""

    code = "charter_wrong_version"


class WrongFile(InvalidCharter):
    """A file whose bytes are not those that were signed."""

    code = "charter_wrong_file"


class MixedEditions(InvalidCharter):
    """Parts of different editions beside each other."""

    code = "charter_mixed"


class UnsafeName(InvalidCharter):
    """A file name that leaves its folder, a link, or a file that no charter has."""

    code = "charter_unsafe_name"


class TooLarge(InvalidCharter):
    """A file beyond its bound; no more of it was read."""

    code = "charter_too_large"


class BadBoard(InvalidCharter):
    """Keys or thresholds that no board may have: threshold 0 or above the number of keys, duplicate or weak keys."""

    code = "charter_bad_board"


class EntrenchmentBroken(InvalidCharter):
    """An entrenched clause, its guards or its list changed without every guard's signature."""

    code = "charter_entrenchment"


class WrongSoftware(CharterError):
    """``details``: ``version``, ``least``, ``below``."""

    code = "charter_wrong_software"
    problem = N_("The charter allows Commun from %(least)s to before %(below)s; this is %(version)s.")
    cure = N_("Install an allowed version, or adopt an edition that allows this one.")


class ModelNotAdopted(CharterError):
    """The files on this machine are not those that the board adopted. ``details``: ``model``, ``reason``."""

    code = "model_not_adopted"
    problem = N_("The model “%(model)s” is not the one that the charter adopts: %(reason)s.")
    cure = N_("Put the adopted files back with “commun model add”, or propose an edition that adopts these.")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in the source folder. ``line`` from 1, 0: the whole file. ``problem`` and ``cure`` are message ids
    whose places ``details`` fill.
    """

    file: str
    line: int
    problem: str
    cure: str
    details: tuple[tuple[str, str], ...] = ()


class CharterMistakes(CharterError):
    """Every mistake at once, in ``mistakes``. ``details``: ``count``."""

    code = "charter_mistakes"
    status = 422
    problem = N_("The charter's folder has mistakes: %(count)s.")
    cure = N_("Mend each at the line that is named and try again.")

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        self.mistakes = mistakes
        super().__init__(count=len(mistakes))


class OtherBase(CharterError):
    """``details``: ``base`` (the edition that the amendment was made on), ``edition`` (the newest one)."""

    code = "amendment_other_base"
    status = 409
    problem = N_("This amendment was made on edition %(base)s; the newest is edition %(edition)s.")
    cure = N_("Propose it again on the newest edition, and let it be signed again.")


class NotEnoughYet(CharterError):
    """``details``: ``signed``, ``needed``."""

    code = "amendment_incomplete"
    status = 409
    problem = N_("Signed by %(signed)s of the %(needed)s who are needed.")
    cure = N_("“commun charter status” says who can still sign.")


class NothingChanges(CharterError):
    code = "amendment_empty"
    status = 409
    problem = N_("Nothing would change: this is the edition in force, word for word.")
    cure = N_("Change the folder first, then propose it.")


class CannotFreeze(CharterError):
    """``details``: ``reason``."""

    code = "cannot_freeze"
    status = 409
    problem = N_("The edition cannot be frozen: %(reason)s.")
    cure = N_("“commun charter status” shows what is in force.")


class NotAMember(CharterError):
    code = "not_a_member"
    status = 403
    problem = N_("This key does not belong to the board that decides here.")
    cure = N_("Use the key that you joined with; “commun charter show” lists the board.")


class BadSignature(CharterError):
    code = "bad_signature"
    status = 403
    problem = N_("A signature does not fit what it should sign.")
    cure = N_("Open the amendment again and sign it as it is now.")


class BadKey(CharterError):
    """``details``: ``reason``."""

    code = "bad_key"
    status = 422
    problem = N_("This public key cannot be used: %(reason)s.")
    cure = N_("Make a new key with “commun charter board join”.")


class BadPassphrase(CharterError):
    code = "bad_passphrase"
    status = 403
    problem = N_("The passphrase does not open this key.")
    cure = N_("Try again; capital letters and spaces count.")


class BadKeyFile(CharterError):
    """``details``: ``reason``."""

    code = "bad_key_file"
    status = 422
    problem = N_("This is not a key file of Commun: %(reason)s.")
    cure = N_("Name the file that “commun charter init” or “commun charter board join” wrote.")


class OutsideCharter(BadRequest):
    """A caller's wish beyond what the charter allows. ``details``: ``parameter``, ``clause``, ``allowed``."""

    code = "outside_charter"
    problem = N_("The charter does not allow this “%(parameter)s” (clause %(clause)s: %(allowed)s).")
    cure = N_("Stay within the clause; /charter shows it.")
