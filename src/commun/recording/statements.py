"""What a running Commun says of itself in its ledger, as statements: versions, models, the
key that signs receipts, what was erased.

A name or a version that comes from outside is cut to what a statement can hold: nobody's words fit in there.
"""

import importlib.metadata
import platform
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Protocol

from commun import __version__
from commun.ledger.entries import (
    MAX_NAME,
    ModelStatement,
    ReceiptKeyStatement,
    RetentionStatement,
    SoftwareStatement,
    Statement,
    time_text,
)

PACKAGES: Final = ("openvino", "openvino-genai")  # what computes answers, where it is installed
UNKNOWN: Final = "unknown"
BUILD: Final = "openvino"  # among an engine's notes: the build that computes
_OUTSIDE: Final = re.compile(r"[^A-Za-z0-9._+:/@()-]")
_FIRST: Final = re.compile(r"[A-Za-z0-9]")


class Loaded(Protocol):
    """What an engine says of itself (``engine.base.EngineInfo``)."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def profile(self) -> str: ...

    @property
    def model_digest(self) -> str: ...

    @property
    def notes(self) -> dict[str, str]: ...


def software_statement(*, now: datetime) -> SoftwareStatement:
    """A server has started. Reads what is installed: for a thread."""
    versions = {"commun": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return SoftwareStatement({name: as_name(version) for name, version in versions.items()}, time_text(now))


def model_statement(loaded: Loaded, *, now: datetime) -> ModelStatement | None:
    """A model was loaded. None for a remote one: its files are not here, so nothing can be said of them; which server
    is asked for which model is a clause of the edition, and each receipt names it.
    """
    if not loaded.model_digest:
        return None
    return ModelStatement(
        model=loaded.model_digest,
        engine=as_name(loaded.name),
        version=as_name(loaded.version),
        build=as_name(loaded.notes.get(BUILD, "")),
        profile=as_name(loaded.profile),
        time=time_text(now),
    )


def retention_statement(*, conversations: int, days: int, now: datetime, files: int = 0) -> RetentionStatement:
    """So many were erased, because the charter lets nobody keep them longer than ``days``."""
    return RetentionStatement(conversations=conversations, files=files, days=days, time=time_text(now))


def key_statements(before: Iterable[Statement], key: str, *, now: datetime) -> list[ReceiptKeyStatement]:
    """What the ledger must be told where ``key`` signs receipts from now on. ``before``: what it was told of keys."""
    active = active_keys(before)
    time = time_text(now)
    told = [ReceiptKeyStatement(old, "retired", time) for old in active if old != key]
    return told if key in active else [*told, ReceiptKeyStatement(key, "added", time)]


def active_keys(told: Iterable[Statement]) -> list[str]:
    """Those that were added and not retired since, oldest first. ``told``: in the ledger's order."""
    active: dict[str, None] = {}
    for statement in told:
        if isinstance(statement, ReceiptKeyStatement) and statement.event == "added":
            active[statement.key] = None
        elif isinstance(statement, ReceiptKeyStatement):
            active.pop(statement.key, None)
    return list(active)


def as_name(text: str) -> str:
    kept = _OUTSIDE.sub("-", text)[:MAX_NAME]
    first = _FIRST.search(kept)
    return kept[first.start() :] if first else UNKNOWN
