"""An OpenVINO model as its publisher made it: a folder that the engine loads as it is."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commun.engine.conversion import GRAPH_FILES, TOKENIZER_FILES
from commun.errors import CorruptModel, UnsupportedModel

CONFIG = "config.json"
REQUIRED = (*GRAPH_FILES, *TOKENIZER_FILES, CONFIG)
SUFFIXES = (".xml", ".bin", ".json", ".jinja", ".txt")
MAX_CONFIG_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Description:
    family: str
    context_length: int


def published_files(folder: Path) -> list[str]:
    """The names of the files that belong to the model; whatever else lies in the folder is left there."""
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.name.endswith(SUFFIXES))


def describe_folder(folder: Path) -> Description:
    """Raises UnsupportedModel, CorruptModel."""
    for name in REQUIRED:
        if not (folder / name).is_file():
            raise UnsupportedModel(model=folder.name, reason=f"{name} is missing in the folder")
    try:
        raw = (folder / CONFIG).read_bytes()
        config: dict[str, Any] = json.loads(raw[:MAX_CONFIG_BYTES])
        family, context_length = config["model_type"], config["max_position_embeddings"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptModel(model=folder.name, reason=f"{CONFIG} does not say what model it is") from error
    if not isinstance(family, str) or not isinstance(context_length, int) or context_length < 1:
        raise CorruptModel(model=folder.name, reason=f"{CONFIG} makes no sense")
    _check_readable(folder)
    return Description(family, context_length)


def _check_readable(folder: Path) -> None:
    """The graph is read once, to say now what would else be said at the next start."""
    import openvino as ov

    try:
        model = ov.Core().read_model(folder / GRAPH_FILES[0])
        inputs = {name for port in model.inputs for name in port.get_names()}
    except RuntimeError as error:
        raise CorruptModel(model=folder.name, reason="OpenVINO cannot read its graph") from error
    if "input_ids" not in inputs:
        raise UnsupportedModel(model=folder.name, reason="it is not a language model")
