"""The charter's legal hold, as its readers meet it: until when nothing that is stored is erased, and what is refused.

- deleting a conversation is never refused: it disappears from its owner's pages at once, and upkeep erases it when the
  hold has ended;
- what erases at once is: a conversation, an account, the last way into it, without which nothing of it ever opens, and
  starting over while the vault can still be opened, by a way in or by a browser whose session lasts, which takes all of
  them;
- where no charter is in force nobody can tell whether there is a hold, and the same is refused.
"""

from datetime import UTC, datetime, time, timedelta

from commun.charter.errors import CharterError
from commun.charter.hold import Hold
from commun.errors import N_, CommunError, Conflict
from commun.web.i18n import long_date
from commun.web.visit import Visit


class OnHold(Conflict):
    """``details``: ``day``, ``edition``."""

    code = "legal_hold"
    problem = N_(
        "A legal hold lets no stored conversation be erased until %(day)s, that day included: edition %(edition)s of "
        "the charter says so, and only the board’s quorum can change it."
    )
    cure = N_("Delete the conversation: it disappears from your pages at once and is erased when the hold has ended.")


class AccountOnHold(OnHold):
    cure = N_(
        "Delete your conversations: they disappear from your pages at once and are erased when the hold has ended. "
        "Delete the account after that day."
    )


class LastWayOnHold(OnHold):
    cure = N_("Keep this way in until then: without it nothing of what is kept could be opened any more.")


class VaultOnHold(OnHold):
    cure = N_(
        "Open your conversations instead, here or in a browser that is signed in and opens them. Whoever has lost "
        "every way to open them, and has no such browser any more, can start over."
    )


class HoldUnknown(Conflict):
    """No charter is in force."""

    code = "hold_unknown"
    status = 503
    problem = N_(
        "No charter is in force: nobody can tell whether a legal hold keeps what is stored, and nothing is erased."
    )
    cure = N_("What you delete disappears from your pages all the same. Try again once the charter is in force.")


def find_hold(visit: Visit) -> Hold | None:
    """The one that counts now. None also where no charter is in force, which its pages say by themselves."""
    try:
        return visit.services.charter.hold()
    except CharterError:
        return None


def find_refusal(visit: Visit, refused: type[OnHold] = OnHold) -> CommunError | None:
    """Why nothing may be erased at once; None where it may."""
    try:
        hold = visit.services.charter.hold()
    except CharterError:
        return HoldUnknown()
    return None if hold is None else refused(day=long_date(hold.until, visit.language), edition=hold.edition)


def check_erasing(visit: Visit, refused: type[OnHold] = OnHold) -> None:
    """Raises ``refused``, HoldUnknown."""
    if (refusal := find_refusal(visit, refused)) is not None:
        raise refusal


def day_of(hold: Hold | None, language: str) -> str:
    """The last day, in words; "" for none."""
    return long_date(hold.until, language) if hold is not None else ""


def end_of_hold(hold: Hold) -> float:
    """The first moment after it, seconds since 1970."""
    return datetime.combine(hold.until + timedelta(days=1), time(), UTC).timestamp()
