"""A model on this machine as a clause of the charter, and as its file in ``models/``."""

import re
from collections.abc import Mapping
from dataclasses import astuple
from operator import attrgetter
from pathlib import PurePosixPath
from typing import Final

import tomlkit

from commun.charter.clauses import Model, ModelFile
from commun.charter.source_text import HIDDEN_CHARACTERS
from commun.engine import default_model
from commun.engine.manifest import Manifest

FOLDER: Final = PurePosixPath("models")
HUGGING_FACE: Final = re.compile(r"huggingface:([A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)(?:@.*)?")
UNKNOWN: Final = "unknown"
MAX_NAME: Final = 200  # characters, as charter.source_schema allows them
MAX_SOURCE: Final = 2_000
CARD: Final = "https://huggingface.co/{}"  # its publisher says there what it was trained on


def model_path(model_id: str) -> str:
    """Its file's name in the charter's folder."""
    return f"{FOLDER / model_id}.toml"


def adopted_model(manifest: Manifest, converted: Mapping[str, str]) -> Model:
    """``converted``: by engine version, the digest of what that version's conversion loads (of ``converted.toml``).

    Names that its publisher wrote are tidied into one line, as a charter wants them; what is digested is not touched.
    """
    is_remote = manifest.format == "remote"
    return Model(
        id=manifest.id,
        name=_one_line(manifest.name, MAX_NAME) or manifest.id,
        family=manifest.family,
        context_length=manifest.context_length,
        format=manifest.format,
        licence=_one_line(manifest.licence, MAX_NAME) or UNKNOWN,
        source=_one_line(manifest.source, MAX_SOURCE) or UNKNOWN,
        training_summary=training_summary(manifest.source),
        digest="" if is_remote else manifest.digest,
        files=tuple(sorted((ModelFile(*astuple(file)) for file in manifest.files), key=attrgetter("path"))),
        converted=tuple(sorted(converted.items())),
        url=manifest.url,
        remote_model=manifest.remote_model,
    )


def _one_line(text: str, most: int) -> str:
    visible = "".join(c if c.isprintable() and c not in HIDDEN_CHARACTERS else " " for c in text)
    return " ".join(visible.split())[:most].strip()


def default_model_clause() -> Model:
    """The embedded default model, which need not be on the disk yet."""
    return adopted_model(default_model.manifest(), default_model.CONVERTED)


def training_summary(source: str) -> str:
    """A link to the model's public card where its source has one, else ""."""
    if source == default_model.SOURCE:
        return default_model.TRAINING_SUMMARY
    card = HUGGING_FACE.fullmatch(source)
    return CARD.format(card[1]) if card else ""


def is_published(manifest: Manifest) -> bool:
    """Whether what its clause would say of it is public already: of a file or a server of one's own it is not."""
    return HUGGING_FACE.match(manifest.source) is not None


def model_file(model: Model) -> bytes:
    """The clause as TOML; ``charter.source`` reads the same clause back."""
    document = tomlkit.document()
    document.add(tomlkit.comment(_explanation(model)))
    document.add(tomlkit.nl())
    for key in ("id", "name", "family", "context_length", "format", "licence", "source", "training_summary", "digest"):
        document.add(key, getattr(model, key))
    if model.format == "remote":
        document.add("url", model.url)
        document.add("remote_model", model.remote_model)
    if model.converted:
        versions = tomlkit.table()
        for version, digest in model.converted:
            versions.add(version, digest)
        document.add("converted", versions)
    if model.files:
        entries = tomlkit.aot()
        for file in model.files:
            entry = tomlkit.table()
            for key in ("path", "size", "sha256"):
                entry.add(key, getattr(file, key))
            entries.append(entry)
        document.add("files", entries)
    return document.as_string().encode()


def _explanation(model: Model) -> str:
    if model.format == "remote":
        return "An adopted model on another server: its weights cannot be checked from here."
    return "An adopted model: only these files, byte for byte, may answer. “digest” is over them and what they are."
