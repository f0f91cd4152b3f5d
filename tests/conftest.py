"""Shared fixtures. Every test gets its own data folder and no COMMUN_* variable from outside."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("COMMUN_") and name != "COMMUN_VECTORS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("COMMUN_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the real default model, converted once for the whole run. Link it with
    ``running.with_models``."""
    from commun.engine.weights import ModelLibrary

    home = tmp_path_factory.mktemp("models")
    ModelLibrary(home).add("default", progress=lambda *_: None)
    return home / "models"
