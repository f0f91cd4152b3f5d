"""The models on this machine: added, checked, converted once, and made ready to load.

``home/models/<id>/``::

    manifest.toml                      what it is (manifest.py)
    original/                          the publisher's files, byte for byte
    ir-<engine version>-<digest>/      what the engine loads, made from them (GGUF only)
        converted.toml                 its own files' sizes and SHA-256, and the figures of its check

- a model is built in a folder beside (``.new-<process>-…``) and renamed into place: it is there whole or not at all;
  what a killed process left is removed by the next that adds one;
- a conversion is keyed by the model's digest and the engine's version: a new engine converts again from ``original``;
- before each load every byte of what is loaded is hashed where that is at most FULL_CHECK_BYTES (100 MB take 0.1 s);
  larger files are hashed again only when their sizes, times or inodes are not what they were after their last full
  check (verified.py).
"""

import importlib.metadata
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from commun.engine import default_model
from commun.engine.manifest import CHECKING, MANIFEST_FILE, Manifest, Progress, describe_files, read_manifest
from commun.engine.room import check_disk, check_memory
from commun.engine.verified import check_before_load
from commun.errors import CorruptModel, InvalidParameter, ModelError, ModelNotFound, UnsupportedModel

if TYPE_CHECKING:
    from commun.engine.gguf import Gguf

__all__ = ["Manifest", "ModelLibrary", "Progress"]

MODELS_FOLDER = "models"
ORIGINAL = "original"
CURRENT_FILE = "current"
CONVERTED_FILE = "converted.toml"
STAGING = ".new-"
PARTIAL = ".partial"
ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
UNKNOWN_LICENCE = "unknown"
CONVERTED_FACTOR = 1.5  # the converted files over the original, at most (6-bit codes take 8)
SKELETON_FACTOR = 1.1  # the skeleton and the graph made from it, while converting


