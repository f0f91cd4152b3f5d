"""What the command line runs: the server, the chat, the witness; a key or a link, made beside a server.

They are put together out of what ``app.py`` builds.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Scope

from commun.api.access_log import AccessLog
from commun.api.metrics import Metrics
from commun.api.witness import PREFIX, witness_routes
from commun.app import (
    build_assistant,
    build_engines,
    build_witness,
    create_app,
    follow_charter,
    guard_rules,
    record_loaded,
    told,
)
from commun.assistant.bounds import check_wishes
from commun.assistant.in_force import CharterInForce, Published, utc_now
from commun.assistant.question import Question
from commun.auditing.sampled import Sampled
from commun.config import Settings
from commun.engine.manifest import Progress
from commun.engine.weights import ModelLibrary
from commun.errors import CommunError
from commun.first_start import FirstCharter, found_where_none_is, founding_note
from commun.ledger.opening import find_key
from commun.logs import configure_logs
from commun.places import CHARTER_FOLDER, KEYS_FOLDER
from commun.recording.audit_key import AUDIT_KEY_FILE, open_audit_key
from commun.recording.brief import BriefRecorder
from commun.recording.bundles import Bundles
from commun.recording.recorder import LEDGER_KEY_FILE
from commun.store.accounts import Accounts
from commun.store.audit_samples import AuditSamples
from commun.store.database import DATABASE_FILE, Database
from commun.store.invitations import Invitations
from commun.store.ledger_entries import LedgerEntries
from commun.store.passwords import Hasher
from commun.store.people import Role
from commun.store.receipts import Receipts
from commun.web.guard import Guard

Translate = Callable[[str], str]

# An import, a search, a vault's lock compute in threads: a page waits no longer than this for its turn, several times
# over, where Python's 5 ms are felt (docs/performance.md). It costs 3 % of the processor under full load.
TURN_S: Final = 0.001


def run_server(settings: Settings, translate: Translate) -> None:
    """``commun serve``."""
    from commun.server import serve_until_stopped

    configure_logs(settings)
    sys.setswitchinterval(TURN_S)
    app = create_app(settings)

    async def announce(url: str) -> None:
        first: FirstCharter | None = app.state.first_charter
        if first is not None:
            print(f"\n{founding_note(first, translate)}\n", flush=True)  # noqa: T201
        try:
            token = await app.state.services.accounts.make_link()
        except Exception as error:
            raise told(error, settings.home) from error
        print(translate("Commun is running. Open this link (it works once):"), flush=True)  # noqa: T201
        print(f"\n    {url}/sign-in?token={token}\n", flush=True)  # noqa: T201

    serve_until_stopped(app, settings, announce)


def run_chat(
    settings: Settings,
    translate: Translate,
    *,
    seed: int | None,
    bars: Callable[[], AbstractContextManager[Progress]],
    persona: str | None = None,
    language: str | None = None,
    proofs: Path | None = None,
) -> None:
    """``commun chat``, under the charter and with receipts like every answer. ``bars`` shows what a first start has to
    do. ``proofs``: a folder for the answers' bundles.
    """
    from commun.terminal import Proofs, converse, note

    configure_logs(settings.model_copy(update={"log_level": "warning"}))

    async def run() -> None:
        database = Database(settings.home / DATABASE_FILE)
        database.open()
        receipts, entries = Receipts(database), LedgerEntries(database)
        recorder = BriefRecorder(
            home=settings.home, public_url=settings.public_url, entries=entries, receipts=receipts, now=utc_now
        )
        charter = CharterInForce(Published(settings.home), admit=recorder.admit)
        first = await found_where_none_is(charter, settings.home)
        if first is not None:
            note(founding_note(first, translate) + "\n")
        wishes = Question(seed=seed, persona=persona, language=language)
        check_wishes(wishes, charter.get().charter, stored=False)
        note(translate("Loading the model…"))
        with bars() as progress:
            engines = build_engines(settings, ModelLibrary(settings.home), progress=progress)
            follow_charter(charter, engines)
            engines.on_loaded(partial(record_loaded, recorder))
            await engines.load(charter.get().charter)
        assistant = build_assistant(settings, charter, engines, recorder, receipts)
        bundles = Bundles(recorder, entries, receipts, charter_folder=settings.home / CHARTER_FOLDER)
        watching = asyncio.create_task(charter.watch())
        try:
            await converse(
                assistant, translate, wishes, proofs=None if proofs is None else Proofs(proofs, bundles.fresh)
            )
        finally:
            watching.cancel()
            await assistant.close()
            await engines.close()
            await recorder.close()
            database.close()

    asyncio.run(run())


async def make_api_key(
    settings: Settings, name: str, *, daily_tokens: int | None = None, at_once: int | None = None
) -> str:
    """``commun user key``: also while a server runs on the same data folder."""
    async with open_accounts(settings) as accounts:
        founder = await accounts.ensure_founder()
        return await accounts.make_api_key(founder, name, daily_tokens=daily_tokens, at_once=at_once)


async def make_link(settings: Settings) -> str:
    """``commun user link``."""
    from commun.server import base_url

    async with open_accounts(settings) as accounts:
        token = await accounts.make_link()
    return f"{base_url(settings, settings.port)}/sign-in?token={token}"


async def make_invitation(settings: Settings, *, administrator: bool, days: int, note: str) -> str:
    """``commun user invite``: an invitation's link, also while a server runs on the same data folder."""
    from commun.server import base_url

    role = Role.ADMINISTRATOR if administrator else Role.MEMBER
    async with open_accounts(settings) as accounts:
        token = await Invitations(accounts, Hasher()).make(role, days=days, note=note)
    return f"{base_url(settings, settings.port)}/invitation/{token}"


