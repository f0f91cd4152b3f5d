"""Every error that a person or a program can be shown.

The tree (code, HTTP status)::

    CommunError
    ├── BadRequest                    bad_request             400
    │   ├── InvalidParameter          invalid_parameter       400
    │   ├── UnsupportedParameter      unsupported_parameter   400
    │   ├── MessageTooLong            message_too_long        400
    │   ├── UnknownHost               unknown_host            421
    │   ├── BodyTooLarge              body_too_large          413
    │   └── HeadersTooLarge           headers_too_large       431
    ├── NotSignedIn                   not_signed_in           401
    │   ├── BadApiKey                 invalid_api_key         401
    │   └── LinkExpired               link_expired            401
    ├── Refused                       refused                 403
    │   ├── CrossOrigin               cross_origin            403
    │   ├── VaultLocked               vault_locked            403
    │   └── NotForGuests              not_for_guests          403
    ├── NotFound                      not_found               404
    │   └── ModelNotFound             model_not_found         404
    ├── MethodNotAllowed              method_not_allowed      405
    ├── Conflict                      conflict                409
    ├── Busy                          (retry later, has Retry-After)
    │   ├── TooManyRequests           rate_limited            429
    │   │   ├── TooManyWaiting        too_many_waiting        429
    │   │   └── DailyTokensUsed       daily_tokens_used       429
    │   ├── QueueFull                 queue_full              503
    │   ├── EngineLoading             engine_loading          503
    │   └── EngineFailed              engine_failed           503
    ├── ModelError                    (a model cannot be used; command line and log)
    │   ├── CorruptModel              corrupt_model           422
    │   ├── UnsupportedModel          unsupported_model       422
    │   ├── ModelTooLarge             model_too_large         422
    │   ├── UnfaithfulModel           unfaithful_model        422
    │   └── DownloadFailed            download_failed         502
    ├── ConfigError                   config_error            500
    ├── DataFolderBusy                data_folder_busy        500
    ├── DataFolderUnusable            data_folder_unusable    500
    └── InternalError                 internal_error          500

Errors of one room or module live with it, on the same tree: ``charter/errors.py`` draws the charter's branch,
``ledger/errors.py`` the ledger's, ``receipts/errors.py`` the receipts', ``recording/errors.py`` what the ledger says
against the charter; ``audit/case.py`` CannotAudit, ``audit/calibration.py`` BadCalibration, ``auditing/`` what keeps
an audit from being made; ``engine/rendering.py`` UnknownToken, ``engine/adding.py`` AlreadyAdding, NotAModelName,
``web/models.py`` ModelInUse; ``recording/cosignatures.py`` WitnessSilent, AnotherHistory; ``drafting/editing.py``
CannotEdit, ``drafting/founding.py`` AlreadyFounded, ``drafting/desk.py`` DeskFull, ``drafting/witnesses.py``
UnusableWitnesses; ``terminal.py`` ProofNotKept; ``web/board_desk.py`` OtherClock, ``web/share.py`` SharesOff,
``fetching.py`` NotReachable; ``store/vault.py`` VaultError, NoVault; ``store/readers.py`` TooManyReaders, OwnLink,
``store/rekeying.py`` StillWriting; ``store/recovery.py`` RecoveryCodeMistyped,
RecoveryCodeWrong; ``store/names.py``, ``store/passwords.py``, ``store/ways_in.py`` and ``store/invitations.py`` what
signing in and its settings refuse; ``store/sent.py`` NobodyToSendTo, SentFull, SentTooLarge;
``store/upgrade.py`` NewerDatabase, DamagedDatabase, UpgradeFailed; ``api/errors.py``
UnknownAddress, ``api/requests.py`` UnsupportedSampling; ``backup/archive.py`` BackupExists, BackupChanged, BadBackup,
``backup/making.py`` NothingToBackUp, NotABackupName, ``backup/restoring.py`` FolderNotEmpty, HistoryNotChosen,
LedgerWentOn; ``importing/spool.py`` BadImport, ``web/data_import.py`` NoFile, ``web/leaving.py`` NotTyped,
``web/hold.py`` OnHold and HoldUnknown, ``web/account.py`` NothingLost and StartNotTyped.

Rules:

- an error is data: a stable ``code``, an HTTP ``status``, a sentence that says what happened and one that names
  the cure. Both sentences are message ids of the catalogues (``web/locale``), with ``%(name)s`` places that are
  filled from the error's ``details``;
- a ``reason`` among the details is a phrase of our own in English, and a message id, too;
- no error exits the process; nothing of what a person wrote stands in an error's text;
- whoever catches a foreign exception at a boundary raises one of these ``from`` it.
"""

from collections.abc import Callable
from typing import ClassVar


