"""Passkeys: made in the settings, used to sign in; in the browser ``static/passkey.js``.

- A challenge is drawn for each try, is bound to the session that makes a passkey or, for who has none yet, to a cookie
  of its own, works once, and for five minutes.
- The passkey belongs to one host (``public_url``, else the host that the browser asked); the authenticator must have
  verified the person (a fingerprint, a code): a passkey is all that is asked for.
- ``prf``: what the authenticator derives comes to the server as a password does, and is kept nowhere.
- No list of passkeys is given to a stranger: the authenticator finds its own.
"""

import base64
import binascii
import ipaddress
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from commun.errors import N_, BadRequest, NotSignedIn
from commun.store.passkeys import Passkey
from commun.store.people import Viewer
from commun.store.ways_in import SignInFailed
from commun.web.forms import own_path
from commun.web.visit import (
    check_signing_in,
    is_secure,
    member_of,
    remember_session,
    services_of,
    session_token,
    visit_of,
)

GOOD_FOR_S: Final = 300.0
SIZE: Final = 10_000
CEREMONY: Final = "commun_ceremony"
SECURE_CEREMONY: Final = "__Host-commun_ceremony"
PRF_INPUT: Final = b"commun vault passkey v1"  # one for all: what comes out is each passkey's own
PRF_BYTES: Final = 32
NAME_LIMIT: Final = 40
MAX_BODY: Final = 65_536


class PasskeyRefused(NotSignedIn):
    code = "passkey_refused"
    problem = N_("This passkey was not accepted.")
    cure = N_("Try again, or sign in another way.")


class NoPasskeysHere(BadRequest):
    code = "no_passkeys_here"
    problem = N_("Passkeys need a name in the address, not a number.")
    cure = N_("Open Commun as “localhost”, or under the name that its public_url says.")


class Challenges:
    """What was asked of whom; each is answered once. ``clock``: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, size: int = SIZE) -> None:
        self._clock = clock
        self._size = size
        self._asked: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def draw(self, whose: str) -> bytes:
        """Replaces the one before."""
        challenge = secrets.token_bytes(32)
        self._asked.pop(whose, None)
        self._asked[whose] = (self._clock() + GOOD_FOR_S, challenge)
        if len(self._asked) > self._size:
            self._asked.popitem(last=False)
        return challenge

    def take(self, whose: str) -> bytes:
        """Raises PasskeyRefused."""
        expires, challenge = self._asked.pop(whose, (0.0, b""))
        if not challenge or expires < self._clock():
            raise PasskeyRefused
        return challenge


def _challenges(request: Request) -> Challenges:
    made: Challenges | None = getattr(request.app.state, "challenges", None)
    if made is None:
        made = request.app.state.challenges = Challenges()
    return made


def _origin(request: Request) -> str:
    url = urlsplit(services_of(request).settings.public_url or str(request.base_url))
    return f"{url.scheme}://{url.netloc}"


def can_have_passkeys(request: Request) -> bool:
    """Browsers bind a passkey to a name, never to an address."""
    host = urlsplit(_origin(request)).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(host)
    return False


def _host(request: Request) -> str:
    """Raises NoPasskeysHere."""
    if not can_have_passkeys(request):
        raise NoPasskeysHere
    return urlsplit(_origin(request)).hostname or ""


def _options(text: str) -> dict[str, Any]:
    """The library's options, and what the authenticator shall derive."""
    options: dict[str, Any] = json.loads(text)
    first = base64.urlsafe_b64encode(PRF_INPUT).rstrip(b"=").decode()
    return {**options, "extensions": {"prf": {"eval": {"first": first}}}}


async def _sent(request: Request) -> dict[str, Any]:
    """Raises BadRequest."""
    body = await request.body()
    if len(body) > MAX_BODY:
        raise BadRequest
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest from None
    if not isinstance(sent, dict) or not isinstance(sent.get("credential"), dict):
        raise BadRequest
    return sent


