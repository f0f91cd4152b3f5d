"""Audits by others: the public page of what they found, and each person's yes or no.

- the page is made of the ledger's entries alone (``commun/audit/1``): counts, who audited, with what comparison, at
  what rate of false alarms, and where the entry stands, so that everybody can verify it;
- a person is asked once, below an answer, where the charter draws any, and can change it in the settings. Nothing is
  kept of who was not asked or said no (``store/audit_samples.py``).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from commun.errors import BadRequest
from commun.ledger.entries import TIME_FORMAT, AuditStatement, read_statement
from commun.store.audit_samples import Consent
from commun.store.ledger_entries import LedgerEntries
from commun.web.charter import BACK
from commun.web.ledger import frame_of, visit_in_language
from commun.web.templating import page
from commun.web.visit import Visit, member_of

MOST_SHOWN: Final = 100  # entries, the newest; the sums are of all


@dataclass(frozen=True, slots=True)
class AuditView:
    """``number``: of its entry. ``ours``: this Commun itself audited. ``alarms``: the rate of false alarms, None where
    none was compared with honest answers.
    """

    number: int
    said: AuditStatement
    at: datetime
    ours: bool
    alarms: Decimal | None


@dataclass(frozen=True, slots=True)
class Sums:
    audited: int
    identical: int
    consistent: int
    inconsistent: int
    not_audited: int


async def audits(request: Request) -> Response:
    visit = await visit_in_language(request)
    stored = await LedgerEntries(visit.services.database).of_kind(AuditStatement.type)
    found = [(each.position, read_statement(each.entry)) for each in stored]
    statements = [(number, said) for number, said in found if isinstance(said, AuditStatement)]
    origin = visit.services.recorder.origin
    views = [_view(number, said, origin) for number, said in reversed(statements[-MOST_SHOWN:])]
    return page(
        visit,
        "audits.html",
        **frame_of(visit),
        audits=views,
        sums=_sums([said for _, said in statements]),
        rate=rate_of(visit),
    )


async def decide(request: Request) -> Response:
    """Yes or no, from the card below an answer or from the settings; of one's own answers."""
    visit = await member_of(request)
    form = await request.form(max_files=0, max_fields=5)
    answer = form.get("agrees")
    if answer not in {"yes", "no"}:
        raise BadRequest
    await visit.services.samples.decide(visit.owner, agrees=answer == "yes")
    if visit.wants_data:
        return JSONResponse({})
    back = str(form.get("back", ""))
    return RedirectResponse(back if BACK.fullmatch(back) else "/settings#audits", status_code=303)


def rate_of(visit: Visit) -> Decimal:
    """What the charter in force draws."""
    in_force = visit.services.charter.find()
    return in_force.charter.audit.sample_rate if in_force is not None else Decimal(0)


async def consent_of(visit: Visit) -> Consent | None:
    """What the settings show; None where there is nothing to say yes or no to."""
    consent = await visit.services.samples.consent(visit.owner)
    return consent if rate_of(visit) or consent.agrees else None


async def is_to_be_asked(visit: Visit) -> bool:
    """Once, below an answer that is kept."""
    return bool(rate_of(visit)) and not (await visit.services.samples.consent(visit.owner)).asked


def _view(number: int, said: AuditStatement, origin: str) -> AuditView:
    at = datetime.strptime(said.time, TIME_FORMAT).replace(tzinfo=UTC)
    alarms = Decimal(said.rate) if said.comparison in {"calibrated", "both"} else None
    return AuditView(number, said, at, said.auditor == origin, alarms)


def _sums(statements: list[AuditStatement]) -> Sums:
    return Sums(
        audited=sum(said.audited for said in statements),
        identical=sum(said.identical for said in statements),
        consistent=sum(said.consistent for said in statements),
        inconsistent=sum(said.inconsistent for said in statements),
        not_audited=sum(said.not_audited for said in statements),
    )
