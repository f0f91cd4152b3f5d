"""An authenticator in software: what a browser would send for a passkey, right or deliberately wrong."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def data(encoded: str) -> bytes:
    return urlsafe_b64decode(f"{encoded}==")


@dataclass
class SoftAuthenticator:
    """One passkey. What it gets wrong is changed before it is asked."""

    origin: str
    host: str
    flags: int = PRESENT | VERIFIED
    count: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    number: bytes = field(default_factory=lambda: token_bytes(32))
    handle: bytes = b""
    seed: bytes = field(default_factory=lambda: token_bytes(32))

    def prf(self, options: dict[str, Any]) -> str:
        return text(hmac.digest(self.seed, data(options["extensions"]["prf"]["eval"]["first"]), "sha256"))

    def make(self, options: dict[str, Any]) -> dict[str, Any]:
        self.handle = data(options["user"]["id"])
        point = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)}
        attested = bytes(16) + len(self.number).to_bytes(2) + self.number + cbor2.dumps(public)
        about = self._about(ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": about})
        response = {"attestationObject": text(attestation), "clientDataJSON": self._client("webauthn.create", options)}
        return self._credential(response)

    def use(self, options: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        about, client = self._about(0), self._client("webauthn.get", options)
        signature = self.key.sign(about + hashlib.sha256(data(client)).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "authenticatorData": text(about),
            "clientDataJSON": client,
            "signature": text(signature),
            "userHandle": text(self.handle),
        }
        return self._credential(response)

    def _about(self, more: int) -> bytes:
        return hashlib.sha256(self.host.encode()).digest() + bytes([self.flags | more]) + self.count.to_bytes(4)

    def _client(self, kind: str, options: dict[str, Any]) -> str:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return text(json.dumps(said).encode())

    def _credential(self, response: dict[str, str]) -> dict[str, Any]:
        return {"id": text(self.number), "rawId": text(self.number), "type": "public-key", "response": response}
