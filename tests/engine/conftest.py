"""The default model, and an engine of the exact profile that a module's tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from commun.drafting.models import default_model_clause
from commun.engine.openvino import OpenVINOEngine
from commun.engine.weights import ModelLibrary, ReadyModel


@pytest.fixture(scope="session")
def model(models: Path) -> ReadyModel:
    return ModelLibrary(models.parent).prepare(default_model_clause(), progress=lambda *_: None)


@pytest.fixture(scope="module")
async def engine(model: ReadyModel) -> AsyncIterator[OpenVINOEngine]:
    engine = OpenVINOEngine(prepare=lambda: model, profile="exact", threads=2)
    await engine.start()
    yield engine
    await engine.close()
