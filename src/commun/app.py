"""The composition root: the only place that builds objects, and the only one that knows all rooms.

``create_app`` is the server; ``run_server``, ``run_chat``, ``make_api_key`` and ``make_link`` are what the command
line calls.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Scope

from commun.api.access_log import AccessLog
from commun.api.errors import openai_response
from commun.api.metrics import Metrics
from commun.api.routes import api_routes
from commun.assistant.admission import Admission
from commun.assistant.energy import EnergyMeter
from commun.assistant.rules import Rules
from commun.assistant.turn import Assistant
from commun.config import Settings
from commun.engine.base import Engine
from commun.engine.manifest import Progress
from commun.engine.weights import ModelLibrary
from commun.errors import CommunError
from commun.logs import configure_logs
from commun.services import Services
from commun.store.accounts import Accounts
from commun.store.conversations import Conversations
from commun.store.database import DATABASE_FILE, Database
from commun.web.guard import API_PREFIXES, Guard, GuardRules
from commun.web.limits import RateLimits
from commun.web.refusals import ProblemPage, page_error_handlers
from commun.web.routes import web_routes

PURGE_EVERY_S = 600
UNDO_S = 3600  # a deleted conversation can be restored for this long, then it is erased

log = structlog.get_logger()
Translate = Callable[[str], str]


def build_engine(
    settings: Settings, library: ModelLibrary, *, model: str | None = None, progress: Progress | None = None
) -> Engine:
    """The engine that the settings name, not yet started. ``progress`` hears of what its model needs first."""
    if settings.engine == "remote":
        from commun.engine.remote import RemoteEngine

        return RemoteEngine(
            settings.remote_url,
            settings.remote_model,
            settings.remote_key.get_secret_value(),
            timeout_s=settings.engine_timeout_s,
            context_length=settings.remote_context,
        )
    from commun.engine.openvino import OpenVINOEngine

    model_id = model or library.current()
    return OpenVINOEngine(
        prepare=lambda: (library.prepare(model_id, progress=progress or StageLog()), library.get(model_id)),
        profile=settings.engine_profile,
        threads=settings.engine_threads,
        cache_gb=settings.kv_cache_gb,
        max_running=settings.max_running,
        step_timeout_s=settings.engine_timeout_s,
    )


def build_assistant(settings: Settings, engine: Engine) -> Assistant:
    return Assistant(
        engine=engine,
        admission=Admission(running=settings.max_running, waiting=settings.max_waiting),
        rules=Rules(),
        meter=EnergyMeter(watt=settings.watt, cores=settings.engine_threads),
    )


class StageLog:
    """Long steps at start-up: one log line as each begins (``engine.manifest.Progress``)."""

    def __init__(self) -> None:
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        del done, total
        if stage != self._stage:
            self._stage = stage
            log.info("preparing the model", stage=stage)


def create_app(settings: Settings, *, engine: Engine | None = None) -> Starlette:
    """The whole server. ``engine``: another one than the settings name (tests, benchmarks)."""
    database = Database(settings.home / DATABASE_FILE)
    library = ModelLibrary(settings.home)
    engine = engine or build_engine(settings, library)
    services = Services(
        settings=settings,
        accounts=Accounts(database, session_days=settings.session_days),
        conversations=Conversations(database),
        assistant=build_assistant(settings, engine),
        library=library,
        database=database,
    )
    metrics = Metrics()

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            database.open(exclusive=True)
        except CommunError as error:
            app.state.startup_error = error  # the command line tells it, without a traceback
            raise
        interrupted = await services.conversations.recover()
        if interrupted:
            log.info("answers were interrupted by the last stop", count=interrupted)
        background = [
            asyncio.create_task(load(engine)),
            asyncio.create_task(purge_now_and_then(services)),
        ]
        try:
            yield
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await services.assistant.close()
            await engine.close()
            database.close()

    app = Starlette(
        routes=[*api_routes(metrics), *web_routes()],
        lifespan=lifespan,
        middleware=[
            Middleware(AccessLog, metrics=metrics),
            Middleware(Guard, rules=guard_rules(settings), on_error=refusal),
        ],
        exception_handlers=page_error_handlers(),
    )
    services.assistant.watch(metrics.turn_ended)
    app.state.services = services
    app.state.rate_limits = RateLimits(settings.rate_limit)
    app.state.sign_in_limits = RateLimits(settings.sign_in_rate_limit, setting="sign_in_rate_limit")
    return app


def guard_rules(settings: Settings) -> GuardRules:
    return GuardRules(
        max_body_bytes=settings.max_body_bytes,
        max_header_bytes=settings.max_header_bytes,
        hosts=(settings.host,),
        public_url=settings.public_url,
    )


def refusal(scope: Scope, error: CommunError) -> ASGIApp:
    """A refusal of the guard in the shape of the room it was meant for."""
    if scope["path"].startswith(API_PREFIXES):
        return openai_response(error)
    return ProblemPage(error)


async def load(engine: Engine) -> None:
    """Loads the model while the pages are already served; they say so meanwhile."""
    try:
        await engine.start()
    except CommunError as error:
        log.error("the model could not be loaded", code=error.code, problem=error.text())  # noqa: TRY400  (no traceback)
    except Exception:
        log.exception("the model could not be loaded")
    else:
        log.info("the model is ready", model=engine.info.model, profile=engine.info.profile)


async def purge_now_and_then(services: Services) -> None:
    """Erases what was deleted longer ago than UNDO_S, and sessions and links that have expired."""
    while True:
        await services.conversations.purge_deleted(older_than_s=UNDO_S)
        await services.accounts.purge_expired()
        await asyncio.sleep(PURGE_EVERY_S)


def run_server(settings: Settings, translate: Translate) -> None:
    """``commun serve``."""
    from commun.server import serve_until_stopped

    configure_logs(settings)
    app = create_app(settings)

    async def announce(url: str) -> None:
        token = await app.state.services.accounts.make_link()
        print(translate("Commun is running. Open this link (it works once):"), flush=True)  # noqa: T201
        print(f"\n    {url}/sign-in?token={token}\n", flush=True)  # noqa: T201

    serve_until_stopped(app, settings, announce)


def run_chat(
    settings: Settings,
    translate: Translate,
    *,
    model: str | None,
    seed: int | None,
    bars: Callable[[], AbstractContextManager[Progress]],
) -> None:
    """``commun chat``. ``bars`` shows what a first start has to do."""
    from commun.terminal import converse, note

    configure_logs(settings.model_copy(update={"log_level": "warning"}))

    async def run() -> None:
        note(translate("Loading the model…"))
        with bars() as progress:
            engine = build_engine(settings, ModelLibrary(settings.home), model=model, progress=progress)
            await engine.start()
        assistant = build_assistant(settings, engine)
        try:
            await converse(assistant, translate, seed=seed)
        finally:
            await assistant.close()
            await engine.close()

    asyncio.run(run())


async def make_api_key(settings: Settings, name: str) -> str:
    """``commun user key``: also while a server runs on the same data folder."""
    async with open_accounts(settings) as accounts:
        return await accounts.make_api_key(await accounts.ensure_founder(), name)


async def make_link(settings: Settings) -> str:
    """``commun user link``."""
    from commun.server import base_url

    async with open_accounts(settings) as accounts:
        token = await accounts.make_link()
    return f"{base_url(settings, settings.port)}/sign-in?token={token}"


@contextlib.asynccontextmanager
async def open_accounts(settings: Settings) -> AsyncIterator[Accounts]:
    configure_logs(settings.model_copy(update={"log_level": "warning"}))  # standard output is the command's alone
    database = Database(settings.home / DATABASE_FILE)
    database.open()
    try:
        yield Accounts(database, session_days=settings.session_days)
    finally:
        database.close()
