"""A board member's key on a smart card or another PKCS#11 device: it signs there and never leaves it.

Rules:

- a key is named by a PKCS#11 URI (RFC 7512): ``pkcs11:token=NAME;object=LABEL?module-path=/usr/lib/….so``. Read are
  token, serial, object and id in its path and module-path in its query; anything else is refused, a PIN written into it
  above all. The library is loaded into this process: a URI is typed by who signs, never taken from a document;
- the PIN is asked through a callable when the key is opened, handed to the device, and not kept. One opening signs all
  of an amendment's payloads;
- ECDSA on P-256 everywhere; Ed25519 where the device offers CKM_EDDSA. The public key is read from the device, and held
  to what any board's key must be (``keys.check_key``);
- needs the extra "pkcs11" (python-pkcs11). securesystemslib's HSMSigner is not used: it takes the library from the
  environment, asks the PIN for each signature and knows no Ed25519.

Whatever is missing (the extra, the library, the token, the key, the right PIN) is a HardwareKeyProblem that says so.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote, unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from securesystemslib.signer import Key, SecretsHandler, Signature, Signer, SSlibKey

from commun.charter.errors import BadKey, CharterError
from commun.charter.keys import check_key, key_from_text
from commun.errors import N_

SCHEME: Final = "pkcs11:"
MAX_URI: Final = 2048
ED25519_BYTES: Final = 32
P256_BYTES: Final = 32
_PATH_NAMES: Final = frozenset({"token", "serial", "object", "id"})


class HardwareKeyProblem(CharterError):
    """``details``: ``reason``."""

    code = "hardware_key"
    status = 422
    problem = N_("The hardware key cannot be used: %(reason)s.")
    cure = N_("Check its library, the names of the token and of the key, and its PIN.")


@dataclass(frozen=True, slots=True)
class HardwareName:
    """Which key on which device, through which library."""

    module: str
    token: str | None
    serial: bytes | None
    label: str | None
    id: bytes | None


class HardwareSigner(Signer):
    """Signs between ``__enter__`` and ``__exit__``, while the device is open."""

    def __init__(self, name: HardwareName, pin: Callable[[], str]) -> None:
        self._name = name
        self._pin = pin
        self._session: Any = None
        self._private: Any = None
        self._public: SSlibKey | None = None

    @property
    def public_key(self) -> Key:
        if self._public is None:
            raise HardwareKeyProblem(reason="it is not open")
        return self._public

    @classmethod
    def from_priv_key_uri(
        cls,
        priv_key_uri: str,  # noqa: ARG003
        public_key: Key,  # noqa: ARG003
        secrets_handler: SecretsHandler | None = None,  # noqa: ARG003
    ) -> "HardwareSigner":
        """Not offered: the public key is the device's own, and the PIN is asked by ``hardware_signer``'s callable."""
        raise HardwareKeyProblem(reason="it is opened by its own command only")

    def __enter__(self) -> Self:
        with _told():
            token = _find_token(self._name)
        pin = self._pin()
        with _told():
            self._session = token.open(user_pin=pin)
        try:
            with _told():
                self._private = _find_key(self._session, self._name, private=True)
                self._public = _public_key(_find_key(self._session, self._name, private=False))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        session, self._session, self._private, self._public = self._session, None, None, None
        if session is not None:
            session.close()

    def sign(self, payload: bytes) -> Signature:
        from pkcs11 import Mechanism

        key = self.public_key
        with _told():
            if key.keytype == "ed25519":
                signature = self._private.sign(payload, mechanism=Mechanism.EDDSA)
            else:
                raw = self._private.sign(hashlib.sha256(payload).digest(), mechanism=Mechanism.ECDSA)
                numbers = (int.from_bytes(half, "big") for half in (raw[:P256_BYTES], raw[P256_BYTES:]))
                signature = encode_dss_signature(*numbers)
        return Signature(key.keyid, signature.hex())


def hardware_signer(uri: str, pin: Callable[[], str]) -> HardwareSigner:
    """To be opened with ``with``; ``pin`` is called then. Raises HardwareKeyProblem."""
    return HardwareSigner(parse_uri(uri), pin)


def parse_uri(uri: str) -> HardwareName:
    """Raises HardwareKeyProblem."""
    if not uri.startswith(SCHEME) or len(uri) > MAX_URI:
        raise HardwareKeyProblem(reason="its name is no URI that begins with pkcs11:")
    path, _, query = uri.removeprefix(SCHEME).partition("?")
    names = _attributes(path.split(";"))
    options = _attributes(query.split("&"))
    if not set(names) <= _PATH_NAMES:
        raise HardwareKeyProblem(reason="only token, serial, object and id may name it")
    if set(options) != {"module-path"}:
        raise HardwareKeyProblem(
            reason="?module-path= must name the device's library, and nothing else may stand there"
        )
    return HardwareName(
        module=unquote(options["module-path"]),
        token=_text(names, "token"),
        serial=unquote_to_bytes(names["serial"]) if "serial" in names else None,
        label=_text(names, "object"),
        id=unquote_to_bytes(names["id"]) if "id" in names else None,
    )


def _attributes(parts: list[str]) -> dict[str, str]:
    pairs = [part.partition("=") for part in parts if part]
    attributes = {name: value for name, equals, value in pairs if equals}
    if len(attributes) != len(pairs):
        raise HardwareKeyProblem(reason="its URI is not well formed")
    return attributes


def _text(names: Mapping[str, str], name: str) -> str | None:
    return unquote(names[name]) if name in names else None


def _find_token(name: HardwareName) -> Any:
    try:
        import pkcs11
    except ImportError:
        raise HardwareKeyProblem(reason="python-pkcs11 is not installed: install commun[pkcs11]") from None
    try:
        library = pkcs11.lib(name.module)
    except (RuntimeError, OSError, ValueError):
        raise HardwareKeyProblem(reason="its library cannot be loaded") from None
    found = list(
        library.get_tokens(
            token_label=name.token, token_serial=name.serial, token_flags=pkcs11.TokenFlag.TOKEN_INITIALIZED
        )
    )
    if not found:
        raise HardwareKeyProblem(reason="there is no such token")
    if len(found) > 1:
        raise HardwareKeyProblem(reason="several tokens are there: name one with token=")
    return found[0]


def _find_key(session: Any, name: HardwareName, *, private: bool) -> Any:
    from pkcs11 import Attribute, KeyType, ObjectClass

    wanted: dict[Any, Any] = {Attribute.CLASS: ObjectClass.PRIVATE_KEY if private else ObjectClass.PUBLIC_KEY}
    if name.label is not None:
        wanted[Attribute.LABEL] = name.label
    if name.id is not None:
        wanted[Attribute.ID] = name.id
    found = [key for key in session.get_objects(wanted) if key.key_type in (KeyType.EC, KeyType.EC_EDWARDS)]
    if not found:
        raise HardwareKeyProblem(reason="there is no such elliptic-curve key on the token")
    if len(found) > 1:
        raise HardwareKeyProblem(reason="several keys are there: name one with object= or id=")
    return found[0]


def _public_key(key: Any) -> SSlibKey:
    from pkcs11 import Attribute, KeyType
    from pkcs11.util.ec import encode_ec_public_key

    try:
        if key.key_type == KeyType.EC_EDWARDS:
            # CKA_EC_POINT: the 32 bytes, in a DER string or bare.
            public = key_from_text(f"ed25519:{bytes(key[Attribute.EC_POINT])[-ED25519_BYTES:].hex()}")
        else:
            public = SSlibKey.from_crypto(load_der_public_key(encode_ec_public_key(key)))
        check_key(public)
    except (BadKey, ValueError, TypeError):
        raise HardwareKeyProblem(reason="its key is neither on P-256 nor Ed25519") from None
    return public


@contextmanager
def _told() -> Iterator[None]:
    """What a device answers, in words. Nothing of the PIN is in them."""
    try:
        yield
    except CharterError:
        raise
    except (RuntimeError, OSError, ValueError) as error:  # python-pkcs11's errors are RuntimeErrors
        reason = _REASONS.get(type(error).__name__, "the device refused, or did not answer")
        raise HardwareKeyProblem(reason=reason) from None


_REASONS: Final = {
    "PinIncorrect": "the PIN is wrong; after a few wrong ones it is locked",
    "PinInvalid": "the PIN is wrong; after a few wrong ones it is locked",
    "PinLenRange": "the PIN is too short or too long",
    "PinLocked": "its PIN is locked",
    "PinExpired": "its PIN has expired",
    "UserPinNotInitialized": "its PIN was never set",
    "TokenNotPresent": "it is not plugged in",
    "DeviceRemoved": "it is not plugged in",
    "MechanismInvalid": "the device does not offer this kind of signature",
}
