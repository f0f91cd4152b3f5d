"""The models on this machine: added, checked, converted once, and made ready to load.

``home/models/<id>/``::

    manifest.toml                      what it is (manifest.py)
    original/                          the publisher's files, byte for byte
    ir-<engine version>-<digest>/      what the engine loads, made from them (GGUF only)
        converted.toml                 its own files' sizes and SHA-256, and the figures of its check

- a model is built in a folder beside (``.new-<process>-…``) and renamed into place: it is there whole or not at all;
  what a killed process left is removed by the next that adds one;
- which model is loaded is the charter's business: ``prepare`` gives the adopted one, every byte of it checked
  (verified.py), or refuses. What binds is the digest of the original; ``converted.py`` says which conversion is loaded.
"""

import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from commun.charter.clauses import Model
from commun.charter.errors import ModelNotAdopted
from commun.engine import default_model
from commun.engine.converted import (
    BESIDE,
    CONVERTED_FACTOR,
    CONVERTED_FILE,
    CONVERTED_PREFIX,
    CONVERTING_FACTOR,
    digests_of,
    loadable,
    make,
)
from commun.engine.manifest import CHECKING, MANIFEST_FILE, Manifest, Progress, describe_files, read_manifest
from commun.engine.room import check_disk, check_memory
from commun.engine.staging import put, staging_in, take
from commun.engine.verified import VerifiedFiles
from commun.errors import CorruptModel, InvalidParameter, ModelError, ModelNotFound, UnsupportedModel

if TYPE_CHECKING:
    from commun.engine.gguf import Gguf

__all__ = ["Manifest", "ModelLibrary", "Progress", "ReadyModel"]

MODELS_FOLDER = "models"
ORIGINAL = "original"
PARTIAL = ".partial"
ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
UNKNOWN_LICENCE = "unknown"


@dataclass(frozen=True, slots=True)
class ReadyModel:
    """An adopted model, ready to load from ``folder``."""

    folder: Path
    manifest: Manifest
    files: VerifiedFiles

    def check(self) -> None:
        """Was nothing of the files changed since they were hashed? Blocks. Raises ModelNotAdopted, then for ever."""
        try:
            self.files.check()
        except CorruptModel as error:
            raise not_adopted(self.manifest.id, error) from error

    def marks(self) -> object:
        """Something that is equal as long as the files are not changed. Blocks. Raises nothing."""
        return self.files.marks()


