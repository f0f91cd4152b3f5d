"""Canaille, a real OpenID Connect provider, on a free port of this machine, with one person and one client in memory.

Run by ``test_provider.py`` with the interpreter of ``.venv-provider``, where it is installed; this file imports nothing
of Commun's. It says its address, is told on a line where the client's people may be sent back to, says ``ready``, and
serves until its standard input ends.
"""

import sys
import threading

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

CLIENT, SECRET = "commun", "the-secret-of-the-client"
USER, PASSWORD = "camille", "correct horse battery staple"


def main() -> None:
    server = make_server("localhost", 0, lambda *_: [b""], threaded=True)
    host = f"localhost:{server.port}"
    config = {
        "SECRET_KEY": "only for a test",
        "SERVER_NAME": host,
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"DATABASE": "memory", "LOGGING": {"version": 1, "disable_existing_loggers": True}},
        "CANAILLE_OIDC": {
            "ACTIVE_JWKS": [RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)],
            "TRUSTED_DOMAINS": [],
        },
        "SESSION_COOKIE_SECURE": False,
    }
    app = create_app(config)
    say(f"http://{host}")
    redirect = sys.stdin.readline().strip()
    with app.app_context():
        person = models.User(
            user_name=USER,
            display_name="camille.durand",
            formatted_name="Camille Durand",
            family_name="Durand",
            emails=["camille@example.org"],
            password=PASSWORD,
        )
        Backend.instance.save(person)
        client = models.Client(
            client_id=CLIENT,
            client_secret=SECRET,
            client_name="Commun",
            client_uri="http://commun.test",
            redirect_uris=[redirect],
            grant_types=["authorization_code"],
            response_types=["code"],
            scope=["openid", "profile"],
            token_endpoint_auth_method="client_secret_basic",
        )
        Backend.instance.save(client)
        client.audience = [client]  # as its own form does
        Backend.instance.save(client)
    server.app = app
    say("ready")
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()  # ends with its parent
    server.serve_forever()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