def N_(text: str) -> str:  # noqa: N802  (gettext's own name: it marks a message id for the catalogues)
    """Marks ``text`` as a message id and returns it unchanged."""
    return text


class CommunError(Exception):
    """The one base. ``details`` fill the places in ``problem`` and ``cure``; they are names and numbers only."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    problem: ClassVar[str] = N_("Something went wrong inside Commun.")
    cure: ClassVar[str] = N_("Try again. If it happens again, the log says where.")

    def __init__(self, **details: str | float) -> None:
        self.details = details
        super().__init__(self.text())

    def text(self, translate: Callable[[str], str] = str) -> str:
        """What happened and the cure, as one line, in the language of ``translate`` (gettext)."""
        return f"{self.problem_text(translate)} {self.cure_text(translate)}".strip()

    def problem_text(self, translate: Callable[[str], str] = str) -> str:
        return self._filled(self.problem, translate)

    def cure_text(self, translate: Callable[[str], str] = str) -> str:
        return self._filled(self.cure, translate)

    def _filled(self, template: str, translate: Callable[[str], str]) -> str:
        """A ``reason`` is a phrase of our own: it is told in the reader's language where the catalogues have it."""
        details = self.details
        if reason := details.get("reason"):
            details = {**details, "reason": translate(str(reason))}
        return translate(template) % details if details else translate(template)


class BadRequest(CommunError):
    code = "bad_request"
    status = 400
    problem = N_("The request could not be understood.")
    cure = N_("Check it against the documentation and send it again.")


class InvalidParameter(BadRequest):
    """``details``: ``parameter``, ``reason`` (both in English: they speak of the API's own names)."""

    code = "invalid_parameter"
    problem = N_("The parameter “%(parameter)s” is not valid: %(reason)s.")
    cure = N_("Correct it and send the request again.")


class UnsupportedParameter(BadRequest):
    """``details``: ``parameter``. Never ignored silently: a caller must know that a wish was not granted."""

    code = "unsupported_parameter"
    problem = N_("The parameter “%(parameter)s” is not supported here.")
    cure = N_("Leave it out and send the request again.")


class MessageTooLong(BadRequest):
    """One message alone does not fit the context. ``details``: ``tokens``, ``limit``."""

    code = "message_too_long"
    problem = N_("This message is too long for the model: %(tokens)s tokens, and %(limit)s fit.")
    cure = N_("Shorten it, or send it in several parts.")


class UnknownHost(BadRequest):
    """A name that is not this Commun's: a hostile page may have pointed its own name here (DNS rebinding)."""

    code = "unknown_host"
    status = 421
    problem = N_("This Commun does not answer to this name.")
    cure = N_("Use its own address, or add the name to the configuration as public_url.")


class BodyTooLarge(BadRequest):
    """``details``: ``limit`` (bytes)."""

    code = "body_too_large"
    status = 413
    problem = N_("The request is larger than the %(limit)s bytes that are allowed.")
    cure = N_("Send less at once.")


class HeadersTooLarge(BadRequest):
    code = "headers_too_large"
    status = 431
    problem = N_("The request's headers are too large.")
    cure = N_("Clear this site's cookies and try again.")


class NotSignedIn(CommunError):
    code = "not_signed_in"
    status = 401
    problem = N_("You are not signed in.")
    cure = N_("Sign in, or open the link that “commun serve” prints.")


class BadApiKey(NotSignedIn):
    code = "invalid_api_key"
    problem = N_("The API key is missing, wrong or revoked.")
    cure = N_("Make one in the settings or with “commun user key NAME” and send it as a bearer token.")


class LinkExpired(NotSignedIn):
    code = "link_expired"
    problem = N_("This sign-in link has been used or has expired.")
    cure = N_("Restart “commun serve” or run “commun user link” for a new one.")


class Refused(CommunError):
    code = "refused"
    status = 403
    problem = N_("You may not do this.")
    cure = N_("Ask whoever runs this Commun.")


class CrossOrigin(Refused):
    code = "cross_origin"
    problem = N_("This request came from another site.")
    cure = N_("Open Commun itself and do it there.")


class VaultLocked(Refused):
    """Signed in, but without the key that opens the stored conversations."""

    code = "vault_locked"
    problem = N_("Your conversations are sealed and this browser does not hold their key.")
    cure = N_("Enter your password or your recovery code, or use the browser in which you signed in first.")


class NotForGuests(Refused):
    code = "not_for_guests"
    problem = N_("In a class there is a temporary chat, and nothing else.")
    cure = N_("Go back to the chat. Everything else needs an account.")


class NotFound(CommunError):
    """Also for what belongs to somebody else: whether it exists is nobody's business."""

    code = "not_found"
    status = 404
    problem = N_("There is nothing here.")
    cure = N_("It may have been deleted. Go back to your conversations.")


