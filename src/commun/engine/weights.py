"""The models on this machine: added, checked, converted once, and made ready to load.

``home/models/<id>/``::

    manifest.toml                      what it is (manifest.py)
    original/                          the publisher's files, byte for byte
    ir-<engine version>-<digest>/      what the engine loads, made from them (GGUF only)
        converted.toml                 its own files' sizes and SHA-256, and the fidelity figures

- a model is built in a folder beside (``.new-<process>-…``) and renamed into place: it is there whole or not at all;
  what a killed process left is removed by the next that adds one;
- a conversion is keyed by the model's digest and the engine's version: a new engine converts again from ``original``;
- before each load every byte of what is loaded is hashed where that is at most FULL_CHECK_BYTES (98 MB take 0.1 s);
  a larger file is hashed again only when its size, time or inode is not what it was after its last full check.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from commun.engine import default_model
from commun.engine.conversion import GRAPH, convert
from commun.engine.gguf import Gguf, read_gguf
from commun.engine.manifest import (
    MANIFEST_FILE,
    FileEntry,
    Manifest,
    Progress,
    check_files,
    describe_files,
    read_manifest,
)
from commun.errors import CorruptModel, InvalidParameter, ModelError, ModelNotFound, UnsupportedModel

MODELS_FOLDER = "models"
ORIGINAL = "original"
CURRENT_FILE = "current"
CONVERTED_FILE = "converted.toml"
STAGING = ".new-"
ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
FULL_CHECK_BYTES = 1 << 30
UNKNOWN_LICENCE = "unknown"


class ModelLibrary:
    """One folder of models. Many processes may read it while one adds."""

    def __init__(self, home: Path) -> None:
        self._root = home / MODELS_FOLDER

    def list(self) -> list[Manifest]:
        """All whole models, by id."""
        folders = sorted(self._root.glob(f"[!.]*/{MANIFEST_FILE}")) if self._root.is_dir() else []
        return [read_manifest(path.parent) for path in folders]

    def get(self, model_id: str) -> Manifest:
        """Raises ModelNotFound, CorruptModel."""
        if not ID_PATTERN.fullmatch(model_id) or not (self._root / model_id / MANIFEST_FILE).is_file():
            raise ModelNotFound(model=model_id)
        return read_manifest(self._root / model_id)

    def current(self) -> str:
        """The model that is served."""
        try:
            chosen = (self._root / CURRENT_FILE).read_text(encoding="utf-8").strip()
        except OSError:
            return default_model.DEFAULT_ID
        return chosen if ID_PATTERN.fullmatch(chosen) else default_model.DEFAULT_ID

    def use(self, model_id: str) -> None:
        """Chooses what is served from the next start. Raises ModelNotFound."""
        if model_id != default_model.DEFAULT_ID:
            self.get(model_id)
        self._root.mkdir(parents=True, exist_ok=True)
        temporary = self._root / f"{STAGING}{os.getpid()}-{CURRENT_FILE}"
        temporary.write_text(model_id + "\n", encoding="utf-8")
        temporary.replace(self._root / CURRENT_FILE)

    def remove(self, model_id: str) -> None:
        """Raises ModelNotFound."""
        self.get(model_id)
        if self.current() == model_id:
            self.use(default_model.DEFAULT_ID)
        with self._staging() as staging:  # renamed first: never half a model under its name
            (self._root / model_id).rename(staging / "removed")

    def add(self, source: str, *, name: str | None = None, progress: Progress) -> Manifest:
        """``source``: "default", a GGUF file, a folder with an OpenVINO model, or OWNER/NAME[:FILE] on Hugging Face.

        Raises ModelError (which kind, and the cure, in its text); then nothing is left behind.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        if source == default_model.DEFAULT_ID:
            return self._add_default(progress)
        path = Path(source).expanduser()
        if not path.is_file():
            raise UnsupportedModel(model=source, reason="there is no such file")
        gguf = read_gguf(path)
        manifest = Manifest(
            id=self._free_id(name or path.stem),
            name=gguf.text("general.name", path.stem),
            family=gguf.text("general.architecture"),
            context_length=_context_length(gguf),
            licence=gguf.text("general.license", UNKNOWN_LICENCE),
            source=f"file:{path.name}",
            files=(),
            format="gguf-converted",
        )
        return self._install_gguf(manifest, path, progress)

    def prepare(self, model_id: str, *, progress: Progress) -> Path:
        """A folder that the engine can load, every file checked. Adds "default" where it is missing."""
        try:
            manifest = self.get(model_id)
        except ModelNotFound:
            if model_id != default_model.DEFAULT_ID:
                raise
            manifest = self.add(model_id, progress=progress)
        folder = self._root / model_id
        if manifest.format == "openvino":
            check_files(folder / ORIGINAL, manifest.files, model=model_id, progress=progress)
            return folder / ORIGINAL
        ready = folder / _converted_name(manifest)
        if not (ready / CONVERTED_FILE).is_file():
            check_files(folder / ORIGINAL, manifest.files, model=model_id, progress=progress)
            with self._staging() as staging:
                self._convert(manifest, folder / ORIGINAL / manifest.files[0].path, staging, progress)
                _put(staging / ready.name, ready)
        converted = read_manifest(ready, CONVERTED_FILE)
        check_files(ready, converted.files, model=model_id, progress=progress)
        return ready

    def _add_default(self, progress: Progress) -> Manifest:
        try:
            return self.get(default_model.DEFAULT_ID)
        except (ModelNotFound, CorruptModel):
            pass
        with self._staging() as staging:
            path = default_model.obtain(staging, progress)
            gguf = read_gguf(path)
            manifest = Manifest(
                id=default_model.DEFAULT_ID,
                name=default_model.NAME,
                family=gguf.text("general.architecture"),
                context_length=_context_length(gguf),
                licence=default_model.LICENCE,
                source=default_model.SOURCE,
                files=(),
                format="gguf-converted",
            )
            return self._install_gguf(manifest, path, progress)

    def _install_gguf(self, manifest: Manifest, path: Path, progress: Progress) -> Manifest:
        with self._staging() as staging:
            folder = staging / "model"
            (folder / ORIGINAL).mkdir(parents=True)
            _take(path, folder / ORIGINAL / path.name)
            manifest = replace(manifest, files=describe_files(folder / ORIGINAL, [path.name]))
            manifest = self._convert(manifest, folder / ORIGINAL / path.name, folder, progress)
            manifest.write(folder)
            _put(folder, self._root / manifest.id)
        return manifest

    def _convert(self, manifest: Manifest, source: Path, folder: Path, progress: Progress) -> Manifest:
        """Makes ``folder/ir-…`` from ``source``. Returns the manifest with the figures of its check."""
        target = folder / _converted_name(manifest)
        target.mkdir()
        convert(source, target, progress)
        files = describe_files(target, [path.name for path in target.iterdir()])
        replace(manifest, files=files).write(target, CONVERTED_FILE)
        return manifest

    def _free_id(self, wish: str) -> str:
        """An id from a name. Raises InvalidParameter, and ModelError where it is taken."""
        model_id = re.sub(r"[^a-z0-9._-]+", "-", wish.lower()).strip("-._")[:64]
        if not ID_PATTERN.fullmatch(model_id) or model_id in (default_model.DEFAULT_ID, CURRENT_FILE):
            raise InvalidParameter(parameter="name", reason="use letters, digits, dots and dashes")
        if (self._root / model_id).exists():
            raise ModelError(model=model_id, reason="another model has this name")
        return model_id

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        """A folder beside the models, for this process; gone at the end."""
        self._root.mkdir(parents=True, exist_ok=True)
        for left in self._root.glob(f"{STAGING}*"):
            if not _is_alive(left.name.removeprefix(STAGING).partition("-")[0]):
                shutil.rmtree(left, ignore_errors=True)
        folder = self._root / f"{STAGING}{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _converted_name(manifest: Manifest) -> str:
    import openvino_genai

    version = re.sub(r"[^0-9A-Za-z.]+", "-", openvino_genai.__version__)
    return f"ir-{version}-{manifest.digest[:16]}"


def _context_length(gguf: Gguf) -> int:
    return int(gguf.number(f"{gguf.text('general.architecture')}.context_length"))


def _take(path: Path, target: Path) -> None:
    """A hard link where the file system allows, else a copy: the publisher's file is never written to."""
    try:
        target.hardlink_to(path.resolve())
    except OSError:
        shutil.copyfile(path, target)


def _put(folder: Path, place: Path) -> None:
    """The commit point: ``folder`` becomes ``place`` in one step."""
    if place.exists():  # another process was faster, or what was there is damaged
        shutil.rmtree(place)
    folder.rename(place)


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except OSError:
        return True  # it is there, and somebody else's
    return True