@contextlib.asynccontextmanager
async def open_accounts(settings: Settings) -> AsyncIterator[Accounts]:
    configure_logs(settings.model_copy(update={"log_level": "warning"}))  # standard output is the command's alone
    database = Database(settings.home / DATABASE_FILE)
    database.open()
    try:
        yield Accounts(database, session_days=settings.session_days)
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class OpenSamples:
    """``name``: of this Commun's ledger, by which an entry says who audited. ``expect``: after an entry was written."""

    sampled: Sampled
    name: str
    expect: Callable[[], None]


@contextlib.asynccontextmanager
async def open_samples(settings: Settings) -> AsyncIterator[OpenSamples]:
    """What is kept for audits, also while a server runs on the same data folder: it records what waits then."""
    configure_logs(settings.model_copy(update={"log_level": "warning"}))
    database, keys = Database(settings.home / DATABASE_FILE), settings.home / KEYS_FOLDER
    database.open()
    receipts, entries = Receipts(database), LedgerEntries(database)
    recorder = BriefRecorder(
        home=settings.home, public_url=settings.public_url, entries=entries, receipts=receipts, now=utc_now
    )
    try:
        key = await asyncio.to_thread(open_audit_key, keys / AUDIT_KEY_FILE)
        ledger = await asyncio.to_thread(find_key, keys / LEDGER_KEY_FILE)
        bundles = Bundles(recorder, entries, receipts, charter_folder=settings.home / CHARTER_FOLDER)
        samples = AuditSamples(database, lambda: key.public)
        yield OpenSamples(Sampled(samples, bundles, key), "" if ledger is None else ledger.name, recorder.expect)
    finally:
        await recorder.close()
        database.close()


def create_witness_app(settings: Settings) -> Starlette:
    """A witness alone: no model, no charter, no database."""

    def refuse(_scope: Scope, error: CommunError) -> ASGIApp:
        return PlainTextResponse(f"{error.text()}\n", error.status)

    rules = replace(guard_rules(settings), api_prefixes=("/",))
    return Starlette(
        routes=witness_routes(build_witness(settings)),
        middleware=[Middleware(AccessLog, metrics=Metrics()), Middleware(Guard, rules=rules, on_error=refuse)],
    )


def run_witness(settings: Settings, translate: Translate) -> None:
    """``commun witness serve``."""
    from commun.server import serve_until_stopped

    configure_logs(settings)

    async def announce(url: str) -> None:
        print(translate("The witness is running. Ledgers ask it at:"), flush=True)  # noqa: T201
        print(f"\n    {url}{PREFIX}\n", flush=True)  # noqa: T201

    serve_until_stopped(create_witness_app(settings), settings, announce)
