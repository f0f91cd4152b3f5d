"""A new account for whom the provider named (``provider.py``) and nobody here knows yet.

- The provider signs in and opens nothing. So whoever comes chooses a name and, for the vault, a passphrase, or makes a
  passkey that derives a secret; one that derives none is refused, and so is a name that is taken, before anything is
  made.
- The account, its vault, what opens it and the link to the provider are made at once, or nothing of it. The arrival is
  spent only then: who was refused tries again on the same page.
"""

import contextlib
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from commun.errors import BadRequest, Busy, CommunError
from commun.openid.errors import LinkedElsewhere, TryOver
from commun.store.invitations import InvitationOver
from commun.store.names import NameNotUsable, key_of, read_name
from commun.store.passwords import MIN_LENGTH
from commun.store.provider_accounts import MarkTaken, PasskeyOpensNothing
from commun.web.attempts import choosing_a_name
from commun.web.ceremonies import (
    as_json,
    body_of,
    can_have_passkeys,
    challenges_of,
    derived_of,
    new_passkey,
    options_to_register,
    registered,
    sent_by,
)
from commun.web.forms import field, form_of
from commun.web.provider import JOIN, Arrival, arrivals_of, forget_try, provider_of, token_of
from commun.web.signing_in import MAX_SHOWN_NAME, form_page, signed_in_response
from commun.web.templating import page
from commun.web.visit import Visit, check_signing_in, remember_session, session_token, visit_of


def joining_routes() -> list[BaseRoute]:
    return [
        Route(JOIN, join_form),
        Route(JOIN, join, methods=["POST"]),
        Route(f"{JOIN}/passkey/options", options_to_join, methods=["POST"]),
        Route(f"{JOIN}/passkey", join_with_passkey, methods=["POST"]),
    ]


async def join_form(request: Request) -> Response:
    visit = await visit_of(request)
    provider = provider_of(visit)
    arrival = arrivals_of(request).find(token_of(request))
    if arrival is None:
        return form_page(visit, "/", error=TryOver(provider=provider.name))
    return _join_page(visit, _usable(arrival.person.proposed))


def _usable(proposed: str) -> str:
    """A name that the provider has for somebody, as a proposal; "" where nobody could be called that here."""
    try:
        return read_name(proposed)
    except NameNotUsable:
        return ""


def _join_page(visit: Visit, name: str, error: CommunError | None = None) -> Response:
    response = page(
        visit,
        "join.html",
        status=error.status if error else 200,
        name=name[:MAX_SHOWN_NAME],
        least=MIN_LENGTH,
        passkeys_possible=can_have_passkeys(visit.request),
        opens_nothing=PasskeyOpensNothing().text(visit.translate),
        problem=error.text(visit.translate) if error else "",
    )
    if isinstance(error, Busy):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


@contextlib.contextmanager
def _choosing(request: Request, arrival: Arrival, typed: str) -> Iterator[None]:
    """A name is counted once for whoever arrived: a passkey made under it meanwhile would be lost to a wait."""
    key = key_of(typed)
    if key in arrival.names:
        yield
        return
    with choosing_a_name(request, f"arrival {arrival.person.mark.hex()}"):
        yield
    arrival.names.add(key)


async def join(request: Request) -> Response:
    visit = await visit_of(request)
    provider = provider_of(visit)
    form = await form_of(request)
    name, passphrase = field(form, "name"), field(form, "passphrase")
    arrival = arrivals_of(request).find(token_of(request))
    if arrival is None:
        return form_page(visit, "/", error=TryOver(provider=provider.name))
    try:
        check_signing_in(request)
        with _choosing(request, arrival, name):
            signed_in = await visit.services.provider_accounts.join(
                arrival.person.mark,
                name,
                passphrase,
                invitation=arrival.invitation,
                session=session_token(request) or None,
            )
    except MarkTaken:
        return form_page(visit, "/", error=LinkedElsewhere(provider=provider.name))
    except InvitationOver as error:
        return form_page(visit, "/", error=error)
    except (BadRequest, Busy) as error:
        return _join_page(visit, name, error)
    arrivals_of(request).take(token_of(request))
    response = signed_in_response(request, signed_in, "/welcome")
    forget_try(request, response)
    return response


# --- with a passkey, by ``static/passkey.js``


def _arrival(visit: Visit) -> Arrival:
    """Raises TryOver."""
    arrival = arrivals_of(visit.request).find(token_of(visit.request))
    if arrival is None:
        raise TryOver(provider=provider_of(visit).name)
    return arrival


def _whose(arrival: Arrival) -> str:
    return f"arrival {arrival.account_id}"


async def options_to_join(request: Request) -> Response:
    """The name is looked at now: a passkey that was made under one that is taken would be left over."""
    visit = await visit_of(request)
    check_signing_in(request)
    arrival = _arrival(visit)
    typed = str((await body_of(request)).get("name", ""))
    with _choosing(request, arrival, typed):
        name = await visit.services.provider_accounts.check_name(typed)
    return as_json(options_to_register(request, _whose(arrival), account_id=arrival.account_id, name=name))


async def join_with_passkey(request: Request) -> Response:
    visit = await visit_of(request)
    check_signing_in(request)
    arrival = _arrival(visit)
    sent = await sent_by(request)
    made = registered(request, sent["credential"], challenges_of(request).take(_whose(arrival)))
    typed = str(sent.get("name", ""))
    with _choosing(request, arrival, typed):
        signed_in = await visit.services.provider_accounts.join_with_passkey(
            arrival.person.mark,
            typed,
            new_passkey(made, "", derived_of(sent)),
            account_id=arrival.account_id,
            invitation=arrival.invitation,
            session=session_token(request) or None,
        )
    arrivals_of(request).take(token_of(request))
    response = as_json({"url": "/welcome"})
    remember_session(request, response, signed_in.token)
    forget_try(request, response)
    return response