class ModelLibrary:
    """One folder of models. Many processes may read it while one adds. ``endpoint``: another server than
    huggingface.co. What only adding needs (NumPy, the HTTP client) is imported where something is added.
    """

    def __init__(self, home: Path, *, endpoint: str = "") -> None:
        self._root = home / MODELS_FOLDER
        self._endpoint = endpoint

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
        with self._staging() as staging:
            (staging / CURRENT_FILE).write_text(model_id + "\n", encoding="utf-8")
            (staging / CURRENT_FILE).replace(self._root / CURRENT_FILE)

    def remove(self, model_id: str) -> None:
        """Raises ModelNotFound. A damaged model can be removed, too."""
        folder = self._root / model_id
        if not ID_PATTERN.fullmatch(model_id) or not folder.is_dir():
            raise ModelNotFound(model=model_id)
        if self.current() == model_id:
            self.use(default_model.DEFAULT_ID)
        with self._staging() as staging:  # renamed first: never half a model under its name
            folder.rename(staging / "removed")

    def add(self, source: str, *, name: str | None = None, progress: Progress) -> Manifest:
        """``source``: "default", a GGUF file, a folder with an OpenVINO model, or OWNER/NAME[:FILE] on Hugging Face.

        Raises ModelError (which kind, and the cure, in its text); then nothing is left behind, but for a download's
        beginning, which waits to go on.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        if source == default_model.DEFAULT_ID:
            return self._add_default(progress)
        path = Path(source).expanduser()
        if path.is_dir():
            return self._add_folder(path, name or path.name, f"folder:{path.name}", "", progress)
        if path.is_file():
            return self._add_gguf(path, name or path.stem, f"file:{path.name}", "", progress)
        from commun.engine.download import is_reference

        if is_reference(source) and (":" in source or path.suffix != ".gguf"):
            return self._add_download(source, name, progress)
        raise UnsupportedModel(model=source, reason="there is no such file or folder")

    def prepare(self, model_id: str, *, progress: Progress) -> Path:
        """A folder that the engine can load, every file checked. Adds "default" where it is missing."""
        try:
            manifest = self.get(model_id)
        except ModelNotFound:
            if model_id != default_model.DEFAULT_ID:
                raise
            manifest = self.add(model_id, progress=progress)
        folder = self._root / model_id
        ready = folder / ORIGINAL
        loaded = manifest
        if manifest.format == "gguf-converted":
            ready = folder / _converted_name(manifest)
            if not (ready / CONVERTED_FILE).is_file():  # another engine version made the last one
                self._convert_again(manifest, ready, progress)
            loaded = read_manifest(ready, CONVERTED_FILE)
        check_memory(model_id, loaded.size)
        check_before_load(ready, loaded.files, model=model_id, progress=progress)
        return ready

    def _add_default(self, progress: Progress) -> Manifest:
        try:
            return self.get(default_model.DEFAULT_ID)
        except (ModelNotFound, CorruptModel):
            pass
        from commun.engine.gguf import read_gguf

        with self._staging() as staging:
            path = default_model.obtain(staging, progress)
            manifest = replace(
                _described(read_gguf(path), default_model.DEFAULT_ID),
                name=default_model.NAME,
                licence=default_model.LICENCE,
                source=default_model.SOURCE,
            )
            # Its answers were compared with another implementation's once and for all (docs/fidelity.md), so the
            # first start need not wait for more than the comparison of the weights.
            return self._install_gguf(manifest, path, progress, thorough=False)

    def _add_gguf(self, path: Path, name: str, source: str, licence: str, progress: Progress) -> Manifest:
        from commun.engine.families import check_family
        from commun.engine.gguf import read_gguf

        gguf = read_gguf(path)
        check_family(gguf)
        manifest = replace(_described(gguf, self._free_id(name)), source=source)
        if licence:
            manifest = replace(manifest, licence=licence)
        return self._install_gguf(manifest, path, progress, thorough=True)

    def _add_folder(self, path: Path, name: str, source: str, licence: str, progress: Progress) -> Manifest:
        from commun.engine.published import describe_folder, published_files

        progress(CHECKING, 0, 0)
        description = describe_folder(path)
        model_id = self._free_id(name)
        with self._staging() as staging:
            original = staging / "model" / ORIGINAL
            original.mkdir(parents=True)
            files = published_files(path)
            check_disk(name, self._root, sum((path / file).stat().st_size for file in files))
            for file in files:
                _take(path / file, original / file)
            manifest = Manifest(
                id=model_id,
                name=name,
                family=description.family,
                context_length=description.context_length,
                licence=licence or UNKNOWN_LICENCE,
                source=source,
                files=describe_files(original, files),
                format="openvino",
                fidelity={"weights": "as published"},
            )
            check_memory(name, manifest.size)
            manifest.write(staging / "model")
            _put(staging / "model", self._root / model_id)
        return manifest

    def _add_download(self, source: str, name: str | None, progress: Progress) -> Manifest:
        from commun.engine.download import ENDPOINT, HuggingFace

        server = HuggingFace(self._root / PARTIAL, self._endpoint or ENDPOINT)
        repository, files = server.look_up(source)
        name = name or (Path(files[0].path).stem if len(files) == 1 else repository.name.partition("/")[2])
        self._free_id(name)  # refused before a long download, not after it
        size = sum(file.size for file in files)
        check_memory(source, size)
        factor = 1 if len(files) > 1 else 1 + CONVERTED_FACTOR + SKELETON_FACTOR
        check_disk(source, self._root, int(size * factor))
        origin = f"huggingface:{repository.name}@{repository.revision}"
        with self._staging() as staging:
            for file in files:
                server.fetch(repository, file, staging / Path(file.path).name, progress)
            if len(files) > 1:
                return self._add_folder(staging, name, origin, repository.licence, progress)
            path = staging / Path(files[0].path).name
            return self._add_gguf(path, name, f"{origin}/{files[0].path}", repository.licence, progress)

    def _install_gguf(self, manifest: Manifest, path: Path, progress: Progress, *, thorough: bool) -> Manifest:
        size = path.stat().st_size
        check_memory(manifest.id, size)
        check_disk(manifest.id, self._root, int(size * (CONVERTED_FACTOR + SKELETON_FACTOR)))
        with self._staging() as staging:
            folder = staging / "model"
            (folder / ORIGINAL).mkdir(parents=True)
            _take(path, folder / ORIGINAL / path.name)
            manifest = replace(manifest, files=describe_files(folder / ORIGINAL, [path.name]))
            manifest = self._convert(manifest, folder / ORIGINAL / path.name, folder, progress, thorough=thorough)
            manifest.write(folder)
            _put(folder, self._root / manifest.id)
        return manifest

    def _convert(
        self, manifest: Manifest, source: Path, folder: Path, progress: Progress, *, thorough: bool
    ) -> Manifest:
        """Makes ``folder/ir-…`` from ``source``. Returns the manifest with the figures of its check."""
        target = folder / _converted_name(manifest)
        target.mkdir()
        figures = convert(source, target, progress, thorough=thorough)
        manifest = replace(manifest, fidelity=figures)
        files = describe_files(target, [path.name for path in target.iterdir()])
        replace(manifest, files=files).write(target, CONVERTED_FILE)
        return manifest

    def _convert_again(self, manifest: Manifest, ready: Path, progress: Progress) -> None:
        original = self._root / manifest.id / ORIGINAL
        check_before_load(original, manifest.files, model=manifest.id, progress=progress)
        thorough = manifest.id != default_model.DEFAULT_ID
        with self._staging() as staging:
            self._convert(manifest, original / manifest.files[0].path, staging, progress, thorough=thorough)
            _put(staging / ready.name, ready)

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


def _described(gguf: "Gguf", model_id: str) -> Manifest:
    """What a GGUF file says of itself."""
    family = gguf.text("general.architecture")
    return Manifest(
        id=model_id,
        name=gguf.text("general.name", gguf.path.stem),
        family=family,
        context_length=int(gguf.number(f"{family}.context_length")),
        licence=gguf.text("general.license", UNKNOWN_LICENCE),
        source="",
        files=(),
        format="gguf-converted",
    )


def engine_version() -> str:
    """The installed engine's version, without importing it: that is the business of the engine's own process."""
    return importlib.metadata.version("openvino-genai")


def _converted_name(manifest: Manifest) -> str:
    return f"ir-{engine_version()}-{manifest.digest[:16]}"


def convert(source: Path, target: Path, progress: Progress, *, thorough: bool) -> dict[str, str | float]:
    """See ``conversion.convert``. Imported here, with NumPy, because most starts convert nothing."""
    from commun.engine import conversion

    return conversion.convert(source, target, progress, thorough=thorough)


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
