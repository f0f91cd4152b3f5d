"""What every ceremony with a passkey needs: the challenge, what the browser is asked, what its answer must be.

- A challenge is drawn for each try, is bound to whose it is (a session's, an arrival's, or that of a cookie of its own
  for who has neither), works once, and for five minutes.
- The passkey belongs to one host (``public_url``, else the host that the browser asked); the authenticator must have
  verified the person (a fingerprint, a code): a passkey is all that is asked for.
- ``prf``: what the authenticator derives comes to the server as a password does, and is kept nowhere.
"""

import base64
import binascii
import ipaddress
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from commun.errors import N_, BadRequest, NotSignedIn
from commun.store.passkeys import NewPasskey, Passkey
from commun.web.visit import services_of

if TYPE_CHECKING:
    from webauthn.registration.verify_registration_response import VerifiedRegistration

GOOD_FOR_S: Final = 300.0
SIZE: Final = 10_000
PRF_INPUT: Final = b"commun vault passkey v1"  # one for all: what comes out is each passkey's own
PRF_BYTES: Final = 32
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


def challenges_of(request: Request) -> Challenges:
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


def options_to_register(
    request: Request, whose: str, *, account_id: str, name: str, beside: Iterable[bytes] = ()
) -> dict[str, Any]:
    """For a new passkey of that account. ``whose``: the challenge is. ``beside``: those that there are already. Raises
    NoPasskeysHere.
    """
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=_host(request),
        rp_name="Commun",
        user_id=account_id.encode(),
        user_name=name or "Commun",
        challenge=challenges_of(request).draw(whose),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=number) for number in beside],
    )
    return _with_prf(options_to_json(options))


def options_to_use(request: Request, whose: str, *, among: Iterable[bytes] = ()) -> dict[str, Any]:
    """``among``: the passkeys that are asked for; none: whichever the authenticator finds. Raises NoPasskeysHere."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    options = generate_authentication_options(
        rp_id=_host(request),
        challenge=challenges_of(request).draw(whose),
        allow_credentials=[PublicKeyCredentialDescriptor(id=number) for number in among],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _with_prf(options_to_json(options))


def _with_prf(text: str) -> dict[str, Any]:
    """The library's options, and what the authenticator shall derive."""
    options: dict[str, Any] = json.loads(text)
    first = base64.urlsafe_b64encode(PRF_INPUT).rstrip(b"=").decode()
    return {**options, "extensions": {"prf": {"eval": {"first": first}}}}


async def body_of(request: Request) -> dict[str, Any]:
    """Raises BadRequest."""
    body = await request.body()
    if len(body) > MAX_BODY:
        raise BadRequest
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest from None
    if not isinstance(sent, dict):
        raise BadRequest
    return sent


async def sent_by(request: Request) -> dict[str, Any]:
    """With an authenticator's answer. Raises BadRequest."""
    sent = await body_of(request)
    if not isinstance(sent.get("credential"), dict):
        raise BadRequest
    return sent


def derived_of(sent: dict[str, Any]) -> bytes | None:
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


def as_json(data: dict[str, Any]) -> Response:
    return JSONResponse(data, headers={"Cache-Control": "no-store"})


def registered(request: Request, credential: dict[str, Any], challenge: bytes) -> "VerifiedRegistration":
    """The passkey that was made. Raises PasskeyRefused."""
    from webauthn import verify_registration_response
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        return verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=_host(request),
            expected_origin=_origin(request),
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise PasskeyRefused from error


def new_passkey(made: "VerifiedRegistration", name: str, secret: bytes | None) -> NewPasskey:
    return NewPasskey(made.credential_id, made.credential_public_key, made.sign_count, name, secret)


def verified(request: Request, credential: dict[str, Any], challenge: bytes, passkey: Passkey) -> int:
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


def number_of(credential: dict[str, Any]) -> bytes:
    """By which the passkey is known. Raises PasskeyRefused."""
    return _bytes(credential.get("rawId"))


def is_its_owners(passkey: Passkey, credential: dict[str, Any]) -> bool:
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
