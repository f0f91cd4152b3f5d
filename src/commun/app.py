"""The composition root: the only place that builds objects, and the only one that knows all rooms.

``create_app`` is the server; ``run_server``, ``run_chat``, ``make_api_key`` and ``make_link`` are what the command
line calls.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from commun.assistant.admission import Admission
from commun.assistant.energy import EnergyMeter
from commun.assistant.rules import Rules
from commun.assistant.turn import Assistant
from commun.config import Settings
from commun.engine.base import Engine
from commun.engine.weights import ModelLibrary
from commun.errors import CommunError
from commun.store.accounts import Accounts
from commun.store.conversations import Conversations
from commun.store.database import Database

if TYPE_CHECKING:
    from fastapi import FastAPI

DATABASE_FILE = "commun.db"
PURGE_EVERY_S = 600
UNDO_S = 3600  # a deleted conversation can be restored for this long, then it is erased

log = structlog.get_logger()
Translate = Callable[[str], str]


def build_engine(settings: Settings, library: ModelLibrary, model: str | None = None) -> Engine:
    """The engine that the settings name, not yet started."""
    if settings.engine == "remote":
        from commun.engine.remote import RemoteEngine

        return RemoteEngine(
            url=settings.remote_url, model=settings.remote_model, key=settings.remote_key.get_secret_value()
        )
    from commun.engine.openvino import OpenVINOEngine

    model_id = model or library.current()
    return OpenVINOEngine(
        prepare=lambda: (library.prepare(model_id, progress=log_progress), library.get(model_id)),
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


def log_progress(stage: str, done: int, total: int) -> None:
    """Long steps at start-up, as log lines at each tenth."""
    if total and done and (done * 10 // total) != ((done - 1) * 10 // total):
        log.info("model", stage=stage, percent=done * 100 // total)
