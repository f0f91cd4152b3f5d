"""Shared fixtures. Every test gets its own data folder and no COMMUN_* variable from outside."""

import os
from pathlib import Path

import pytest


@pytest.fixture
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
    """A models folder with the real default model, converted once for the whole run. Link it with ``with_models``."""
    from commun.engine.weights import ModelLibrary

    home = tmp_path_factory.mktemp("models")
    ModelLibrary(home).prepare("default", progress=lambda *_: None)
    return home / "models"


def with_models(home: Path, models: Path) -> Path:
    """A data folder that shares the converted model, as a second start finds it."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "models").symlink_to(models, target_is_directory=True)
    return home
