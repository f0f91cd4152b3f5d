"""The API alone on a real uvicorn server in a thread, before a scripted engine and accounts held in memory."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from charters import CHARTER, Fixed, in_force
from commun.api.access_log import AccessLog
from commun.api.metrics import Metrics
from commun.api.routes import api_routes
from commun.app import follow_charter
from commun.assistant.admission import Admission
from commun.assistant.energy import EnergyMeter
from commun.assistant.engines import Engines
from commun.assistant.turn import Assistant
from commun.charter.clauses import Charter, Texts
from commun.charter.edition import InForce
from commun.charter.errors import CharterError
from commun.errors import NotFound
from commun.receipts.bundle import PENDING, Bundle, Logged
from commun.receipts.commitments import FIELDS
from commun.receipts.issue import Receipt
from commun.store.accounts import Caller
from commun.web.limits import RateLimits
from fake_engine import FakeEngine
from issuers import TestIssuer, with_seed

KEY = "cm_test"
KEY_WITHOUT_VAULT = "cm_no_vault"


class MemoryAccounts:
    """Two keys: one whose owner has a vault, one whose owner has none."""

    async def caller(self, api_key: str) -> Caller | None:
        if api_key == KEY:
            return Caller("account", "key", "test", public_key=object(), vault_id="vault")  # type: ignore[arg-type]
        if api_key == KEY_WITHOUT_VAULT:
            return Caller("account2", "key2", "test", public_key=None, vault_id="")
        return None


@dataclass
class MemoryConversations:
    kept: list[dict[str, Any]] = field(default_factory=list)
    receipts: "MemoryReceipts | None" = None

    async def record_turn(self, owner: Caller, **turn: Any) -> str:
        await asyncio.sleep(0)
        self.kept.append({"owner": owner.account_id, **turn})
        if self.receipts is not None and turn["receipt"] is not None:
            self.receipts.stored[turn["token"], turn["receipt"].statement.receipt] = turn["receipt"]
        return "conversation"


class MemoryReceipts:
    """Nobody's receipts, by id; ``stored``: those of stored answers, for the key that had them stored."""

    def __init__(self, issuing: TestIssuer) -> None:
        self._nobodys = issuing.nobodys
        self.stored: dict[tuple[str, str], Receipt] = {}

    async def keep(self, receipt: Receipt) -> None:
        await self._nobodys.keep(receipt)

    async def get_for_caller(self, caller: Caller, token: str, receipt_id: str) -> Bundle:
        await asyncio.sleep(0)
        if (token, receipt_id) in self.stored:
            return self.stored[token, receipt_id].bundle(ledger=Logged(receipt=PENDING))
        found = next((one for one in self._nobodys.kept if one.statement.receipt == receipt_id), None)
        if found is None:
            raise NotFound
        return found.bundle(ledger=Logged(receipt=PENDING)).without(*FIELDS)


class MemoryBundles:
    """Bundles without a charter; of what ``MemoryReceipts`` gives. ``broken``: none can be made."""

    def __init__(self) -> None:
        self.broken = False

    async def fresh(self, receipt: Receipt) -> Bundle:
        if self.broken:
            raise OSError(5, "Input/output error")
        made = receipt.bundle(charter={"metadata/1.root.json": b"\xc3\xa9\n"}, ledger=Logged(receipt=PENDING))
        return with_seed(made, receipt.statement.seed)

    async def bundle(self, stored: Bundle) -> Bundle:
        await asyncio.sleep(0)
        return stored


class MemoryDatabase:
    """Takes every write."""

    async def check_writable(self) -> None:
        await asyncio.sleep(0)


@dataclass
class RunningApi:
    url: str
    engine: FakeEngine
    conversations: MemoryConversations
    app: Starlette
    assistant: Assistant


BRIEF = replace(CHARTER, prompts=replace(CHARTER.prompts, system=Texts("Be brief.", "Soyez bref.")))


def api_app(
    engine: FakeEngine, *, running: int = 4, waiting: int = 2, charter: Charter | InForce | CharterError = BRIEF
) -> Starlette:
    metrics = Metrics()
    held = Fixed(in_force(charter) if isinstance(charter, Charter) else charter)
    engines = Engines(lambda _wish: engine)
    issuing = TestIssuer()
    assistant = Assistant(
        charter=held,
        engines=engines,
        admission=Admission(running=running, waiting=waiting),
        meter=EnergyMeter(watt=10, cores=1),
        issuer=issuing.issuer,
    )
    assistant.watch(metrics.turn_ended)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        follow_charter(held, engines)
        held.set(held.error or held.get())
        yield

    receipts = MemoryReceipts(issuing)
    app = Starlette(routes=api_routes(metrics), middleware=[Middleware(AccessLog, metrics=metrics)], lifespan=lifespan)
    app.state.services = SimpleNamespace(
        accounts=MemoryAccounts(),
        conversations=MemoryConversations(receipts=receipts),
        assistant=assistant,
        issuing=issuing,
        receipts=receipts,
        bundles=MemoryBundles(),
        charter=held,
        database=MemoryDatabase(),
    )
    app.state.rate_limits = RateLimits("1000000/minute")
    return app


@contextlib.contextmanager
def running_api(engine: FakeEngine | None = None, **bounds: Any) -> Iterator[RunningApi]:
    engine = engine or FakeEngine()
    app = api_app(engine, **bounds)
    with served(app) as url:
        services = app.state.services
        yield RunningApi(url, engine, services.conversations, app, services.assistant)


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The base URL of ``app`` on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(120)
        listener.close()
