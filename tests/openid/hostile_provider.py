"""An identity provider for tests, on a free port of this machine: honest until a test says in what it is not.

It speaks real HTTP; there is no page: ``authorize`` is what a person's click would do.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from joserfc import jws
from joserfc.jwk import RSAKey

CLIENT, SECRET = "commun", "s3cret: + & / %"
KEY = RSAKey.generate_key(2048, {"kid": "first"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "second"})


@dataclass
class HostileProvider:
    """``claims``: what is changed in the next tokens. ``forge``: makes the token instead. ``answers``: a path and what
    is answered there instead: status, headers, body. ``asked``: the paths that were asked.
    """

    subject: str = "248289761001"
    claims: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Callable[["HostileProvider"], tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)
    forge: Callable[[dict[str, Any]], str] | None = None
    key: RSAKey = field(default_factory=lambda: KEY)
    published: list[RSAKey] = field(default_factory=lambda: [KEY])
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    issuer: str = ""

    def __enter__(self) -> "HostileProvider":
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._serve(self, b"")

            def do_POST(self) -> None:
                provider._serve(self, self.rfile.read(int(self.headers.get("content-length", "0"))))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def honest(self) -> None:
        """As it was."""
        fresh = HostileProvider(issuer=self.issuer)
        for name in ("subject", "claims", "document", "answers", "forge", "key", "published", "asked", "codes"):
            setattr(self, name, getattr(fresh, name))

    def authorize(self, url: str, **changed: str | None) -> dict[str, str]:
        """What stands in the query with which the browser is sent back. ``changed``: None leaves one out."""
        asked = dict(parse_qsl(urlsplit(url).query))
        assert url.startswith(self.issuer + "/authorize?")
        assert asked["response_type"] == "code"
        assert (asked["client_id"], asked["code_challenge_method"]) == (CLIENT, "S256")
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.issuer} | changed
        return {name: value for name, value in answer.items() if value is not None}

    def _serve(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        path = urlsplit(request.path).path
        self.asked.append(path)
        made = self.answers.get(path)
        if made is not None:
            status, headers, data = made(self)
        else:
            status, told = self._honestly(path, request, body)
            headers, data = {"content-type": "application/json"}, json.dumps(told).encode()
        try:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.send_header("content-length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _honestly(self, path: str, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, Any]]:
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_response_iss_parameter_supported": True,
            } | self.document
        if path == "/keys":
            return 200, {"keys": [key.as_dict(private=False) for key in self.published]}
        if path == "/token":
            return self._token(request, dict(parse_qsl(body.decode())))
        return 404, {}

    def _token(self, request: BaseHTTPRequestHandler, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """A code works once, for the client with its secret, for whoever knows the verifier, at the same way back."""
        scheme, _, pair = request.headers.get("authorization", "").partition(" ")
        told = base64.b64decode(pair).decode().split(":") if scheme == "Basic" else []
        if self.document.get("token_endpoint_auth_methods_supported") == ["client_secret_post"]:
            told = [form.get("client_id", ""), form.get("client_secret", "")] if not scheme else []
        else:
            told = [unquote_plus(part) for part in told]
        if told != [CLIENT, SECRET]:
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form.get("redirect_uri"):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        return 200, {"access_token": "unused", "token_type": "Bearer", "id_token": self._signed(claims)}

    def _signed(self, claims: dict[str, Any]) -> str:
        if self.forge is not None:
            return self.forge(claims)
        said = json.dumps(claims).encode()  # in ASCII: what UTF-8 cannot write, too
        return jws.serialize_compact({"typ": "JWT", "alg": "RS256", "kid": self.key.kid}, said, self.key)
