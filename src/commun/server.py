"""The server process: a socket, uvicorn on it, and the link to open printed once it listens."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_network

import uvicorn
from starlette.applications import Starlette

from commun.config import Settings
from commun.errors import CommunError, ConfigError

LISTEN_BACKLOG = 2048
GRACE_S = 5  # open event streams get this long when the server stops
KEEP_ALIVE_S = 75


class AnnouncingServer(uvicorn.Server):
    """Uvicorn that says when it listens."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await self._announce()


def listen(settings: Settings) -> socket.socket:
    """A listening socket. Raises ConfigError when address or port cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        reason = f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}); choose another with --port"
        raise ConfigError(setting="port", reason=reason) from error
    listener.listen(LISTEN_BACKLOG)
    return listener


def base_url(settings: Settings, port: int) -> str:
    """How a browser reaches a server of these settings that listens on ``port``."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104  (compared only)
    return settings.public_url.rstrip("/") or f"http://{host}:{port}"


def believed(proxies: str) -> str:
    """The networks of the setting, each IPv4 one in its IPv6 form as well: so it comes to who listens on ``::``."""
    networks = [ip_network(each.strip(), strict=False) for each in proxies.split(",") if each.strip()]
    mapped = [f"::ffff:{each.network_address}/{96 + each.prefixlen}" for each in networks if each.version == 4]  # noqa: PLR2004
    return ",".join([*map(str, networks), *mapped])


def serve_until_stopped(app: Starlette, settings: Settings, announce: Callable[[str], Awaitable[None]]) -> None:
    """Serves until a signal. ``announce`` gets the base URL. Raises what kept the server from starting."""
    listener = listen(settings)
    url = base_url(settings, listener.getsockname()[1])
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        h11_max_incomplete_event_size=settings.max_header_bytes,
        forwarded_allow_ips=believed(settings.proxies),
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        date_header=True,
    )
    server = AnnouncingServer(config, lambda: announce(url))
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(server.serve(sockets=[listener]))
    except SystemExit:  # uvicorn's way to say that the application could not start
        failure: CommunError | None = getattr(app.state, "startup_error", None)
        if failure is None:
            raise
        raise failure from None
