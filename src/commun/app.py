"""The composition root: where objects are built, and the one place that knows all rooms.

``create_app`` is the server; ``running.py`` is what the command line calls, out of the same parts. A data folder
without a charter gets one at the first start (``first_start.py``); ``upkeep.py`` erases what has had its time.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import cache, partial
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Scope

from commun.api.access_log import AccessLog
from commun.api.errors import openai_response
from commun.api.metrics import Metrics
from commun.api.routes import api_routes
from commun.api.witness import PREFIX, tell_evidence, witness_routes
from commun.assistant.admission import Admission
from commun.assistant.energy import EnergyMeter
from commun.assistant.engines import Engines, EngineWish, wish_of
from commun.assistant.in_force import CharterInForce, Published, utc_now
from commun.assistant.issuing import Issuer
from commun.assistant.quotas import Quotas
from commun.assistant.turn import Assistant
from commun.charter.clauses import Model
from commun.charter.edition import InForce
from commun.config import Settings
from commun.doors import put_doors
from commun.engine.adding import Adding
from commun.engine.base import Engine, EngineInfo
from commun.engine.connection import COMMAND, Spare
from commun.engine.manifest import Progress
from commun.engine.room import has_free_memory
from commun.engine.weights import ModelLibrary
from commun.errors import CommunError, DataFolderUnusable, InternalError
from commun.first_start import found_where_none_is
from commun.ledger.opening import public_origin
from commun.ledger.witness_keys import KEY_FILE as WITNESS_KEY_FILE
from commun.ledger.witness_state import Witness
from commun.nightly import audit_by_night
from commun.openid.provider import open_provider
from commun.places import CHARTER_FOLDER, KEYS_FOLDER, WITNESS_FOLDER
from commun.recording.audit_key import AUDIT_KEY_FILE, open_audit_key
from commun.recording.brief import BriefRecorder
from commun.recording.bundles import Bundles
from commun.recording.recorder import Recorder
from commun.recording.statements import model_statement
from commun.services import Services
from commun.store.accounts import Accounts
from commun.store.administration import Administration
from commun.store.audit_samples import AuditSamples
from commun.store.classes import Classes
from commun.store.conversations import Conversations
from commun.store.database import DATABASE_FILE, Database
from commun.store.feedback import Feedback
from commun.store.folder import find_reason
from commun.store.folders import Folders
from commun.store.instructions import Instructions
from commun.store.invitations import Invitations
from commun.store.ledger_entries import LedgerEntries
from commun.store.passkeys import Passkeys
from commun.store.passwords import Hasher
from commun.store.provider_accounts import ProviderAccounts
from commun.store.readers import Readers
from commun.store.reading import Reading
from commun.store.receipts import Receipts
from commun.store.sent import Sent
from commun.store.shares import Shares
from commun.store.usage import Usage
from commun.store.vault import PublicKey
from commun.store.ways_in import WaysIn
from commun.upkeep import purge_now_and_then
from commun.web.data_import import ADDRESS as IMPORT_ADDRESS
from commun.web.guard import API_PREFIXES, Guard, GuardRules
from commun.web.limits import RateLimits
from commun.web.refusals import ProblemPage, page_error_handlers
from commun.web.routes import web_routes

log = structlog.get_logger()


def build_engine(
    settings: Settings,
    library: ModelLibrary,
    wish: EngineWish,
    *,
    progress: Progress | None = None,
    spare: Spare | None = None,
) -> Engine:
    """The engine that the charter wishes, not yet started. ``progress`` hears of what its model needs first. ``spare``:
    a process for it that has been started already.
    """
    if wish.model.format == "remote":
        from commun.engine.remote import RemoteEngine

        return RemoteEngine(
            wish.model.url,
            wish.model.remote_model,
            settings.remote_key.get_secret_value(),
            context_length=wish.model.context_length,
            model_id=wish.model.id,
            timeout_s=settings.engine_timeout_s,
        )
    from commun.engine.openvino import OpenVINOEngine

    return OpenVINOEngine(
        prepare=lambda: library.prepare(wish.model, progress=progress or StageLog()),
        profile=wish.profile.value,
        context=wish.context,
        threads=settings.engine_threads,
        cache_gb=settings.kv_cache_gb,
        max_running=settings.max_running,
        step_timeout_s=settings.engine_timeout_s,
        spare=spare,
    )


def build_engines(
    settings: Settings,
    library: ModelLibrary,
    *,
    engine: Engine | None = None,
    progress: Progress | None = None,
    spare: Callable[[], Spare | None] = lambda: None,
) -> Engines:
    """``engine``: the same for every wish, instead of what a charter names (tests, benchmarks)."""
    if engine is not None:
        return Engines(lambda _wish: engine)

    def has_room_beside(wish: EngineWish) -> bool:
        return wish.model.format == "remote" or has_free_memory(library.loaded_bytes(wish.model), settings.kv_cache_gb)

    return Engines(
        lambda wish: build_engine(settings, library, wish, progress=progress, spare=spare()),
        has_room_beside=has_room_beside,
    )


def build_assistant(
    settings: Settings,
    charter: CharterInForce,
    engines: Engines,
    recorder: Recorder | BriefRecorder,
    receipts: Receipts,
    *,
    quotas: Quotas | None = None,
) -> Assistant:
    """``quotas`` None: for one person at this machine."""
    return Assistant(
        charter=charter,
        engines=engines,
        issuer=Issuer(recorder.signer, recorder, receipts),
        admission=Admission(running=settings.max_running, waiting=settings.max_waiting, each=settings.max_running_each),
        quotas=quotas,
        meter=EnergyMeter(watt=settings.watt, cores=settings.engine_threads),
    )


def build_samples(settings: Settings, database: Database) -> AuditSamples:
    """Its key is made when the first answer is drawn."""

    @cache
    def key() -> PublicKey:
        return open_audit_key(settings.home / KEYS_FOLDER / AUDIT_KEY_FILE).public

    return AuditSamples(database, key)


def follow_charter(charter: CharterInForce, engines: Engines) -> None:
    """From now on the engine is the one that the charter in force names."""

    def use(in_force: InForce | None) -> None:
        if in_force is not None:
            engines.use(in_force.charter)

    charter.on_change(use)


class EarlyProcess:
    """The engine's process, begun while the charter is still being verified: most charters will want one."""

    def __init__(self) -> None:
        self._spare: Spare | None = None

    def begin(self, step_timeout_s: float) -> None:
        self._spare = Spare(COMMAND, step_timeout_s)

    def find(self) -> Spare | None:
        return self._spare

    async def settle(self, in_force: InForce | None) -> None:
        """Ended, where the charter names no model of this machine or none is in force."""
        if self._spare is not None and (in_force is None or wish_of(in_force.charter).model.format == "remote"):
            await self._spare.close()
        self._spare = None


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
    """The whole server. ``engine``: another one than the charter names (tests, benchmarks): exempt from the check of
    its model's files, and from nothing else.
    """
    database = Database(settings.home / DATABASE_FILE)
    library = ModelLibrary(settings.home)
    receipts, entries = Receipts(database), LedgerEntries(database)
    samples = build_samples(settings, database)
    recorder = Recorder(
        home=settings.home, public_url=settings.public_url, entries=entries, receipts=receipts, now=utc_now
    )
    charter = CharterInForce(Published(settings.home), admit=recorder.admit)
    early = EarlyProcess()
    engines = build_engines(settings, library, engine=engine, spare=early.find)
    accounts, hasher = Accounts(database, session_days=settings.session_days), Hasher()
    ways_in, invitations = WaysIn(accounts, hasher), Invitations(accounts, hasher)
    services = Services(
        settings=settings,
        charter=charter,
        accounts=accounts,
        ways_in=ways_in,
        passkeys=Passkeys(accounts, ways_in),
        invitations=invitations,
        administration=Administration(accounts, database),
        classes=Classes(accounts, database),
        conversations=Conversations(database, samples=samples),
        folders=Folders(database),
        instructions=Instructions(database),
        assistant=build_assistant(
            settings,
            charter,
            engines,
            recorder,
            receipts,
            quotas=Quotas(Usage(database), daily_tokens=settings.daily_tokens),
        ),
        library=library,
        adding=Adding(settings.home, models_from=settings.models_from),
        database=database,
        receipts=receipts,
        recorder=recorder,
        bundles=Bundles(recorder, entries, receipts, charter_folder=settings.home / CHARTER_FOLDER),
        shares=Shares(database),
        readers=Readers(database),
        reading=Reading(database),
        feedback=Feedback(database),
        sent=Sent(database),
        samples=samples,
        provider=open_provider(settings),
        provider_accounts=ProviderAccounts(accounts, ways_in, invitations, hasher),
    )
    metrics = Metrics()
    follow_charter(charter, engines)
    engines.on_loaded(partial(record_loaded, recorder))

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            database.open(exclusive=True)
            if engine is None:
                early.begin(settings.engine_timeout_s)
            await recorder.open()
            app.state.first_charter = await found_where_none_is(charter, settings.home)
            await early.settle(charter.find())
            interrupted = await services.conversations.recover()
        except Exception as error:
            app.state.startup_error = told(error, settings.home)
            await early.settle(None)
            await recorder.close()
            database.close()
            raise
        if interrupted:
            log.info("answers were interrupted by the last stop", count=interrupted)
        background = [
            asyncio.create_task(charter.watch()),
            asyncio.create_task(recorder.watch()),
            asyncio.create_task(purge_now_and_then(services)),
            asyncio.create_task(audit_by_night(services)),
        ]
        try:
            yield
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await close_services(services)
            await engines.close()
            await recorder.close()
            database.close()

    routes = [*api_routes(metrics), *witness_routes(build_witness(settings)), *web_routes()]
    put_doors(routes)
    app = Starlette(
        routes=routes,
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


def told(error: Exception, home: Path) -> CommunError:
    """What the command line tells where the server could not start. What is unforeseen stands in the log."""
    if isinstance(error, CommunError):
        return error
    reason = find_reason(error, home)
    if reason is not None:
        return DataFolderUnusable(home=str(home), reason=reason)
    log.error("the start failed", exc_info=error)
    return InternalError()


async def close_services(services: Services) -> None:
    """Those that have something running or open."""
    await services.adding.stop()
    await services.assistant.close()
    if services.provider is not None:
        await services.provider.close()


def guard_rules(settings: Settings) -> GuardRules:
    return GuardRules(
        max_body_bytes=settings.max_body_bytes,
        max_header_bytes=settings.max_header_bytes,
        hosts=(settings.host,),
        public_url=settings.public_url,
        larger_bodies=((IMPORT_ADDRESS, settings.max_import_bytes),),
    )


def refusal(scope: Scope, error: CommunError) -> ASGIApp:
    """A refusal of the guard in the shape of the room it was meant for."""
    if scope["path"].startswith(API_PREFIXES):
        return openai_response(error)
    return ProblemPage(error)


def record_loaded(recorder: Recorder | BriefRecorder, _model: Model, info: EngineInfo) -> None:
    """The ledger is told which model was loaded."""
    statement = model_statement(info, now=utc_now())
    if statement is not None:
        recorder.post(statement)


def build_witness(settings: Settings) -> Witness:
    """The witness of this data folder. It makes its keys when it is first asked for one, and answers nobody before a
    log is added (``commun witness add``).
    """
    return Witness(
        settings.home / WITNESS_FOLDER,
        settings.home / KEYS_FOLDER / WITNESS_KEY_FILE,
        name=public_origin(settings.public_url.rstrip("/") + PREFIX) if settings.public_url else "",
        tell=tell_evidence,
    )