class ModelNotFound(NotFound):
    """``details``: ``model``."""

    code = "model_not_found"
    problem = N_("There is no model called “%(model)s”.")
    cure = N_("Use “default”, or list the models with “commun model list”.")


class MethodNotAllowed(CommunError):
    code = "method_not_allowed"
    status = 405
    problem = N_("This address does not take this method.")
    cure = N_("See the documentation of the API.")


class Conflict(CommunError):
    code = "conflict"
    status = 409
    problem = N_("This conversation is already being answered.")
    cure = N_("Wait for the answer to end, or stop it first.")


class Busy(CommunError):
    """Try again after ``retry_after`` seconds (also the Retry-After header)."""

    code = "busy"
    status = 503
    problem = N_("Commun is busy.")
    cure = N_("Try again in %(retry_after)s seconds.")

    def __init__(self, *, retry_after: int, **details: str | float) -> None:
        self.retry_after = retry_after
        super().__init__(retry_after=retry_after, **details)


class TooManyRequests(Busy):
    code = "rate_limited"
    status = 429
    problem = N_("Too many requests in a short time.")


class TooManyWaiting(TooManyRequests):
    """One person's share of the waiting room is full, of which others keep the rest."""

    code = "too_many_waiting"
    problem = N_("So many questions of yours are waiting already that no more are taken.")


class DailyTokensUsed(TooManyRequests):
    """``details``: ``limit``, ``hours`` (until midnight UTC, at least 1)."""

    code = "daily_tokens_used"
    problem = N_("The %(limit)s tokens that you may use in a day are used up.")
    cure = N_("They are counted anew at midnight (UTC), in %(hours)s h; an administrator can allow more.")


class QueueFull(Busy):
    code = "queue_full"
    problem = N_("Too many people are waiting for an answer right now.")


class EngineLoading(Busy):
    code = "engine_loading"
    problem = N_("The model is still being loaded.")


class EngineFailed(Busy):
    code = "engine_failed"
    problem = N_("The model stopped in the middle of its work and is being started again.")
    cure = N_("Your conversation is kept. Try again in %(retry_after)s seconds.")


class ModelError(CommunError):
    """A model cannot be used. ``details``: ``model`` (its name or file), and ``reason`` where it helps."""

    code = "model_error"
    status = 422
    problem = N_("The model “%(model)s” cannot be used: %(reason)s.")
    cure = N_("Choose another one with “commun model use”.")


class CorruptModel(ModelError):
    code = "corrupt_model"
    problem = N_("The model file “%(model)s” is damaged: %(reason)s.")
    cure = N_("Download it again and compare its SHA-256 with its publisher's.")


class UnsupportedModel(ModelError):
    code = "unsupported_model"
    problem = N_("The model “%(model)s” is of a kind that Commun cannot run: %(reason)s.")
    cure = N_("Use a GGUF file of a Llama, Qwen2, Qwen3 or SmolLM model, or an OpenVINO folder.")


class ModelTooLarge(ModelError):
    """``details``: ``model``, ``needed``, ``free`` (both in words, such as “3.1 GB”)."""

    code = "model_too_large"
    problem = N_("The model “%(model)s” needs %(needed)s and only %(free)s are free.")
    cure = N_("Use a smaller model or a stronger quantisation, or free some space.")


class UnfaithfulModel(ModelError):
    code = "unfaithful_model"
    problem = N_("The converted model “%(model)s” does not answer like its original: %(reason)s.")
    cure = N_("Use another format of the same model, such as F16 or Q8_0.")


class DownloadFailed(ModelError):
    code = "download_failed"
    status = 502
    problem = N_("“%(model)s” could not be downloaded: %(reason)s.")
    cure = N_("Check the network and run the same command again: it goes on where it stopped.")


class ConfigError(CommunError):
    """``details``: ``setting``, ``reason``."""

    code = "config_error"
    problem = N_("The setting “%(setting)s” is not valid: %(reason)s.")
    cure = N_("Correct it and run “commun config check”.")


class DataFolderBusy(CommunError):
    """``details``: ``home``."""

    code = "data_folder_busy"
    problem = N_("Another Commun is already using the data folder “%(home)s”.")
    cure = N_("Stop it first, or name another folder with --home.")


class DataFolderUnusable(CommunError):
    """``details``: ``home``, ``reason``."""

    code = "data_folder_unusable"
    problem = N_("The data folder “%(home)s” cannot be used: %(reason)s.")
    cure = N_("Mend that, or name another folder with --home.")


class InternalError(CommunError):
    """Anything unforeseen, at the edge: the log has the traceback, the caller gets this."""