def _derived(sent: dict[str, Any]) -> bytes | None:
    """What the authenticator derived, if it can. Raises BadRequest."""
    text = sent.get("prf")
    if text is None:
        return None
    try:
        secret = base64.urlsafe_b64decode(f"{text}==") if isinstance(text, str) else b""
    except (ValueError, binascii.Error):
        raise BadRequest from None
    if len(secret) != PRF_BYTES:
        raise BadRequest
    return secret


def _json(data: dict[str, Any]) -> Response:
    return JSONResponse(data, headers={"Cache-Control": "no-store"})


# --- making one, in the settings


async def options_to_make(request: Request) -> Response:
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    visit = await member_of(request)
    viewer = visit.owner
    options = generate_registration_options(
        rp_id=_host(request),
        rp_name="Commun",
        user_id=viewer.account_id.encode(),
        user_name=viewer.name or "Commun",
        challenge=_challenges(request).draw(_making(viewer)),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=number) for number in await visit.services.passkeys.numbers_of(viewer)
        ],
    )
    return _json(_options(options_to_json(options)))


def _making(viewer: Viewer) -> str:
    return f"session {viewer.session_id}"


async def make(request: Request) -> Response:
    from webauthn import verify_registration_response
    from webauthn.helpers.exceptions import WebAuthnException

    visit = await member_of(request)
    sent = await _sent(request)
    challenge = _challenges(request).take(_making(visit.owner))
    try:
        made = verify_registration_response(
            credential=sent["credential"],
            expected_challenge=challenge,
            expected_rp_id=_host(request),
            expected_origin=_origin(request),
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise PasskeyRefused from error
    await visit.services.passkeys.add(
        visit.owner,
        made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        name=" ".join(str(sent.get("name", "")).split())[:NAME_LIMIT],
        secret=_derived(sent),
    )
    return _json({"url": "/settings?done=passkey#ways"})


# --- signing in with one


async def options_to_sign_in(request: Request) -> Response:
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import UserVerificationRequirement

    check_signing_in(request)
    ceremony = secrets.token_urlsafe(32)
    options = generate_authentication_options(
        rp_id=_host(request),
        challenge=_challenges(request).draw(ceremony),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    response = _json(_options(options_to_json(options)))
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
    sent = await _sent(request)
    ceremony = request.cookies.get(SECURE_CEREMONY if is_secure(request) else CEREMONY, "")
    challenge = _challenges(request).take(ceremony)
    passkey = await visit.services.passkeys.find(_number(sent["credential"]))
    if passkey is None or not _is_its_owners(passkey, sent["credential"]):
        raise PasskeyRefused
    count = _verified(request, sent["credential"], challenge, passkey)
    try:
        signed_in = await visit.services.passkeys.sign_in(
            passkey, count, _derived(sent), session=session_token(request) or None
        )
    except SignInFailed:
        raise PasskeyRefused from None
    wanted = own_path(str(sent.get("next", "/")))
    response = _json({"url": wanted if signed_in.viewer.key is not None else "/unlock"})
    remember_session(request, response, signed_in.token)
    return response


def _verified(request: Request, credential: dict[str, Any], challenge: bytes, passkey: Passkey) -> int:
    """How often the authenticator says that it was used. Raises PasskeyRefused."""
    from webauthn import verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        used = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=_host(request),
            expected_origin=_origin(request),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise PasskeyRefused from error
    return used.new_sign_count


def _number(credential: dict[str, Any]) -> bytes:
    """By which the passkey is known. Raises PasskeyRefused."""
    return _bytes(credential.get("rawId"))


def _is_its_owners(passkey: Passkey, credential: dict[str, Any]) -> bool:
    """The authenticator names the account for which it was made."""
    response = credential.get("response")
    handle = response.get("userHandle") if isinstance(response, dict) else None
    return _bytes(handle) == passkey.way.account_id.encode()


def _bytes(text: object) -> bytes:
    """Raises PasskeyRefused."""
    if not isinstance(text, str) or not text:
        raise PasskeyRefused
    try:
        return base64.urlsafe_b64decode(f"{text}==")
    except (ValueError, binascii.Error):
        raise PasskeyRefused from None
