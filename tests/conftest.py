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
