"""The weights that a receipt names, on the auditor's machine: found, checked byte for byte, ready to be asked.

- the manifest's digest decides, not a name: of a file or folder that the auditor names, or of a model in the library
  of the data folder. Nothing is downloaded, and nothing is added there;
- a GGUF is converted as ``commun model add`` does it, by the same code. Where the library has the same model, its
  conversion serves; else one is made in a folder that is gone afterwards;
- a file's name is part of its model's digest: a file that was renamed is another model here.

Raises WeightsMissing, OtherWeights, ModelError.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from commun.drafting.models import adopted_model
from commun.engine import default_model
from commun.engine.manifest import CHECKING, MANIFEST_FILE, Manifest, Progress, describe_files, read_manifest
from commun.engine.weights import ORIGINAL, ModelLibrary, ReadyModel, described
from commun.errors import N_, CommunError

TEMPORARY: Final = "commun-audit-"
NAME_HERE: Final = "audited"  # in the temporary library; no name is part of a digest
SHOWN: Final = 16  # digits of a digest


class WeightsMissing(CommunError):
    code = "weights_missing"
    status = 404
    problem = N_("The model that the receipt names, “%(model)s” (%(digest)s…), is not on this machine.")
    cure = N_(
        "Get its file and name it with --model, or add it with “commun model add FILE”; the one that comes with Commun "
        "with “commun model add default”."
    )


class OtherWeights(CommunError):
    code = "other_weights"
    status = 422
    problem = N_("“%(file)s” is not the model that the receipt names: its digest is %(found)s…, not %(digest)s….")
    cure = N_("Take the very file of its publisher, under the name that it has there.")


class NoSuchWeights(CommunError):
    code = "no_such_weights"
    status = 404
    problem = N_("There is no file or folder “%(file)s”.")
    cure = N_("Name a GGUF file, or a folder with an OpenVINO model, with --model.")


class Weights:
    """``home``: the data folder; it need not be there. ``model``: what the auditor named, or None."""

    def __init__(self, home: Path, model: Path | None, *, progress: Progress) -> None:
        self._library = ModelLibrary(home)
        self._model = model
        self._progress = progress

    @contextmanager
    def ready(self, digest: str, name: str) -> Iterator[ReadyModel]:
        """To be loaded from its folder while this lasts. ``name``: what the receipt calls it."""
        known = next((one for one in self._library.list() if one.digest == digest and one.format != "remote"), None)
        if self._model is None:
            if known is None:
                raise WeightsMissing(model=name, digest=digest[:SHOWN])
            yield self._prepared(self._library, known)
            return
        source = _source(self._model)
        if source.is_file():
            self._progress(CHECKING, 0, 0)
            _check_digest(source, described_file(source), digest)  # before a conversion that may take minutes
            if known is not None:
                yield self._prepared(self._library, known)
                return
        with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder:
            library = ModelLibrary(Path(folder))
            manifest = library.add(str(source), name=NAME_HERE, progress=self._progress)
            _check_digest(source, manifest, digest)
            yield self._prepared(library, manifest)

    @contextmanager
    def as_named(self, model: Path) -> Iterator[ReadyModel]:
        """The weights that the auditor names, for receipts that name none: answers that another server drew."""
        source = _source(model)
        digest = described_file(source).digest if source.is_file() else ""
        known = next((one for one in self._library.list() if one.digest == digest and one.format != "remote"), None)
        if known is not None:
            yield self._prepared(self._library, known)
            return
        with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder:
            library = ModelLibrary(Path(folder))
            yield self._prepared(library, library.add(str(source), name=NAME_HERE, progress=self._progress))

    def _prepared(self, library: ModelLibrary, manifest: Manifest) -> ReadyModel:
        """Every byte of the original is hashed; a conversion must be the one that was made here, or by the project."""
        converted = library.converted(manifest.id)
        if manifest.digest == default_model.manifest().digest:
            converted |= default_model.CONVERTED
        return library.prepare(adopted_model(manifest, converted), progress=self._progress)


def described_file(path: Path) -> Manifest:
    """Of a GGUF file, as ``commun model add`` would describe it. Raises ModelError."""
    from commun.engine.gguf import read_gguf

    return replace(described(read_gguf(path), NAME_HERE), files=describe_files(path.parent, [path.name]))


def _source(model: Path) -> Path:
    """The file or folder itself, also where somebody names a folder of a model library."""
    path = model.expanduser().absolute()
    if (path / MANIFEST_FILE).is_file() and (path / ORIGINAL).is_dir():
        manifest = read_manifest(path)
        path = path / ORIGINAL
        if manifest.format == "gguf-converted":
            path /= manifest.files[0].path
    if not path.exists():
        raise NoSuchWeights(file=path.name)
    return path


def _check_digest(source: Path, manifest: Manifest, digest: str) -> None:
    if manifest.digest != digest:
        raise OtherWeights(file=source.name, found=manifest.digest[:SHOWN], digest=digest[:SHOWN])
