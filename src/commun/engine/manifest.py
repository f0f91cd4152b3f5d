"""A model's manifest: what it is and the exact bytes that it is made of, as TOML.

Its digest is over what decides the answers (format, family, context length, each file's path, size and SHA-256; of a
remote model, where it is) and over nothing else: the same model has the same digest wherever it came from and
whatever it is called.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, cast, get_args

from commun.errors import N_, CorruptModel

MANIFEST_FILE = "manifest.toml"
CHUNK = 4 << 20
MAX_MANIFEST_BYTES = 1 << 20

# What a long step is doing; a person reads it.
CHECKING = N_("Checking the files")
DOWNLOADING = N_("Downloading")
EXTRACTING = N_("Unpacking")
BUILDING = N_("Building the graph")
CONVERTING = N_("Converting the weights")
SAVING = N_("Saving")
COMPARING = N_("Comparing with the original")

Format = Literal["gguf-converted", "openvino", "remote"]
T = TypeVar("T")


class Progress(Protocol):
    """``stage``: what is being done, one of the sentences above (a message id); ``done`` of ``total``, in bytes or
    steps (total 0: unknown).
    """

    def __call__(self, stage: str, done: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class FileEntry:
    """``path`` is relative, with slashes; ``size`` in bytes; ``sha256`` in hex."""

    path: str
    size: int
    sha256: str


def identity(digest: str, url: str, remote_model: str) -> str:
    """What tells one model from another, whatever they are called: its digest, or where a remote one answers."""
    return f"{url} {remote_model}" if url else digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """``fidelity``: figures of the check at conversion (see fidelity.py), or why there are none. ``url`` and
    ``remote_model``: of a remote model, which has no files here: where it is answered and what it is called there.
    """

    id: str
    name: str
    family: str
    context_length: int
    licence: str
    source: str
    files: tuple[FileEntry, ...]
    format: Format
    fidelity: Mapping[str, float | str] = field(default_factory=dict)
    url: str = ""
    remote_model: str = ""

    @property
    def digest(self) -> str:
        """SHA-256, hex."""
        content: dict[str, Any] = {
            "format": self.format,
            "family": self.family,
            "context_length": self.context_length,
            "files": [[entry.path, entry.size, entry.sha256] for entry in sorted(self.files, key=_path_of)],
        }
        if self.format == "remote":
            content |= {"url": self.url, "remote_model": self.remote_model}
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def identity(self) -> str:
        return identity(self.digest, self.url, self.remote_model)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)

    def write(self, folder: Path, file: str = MANIFEST_FILE) -> None:
        where = ("url", "remote_model") if self.format == "remote" else ()
        lines = [
            "# What this model is. Written by “commun model add”; the digest is checked whenever it is read.",
            *(f"{key} = {_toml(getattr(self, key))}" for key in ("id", "name", "family", "context_length")),
            *(f"{key} = {_toml(getattr(self, key))}" for key in ("licence", "source", "format", *where, "digest")),
            "",
            "[fidelity]",
            *(f"{key} = {_toml(value)}" for key, value in self.fidelity.items()),
        ]
        for entry in self.files:
            lines += ["", "[[files]]", f"path = {_toml(entry.path)}", f"size = {entry.size}"]
            lines += [f"sha256 = {_toml(entry.sha256)}"]
        (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _path_of(entry: FileEntry) -> str:
    return entry.path


def _toml(value: float | str) -> str:
    """Numbers and strings as TOML; JSON's strings are TOML's basic strings, but for one character."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def read_manifest(folder: Path, file: str = MANIFEST_FILE) -> Manifest:
    """Raises CorruptModel for anything but a whole manifest whose digest agrees."""
    name = folder.name
    try:
        raw = (folder / file).read_bytes()[:MAX_MANIFEST_BYTES]
        data = tomllib.loads(raw.decode())
        manifest = Manifest(
            id=_typed(data, "id", str),
            name=_typed(data, "name", str),
            family=_typed(data, "family", str),
            context_length=_typed(data, "context_length", int),
            licence=_typed(data, "licence", str),
            source=_typed(data, "source", str),
            format=_format(_typed(data, "format", str)),
            fidelity=_typed(data, "fidelity", dict),
            files=_files(data),
            url=_typed({"url": "", **data}, "url", str),
            remote_model=_typed({"remote_model": "", **data}, "remote_model", str),
        )
        if data.get("digest") != manifest.digest:
            raise CorruptModel(model=name, reason="its manifest was changed")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise CorruptModel(model=name, reason="its manifest cannot be read") from error
    return manifest


def _typed(data: Mapping[str, Any], key: str, kind: type[T]) -> T:
    value = data[key]
    if not isinstance(value, kind):
        raise TypeError(key)
    return value


def _format(text: str) -> Format:
    if text not in get_args(Format):
        raise TypeError(text)
    return cast("Format", text)


def _files(data: Mapping[str, Any]) -> tuple[FileEntry, ...]:
    """A remote model has none, every other has some."""
    if data["format"] == "remote":
        if "files" in data:
            raise TypeError("files")
        return ()
    files = tuple(_entry(item) for item in _typed(data, "files", list))
    if not files:
        raise TypeError("files")
    return files


def _entry(item: Any) -> FileEntry:
    path = _typed(item, "path", str)
    if not is_inside(path):
        raise TypeError(path)
    return FileEntry(path, _typed(item, "size", int), _typed(item, "sha256", str))


def is_inside(path: str) -> bool:
    """Whether a relative path with slashes stays in its folder, on every system."""
    parts = path.split("/")
    return all(part not in ("", ".", "..") and not set(part) & set('\\:\0*?"<>|') for part in parts)


def sha256_of(path: Path, report: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 of a file, hex; ``report`` is called with the bytes done so far."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
            done += len(piece)
            report(done)
    return digest.hexdigest()


def describe_files(folder: Path, paths: Sequence[str]) -> tuple[FileEntry, ...]:
    return tuple(FileEntry(path, (folder / path).stat().st_size, sha256_of(folder / path)) for path in sorted(paths))


def check_files(folder: Path, files: Sequence[FileEntry], *, model: str, progress: Progress) -> None:
    """Every byte of every file. Raises CorruptModel naming the first file that differs."""
    total = sum(entry.size for entry in files)
    before = 0
    for entry in files:
        path = folder / entry.path
        if not path.is_file() or path.stat().st_size != entry.size:
            raise CorruptModel(model=model, reason=f"{entry.path} is missing or has another size")

        def report(done: int, start: int = before) -> None:
            progress(CHECKING, start + done, total)

        if sha256_of(path, report) != entry.sha256:
            raise CorruptModel(model=model, reason=f"the SHA-256 of {entry.path} is wrong")
        before += entry.size