class ModelLibrary:
    """One folder of models. Many processes may read it while one adds. ``endpoint``: another server than
    huggingface.co. ``remote_key``: opens the server that a remote model is added from. What only adding needs (NumPy,
    the HTTP client) is imported where something is added.
    """

    def __init__(self, home: Path, *, endpoint: str = "", remote_key: str = "") -> None:
        self._root = home / MODELS_FOLDER
        self._endpoint = endpoint
        self._remote_key = remote_key

    def list(self) -> list[Manifest]:
        """All whole models, by id."""
        return [found for _, found in self._described() if found is not None]

    def damaged(self) -> builtins.list[str]:
        """The names of those whose description cannot be read."""
        return [name for name, found in self._described() if found is None]

    def _described(self) -> Iterator[tuple[str, Manifest | None]]:
        for path in sorted(self._root.glob(f"[!.]*/{MANIFEST_FILE}")) if self._root.is_dir() else []:
            try:
                yield path.parent.name, read_manifest(path.parent)
            except CorruptModel:
                yield path.parent.name, None

    def get(self, model_id: str) -> Manifest:
        """Raises ModelNotFound, CorruptModel."""
        if not ID_PATTERN.fullmatch(model_id) or not (self._root / model_id / MANIFEST_FILE).is_file():
            raise ModelNotFound(model=model_id)
        return read_manifest(self._root / model_id)

    def remove(self, model_id: str) -> None:
        """Raises ModelNotFound. A damaged model can be removed, too."""
        folder = self._root / model_id
        if not ID_PATTERN.fullmatch(model_id) or not folder.is_dir():
            raise ModelNotFound(model=model_id)
        with staging_in(self._root) as staging:  # renamed first: never half a model under its name
            folder.rename(staging / "removed")

    def add(self, source: str, *, name: str | None = None, progress: Progress) -> Manifest:
        """``source``: "default", a GGUF file, a folder with an OpenVINO model, OWNER/NAME[:FILE] on Hugging Face, or
        the address of an OpenAI-compatible server, ending in /v1.

        Raises ModelError (which kind, and the cure, in its text); then nothing is left behind, but for a download's
        beginning, which waits to go on.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        if source == default_model.DEFAULT_ID:
            return self._add_default(progress)
        if source.startswith(("http://", "https://")):
            return self._add_remote(source, name)
        path = Path(source).expanduser()
        if path.is_dir():
            return self._add_folder(path, name or path.name, f"folder:{path.name}", "", progress)
        if path.is_file():
            return self._add_gguf(path, name or path.stem, f"file:{path.name}", "", progress)
        from commun.engine.download import is_reference

        if is_reference(source) and (":" in source or path.suffix != ".gguf"):
            return self._add_download(source, name, progress)
        raise UnsupportedModel(model=source, reason="there is no such file or folder")

    def add_from_hub(self, source: str, *, name: str | None = None, progress: Progress) -> Manifest:
        """As ``add``, and nothing on this machine is looked at: ``source`` is OWNER/NAME[:FILE]. Raises ModelError."""
        self._root.mkdir(parents=True, exist_ok=True)
        return self._add_download(source, name, progress)

    def converted(self, model_id: str) -> dict[str, str]:
        """Of each conversion that lies here: the engine version and the digest of what it loads, as a charter adopts
        it. Raises ModelNotFound, CorruptModel.
        """
        return digests_of(self._root / model_id, self.get(model_id))

    def loaded_bytes(self, adopted: Model) -> int:
        """About how much the engine loads of it."""
        return int(sum(file.size for file in adopted.files) * CONVERTED_FACTOR)

    def prepare(self, adopted: Model, *, progress: Progress) -> ReadyModel:
        """The model that the charter adopts, every file of it checked. Adds the default one where it is missing.

        Raises ModelNotAdopted for anything else than that, byte for byte; ModelError where it cannot be run here.
        """
        try:
            manifest = self._find_adopted(adopted, progress)
            folder, loaded = self._root / manifest.id / ORIGINAL, manifest
            if manifest.format == "gguf-converted":
                folder, loaded = loadable(self._root, manifest, folder, dict(adopted.converted), progress)
            check_memory(adopted.id, loaded.size)
            files = VerifiedFiles(folder, loaded.files, model=adopted.id, progress=progress, beside=BESIDE)
        except CorruptModel as error:
            raise not_adopted(adopted.id, error) from error
        return ReadyModel(files.folder, replace(manifest, id=adopted.id), files)

    def _find_adopted(self, adopted: Model, progress: Progress) -> Manifest:
        """By its digest, whatever it is called here. Raises ModelNotAdopted."""
        for name in dict.fromkeys([adopted.id, *(path.name for path in self._root.glob("[!.]*"))]):
            try:
                manifest = self.get(name)
            except (ModelNotFound, CorruptModel):
                continue
            if manifest.digest == adopted.digest:
                return manifest
        if adopted.digest == default_model.manifest().digest:
            manifest = self.add(default_model.DEFAULT_ID, progress=progress)
            if manifest.digest != adopted.digest:
                raise ModelNotAdopted(model=adopted.id, reason="its file was changed while it was added")
            return manifest
        reason = (
            "another model has its name here" if (self._root / adopted.id).exists() else "it is not on this machine"
        )
        raise ModelNotAdopted(model=adopted.id, reason=reason)

    def _add_default(self, progress: Progress) -> Manifest:
        try:
            manifest = self.get(default_model.DEFAULT_ID)
            self._check_whole(manifest, progress)
        except (ModelNotFound, CorruptModel):
            pass  # damaged files are put back as they were
        else:
            return manifest
        from commun.engine.gguf import read_gguf

        with staging_in(self._root) as staging:
            path = default_model.obtain(staging, progress)
            manifest = replace(
                described(read_gguf(path), default_model.DEFAULT_ID),
                name=default_model.NAME,
                licence=default_model.LICENCE,
                source=default_model.SOURCE,
            )
            # Its answers were compared with another implementation's once and for all (docs/fidelity.md), so the
            # first start need not wait for more than the comparison of the weights.
            return self._install_gguf(manifest, path, progress, thorough=False)

    def _check_whole(self, manifest: Manifest, progress: Progress) -> None:
        """The original and every conversion. Raises CorruptModel."""
        folder = self._root / manifest.id
        VerifiedFiles(folder / ORIGINAL, manifest.files, model=manifest.id, progress=progress)
        for file in folder.glob(f"{CONVERTED_PREFIX}*/{CONVERTED_FILE}"):
            loaded = read_manifest(file.parent, CONVERTED_FILE)
            VerifiedFiles(file.parent, loaded.files, model=manifest.id, progress=progress, beside=BESIDE)

    def _add_remote(self, url: str, name: str | None) -> Manifest:
        from commun.engine.remote_model import look_up

        manifest = look_up(url, self._remote_key)
        manifest = replace(manifest, id=self._free_id(name or manifest.remote_model))
        with staging_in(self._root) as staging:
            (staging / "model").mkdir()
            manifest.write(staging / "model")
            put(staging / "model", self._root / manifest.id)
        return manifest

    def _add_gguf(self, path: Path, name: str, source: str, licence: str, progress: Progress) -> Manifest:
        from commun.engine.families import check_family
        from commun.engine.gguf import read_gguf

        gguf = read_gguf(path)
        check_family(gguf)
        manifest = replace(described(gguf, self._free_id(name)), source=source)
        if licence:
            manifest = replace(manifest, licence=licence)
        return self._install_gguf(manifest, path, progress, thorough=True)

    def _add_folder(self, path: Path, name: str, source: str, licence: str, progress: Progress) -> Manifest:
        from commun.engine.published import describe_folder, published_files

        progress(CHECKING, 0, 0)
        description = describe_folder(path)
        model_id = self._free_id(name)
        with staging_in(self._root) as staging:
            original = staging / "model" / ORIGINAL
            original.mkdir(parents=True)
            files = published_files(path)
            check_disk(name, self._root, sum((path / file).stat().st_size for file in files))
            for file in files:
                take(path / file, original / file)
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
            put(staging / "model", self._root / model_id)
        return manifest

    def _add_download(self, source: str, name: str | None, progress: Progress) -> Manifest:
        from commun.engine.download import ENDPOINT, HuggingFace

        server = HuggingFace(self._root / PARTIAL, self._endpoint or ENDPOINT)
        repository, files = server.look_up(source)
        name = name or (Path(files[0].path).stem if len(files) == 1 else repository.name.partition("/")[2])
        self._free_id(name)  # refused before a long download, not after it
        size = sum(file.size for file in files)
        check_memory(source, size)
        factor = 1 if len(files) > 1 else 1 + CONVERTING_FACTOR
        check_disk(source, self._root, int(size * factor))
        origin = f"huggingface:{repository.name}@{repository.revision}"
        with staging_in(self._root) as staging:
            for file in files:
                server.fetch(repository, file, staging / Path(file.path).name, progress)
            if len(files) > 1:
                return self._add_folder(staging, name, origin, repository.licence, progress)
            path = staging / Path(files[0].path).name
            return self._add_gguf(path, name, f"{origin}/{files[0].path}", repository.licence, progress)

    def _install_gguf(self, manifest: Manifest, path: Path, progress: Progress, *, thorough: bool) -> Manifest:
        size = path.stat().st_size
        check_memory(manifest.id, size)
        check_disk(manifest.id, self._root, int(size * CONVERTING_FACTOR))
        with staging_in(self._root) as staging:
            folder = staging / "model"
            (folder / ORIGINAL).mkdir(parents=True)
            take(path, folder / ORIGINAL / path.name)
            manifest = replace(manifest, files=describe_files(folder / ORIGINAL, [path.name]))
            manifest = make(manifest, folder / ORIGINAL, folder, staging, progress, thorough=thorough)
            manifest.write(folder)
            put(folder, self._root / manifest.id)
        return manifest

    def _free_id(self, wish: str) -> str:
        """An id from a name. Raises InvalidParameter, and ModelError where it is taken."""
        model_id = re.sub(r"[^a-z0-9._-]+", "-", wish.lower()).strip("-._")[:64]
        if not ID_PATTERN.fullmatch(model_id) or model_id == default_model.DEFAULT_ID:
            raise InvalidParameter(parameter="name", reason="use letters, digits, dots and dashes")
        if (self._root / model_id).exists():
            raise ModelError(model=model_id, reason="another model has this name")
        return model_id


def described(gguf: "Gguf", model_id: str) -> Manifest:
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


def not_adopted(model: str, error: CorruptModel) -> ModelNotAdopted:
    return ModelNotAdopted(model=model, reason=error.details["reason"])
