"""One adopted model, from ``models/<id>.toml``.

Rules:

- the file is called like the model's id;
- a model with files is exactly these files: their digest is recomputed by the same rule as the engine's manifest
  (``engine/manifest.py``; the trust ring imports nothing of the engine, and a test holds the two together);
- a path stays inside the model's folder on every system, and no two differ by capitals alone;
- a remote model has an address without a password and the model's name there, and neither files nor a digest: what
  another server runs cannot be checked.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from ipaddress import IPv6Address
from pathlib import PurePosixPath
from typing import Any, Final

from commun.charter.clauses import Model, ModelFile
from commun.charter.source_mistakes import (
    BAD_ADDRESS,
    ID_NOT_FILE_NAME,
    MISSING_KEY,
    NO_MODEL_FILES,
    NOT_REMOTE,
    ONLY_CONVERTED,
    ONLY_REMOTE,
    TWICE,
    UNSAFE_PATH,
    WRONG_DIGEST,
    Mistakes,
)
from commun.charter.source_schema import MODEL, MODEL_KEYS
from commun.charter.source_values import Document, read_document

_EXAMPLES: Final = {key.path: key.example for key in MODEL_KEYS}
_ADDRESS: Final = re.compile(
    r"(?i:https?)://(?:[^/?#:\[\]]+|\[(?P<v6>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]*))?(?:[/?#].*)?"
)
_MAX_PORT: Final = 65_535
_NOT_IN_NAMES: Final = frozenset('\\:*?"<>|')  # of Windows, which also drops a dot or a space at the end


def read_model(file: str, text: str, mistakes: Mistakes) -> Model | None:
    """None where there are mistakes."""
    document = read_document(file, text, MODEL, mistakes)
    if document is None:
        return None
    own_id = PurePosixPath(file).stem
    if document.find("id") not in (None, own_id):
        document.add(ID_NOT_FILE_NAME, ("id",), example=f'id = "{own_id}"')
    if document.find("format") == "remote":
        _check_remote(document)
    elif document.find("format") is not None:
        _check_local(document)
    return None if mistakes else _model(document.values)


def digest_of(kind: str, family: str, context_length: int, files: Iterable[ModelFile]) -> str:
    """SHA-256, hex, over what decides the answers: the engine's rule."""
    ordered = sorted(files, key=lambda file: file.path)
    content = {
        "format": kind,
        "family": family,
        "context_length": context_length,
        "files": [[file.path, file.size, file.sha256] for file in ordered],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def is_safe_path(path: str) -> bool:
    """Whether a relative path with slashes stays in its folder, on every system."""
    return all(
        part.strip(". ") and part == part.rstrip(". ") and part.isprintable() and _NOT_IN_NAMES.isdisjoint(part)
        for part in path.split("/")
    )


def _check_local(document: Document) -> None:
    for name in ("url", "remote_model"):
        if document.find(name):
            document.add(ONLY_REMOTE, (name,), key=name)
    if document.find("format") != "gguf-converted" and document.find("converted"):
        document.add(ONLY_CONVERTED, ("converted",), key="converted")
    entries = document.find("files")
    if not entries:
        document.add(NO_MODEL_FILES, ("files",))
        return
    if _check_paths(document, entries) and all(len(entry) == len(ModelFile.__slots__) for entry in entries):
        _check_digest(document, [ModelFile(**entry) for entry in entries])


def _check_paths(document: Document, entries: tuple[dict[str, Any], ...]) -> bool:
    seen: set[str] = set()
    is_right = True
    for number, path in enumerate(entry.get("path") for entry in entries):
        here = ("files", number, "path")
        if path is not None and not is_safe_path(path):
            document.add(UNSAFE_PATH, here)
            is_right = False
        elif path is not None and path.casefold() in seen:
            document.add(TWICE, here, value=path)
            is_right = False
        seen.add((path or "").casefold())
    return is_right


def _check_digest(document: Document, files: list[ModelFile]) -> None:
    family, context_length = document.find("family"), document.find("context_length")
    if family is None or context_length is None:
        return
    right = digest_of(document.find("format"), family, context_length, files)
    digest = document.find("digest")
    if not digest and ("digest",) not in document.positions.lines:
        document.add(MISSING_KEY, ("digest",), key="digest", example=f'digest = "{right}"')
    elif digest is not None and digest != right:
        document.add(WRONG_DIGEST, ("digest",), digest=right)


def _check_remote(document: Document) -> None:
    for name in ("digest", "files", "converted"):
        if document.find(name):
            document.add(NOT_REMOTE, (name,), key=name)
    for name in ("url", "remote_model"):
        if document.find(name) == "" or (document.find(name) is None and (name,) not in document.positions.lines):
            document.add(MISSING_KEY, (name,), key=name, example=_EXAMPLES[name])
    url = document.find("url")
    if url and not is_address(url):
        document.add(BAD_ADDRESS, ("url",), example=_EXAMPLES["url"])


def is_address(url: str) -> bool:
    """An http(s) address with a host and without credentials, in visible ASCII. Of a form of our own: which hosts
    ``urlsplit`` takes changes with Python's version.
    """
    if not (url.isascii() and url.isprintable()) or any(char in url for char in ' "<>\\^`{|}@'):
        return False
    found = _ADDRESS.fullmatch(url)
    if found is None or (found["port"] and not 1 <= int(found["port"]) <= _MAX_PORT):
        return False
    return found["v6"] is None or _is_v6(found["v6"])


def _is_v6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _model(values: dict[str, Any]) -> Model:
    files = sorted(values.get("files", ()), key=lambda entry: str(entry["path"]))
    return Model(
        id=values["id"],
        name=values["name"],
        family=values["family"],
        context_length=values["context_length"],
        format=values["format"],
        licence=values["licence"],
        source=values["source"],
        training_summary=values.get("training_summary", ""),
        digest=values.get("digest", ""),
        files=tuple(ModelFile(**entry) for entry in files),
        converted=values.get("converted", ()),
        url=values.get("url", ""),
        remote_model=values.get("remote_model", ""),
    )
