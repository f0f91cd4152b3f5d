"""Passkeys: made in the settings, used to sign in; in the browser ``static/passkey.js``.

What holds for every ceremony stands in ``ceremonies.py``. No list of passkeys is given to a stranger: the authenticator
finds its own. Whoever has no session yet is known by a cookie of the ceremony's own.
"""

import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from commun.store.people import Viewer
from commun.store.ways_in import SignInFailed
from commun.web.ceremonies import (
    GOOD_FOR_S,
    PasskeyRefused,
    as_json,
    challenges_of,
    derived_of,
    is_its_owners,
    new_passkey,
    number_of,
    options_to_register,
    options_to_use,
    registered,
    sent_by,
    verified,
)
from commun.web.forms import own_path
from commun.web.visit import check_signing_in, is_secure, member_of, remember_session, session_token, visit_of

CEREMONY: Final = "commun_ceremony"
SECURE_CEREMONY: Final = "__Host-commun_ceremony"
NAME_LIMIT: Final = 40


# --- making one, in the settings


async def options_to_make(request: Request) -> Response:
    visit = await member_of(request)
    viewer = visit.owner
    return as_json(
        options_to_register(
            request,
            _making(viewer),
            account_id=viewer.account_id,
            name=viewer.name,
            beside=await visit.services.passkeys.numbers_of(viewer),
        )
    )


def _making(viewer: Viewer) -> str:
    return f"session {viewer.session_id}"


async def make(request: Request) -> Response:
    visit = await member_of(request)
    sent = await sent_by(request)
    made = registered(request, sent["credential"], challenges_of(request).take(_making(visit.owner)))
    name = " ".join(str(sent.get("name", "")).split())[:NAME_LIMIT]
    await visit.services.passkeys.add(visit.owner, new_passkey(made, name, derived_of(sent)))
    return as_json({"url": "/settings?done=passkey#ways"})


# --- signing in with one


async def options_to_sign_in(request: Request) -> Response:
    check_signing_in(request)
    ceremony = secrets.token_urlsafe(32)
    response = as_json(options_to_use(request, ceremony))
    secure = is_secure(request)
    response.set_cookie(
        SECURE_CEREMONY if secure else CEREMONY,
        ceremony,
        max_age=int(GOOD_FOR_S),
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )
    return response


async def sign_in(request: Request) -> Response:
    check_signing_in(request)
    visit = await visit_of(request)
    sent = await sent_by(request)
    ceremony = request.cookies.get(SECURE_CEREMONY if is_secure(request) else CEREMONY, "")
    challenge = challenges_of(request).take(ceremony)
    passkey = await visit.services.passkeys.find(number_of(sent["credential"]))
    if passkey is None or not is_its_owners(passkey, sent["credential"]):
        raise PasskeyRefused
    count = verified(request, sent["credential"], challenge, passkey)
    try:
        signed_in = await visit.services.passkeys.sign_in(
            passkey, count, derived_of(sent), session=session_token(request) or None
        )
    except SignInFailed:
        raise PasskeyRefused from None
    wanted = own_path(str(sent.get("next", "/")))
    response = as_json({"url": wanted if signed_in.viewer.key is not None else "/unlock"})
    remember_session(request, response, signed_in.token)
    return response
