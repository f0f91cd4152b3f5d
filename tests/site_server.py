"""A whole Commun for a browser: the real application on a real server in a thread, before a scripted engine."""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from commun.app import create_app
from commun.config import load_settings
from commun.engine.base import Engine
from commun.store.database import DATABASE_FILE

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
STARTED_S = 120


@dataclass
class Site:
    url: str
    app: Starlette
    engine: Any
    loop: asyncio.AbstractEventLoop

    def run(self, work: Any) -> Any:
        """Runs a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(STARTED_S)

    def receipt_of(self, message_id: str) -> str:
        """The id of an answer's receipt, once it is kept."""
        with contextlib.closing(sqlite3.connect(self.app.state.services.settings.home / DATABASE_FILE)) as database:
            found = database.execute("SELECT id FROM receipts WHERE message_id = ?", (message_id,)).fetchone()
        assert found is not None, "the answer has no receipt"
        return str(found[0])

    def link(self) -> str:
        return f"{self.url}/sign-in?token={self.run(self.app.state.services.accounts.make_link())}"


@contextlib.contextmanager
def serving(home: Path, engine: Engine | None, **options: Any) -> Iterator[Site]:
    """``engine`` None: the one that the charter names, with the real model."""
    settings = load_settings(home=home, port=0, log_level="error", **options)
    app = create_app(settings, engine=engine)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=1))
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    deadline = time.monotonic() + STARTED_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Site(f"http://127.0.0.1:{port}", app, engine, loops[0])
    finally:
        server.should_exit = True
        thread.join(STARTED_S)
