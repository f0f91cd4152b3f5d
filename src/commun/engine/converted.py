"""The conversions of a model: ``ir-<engine version>-<digest>/`` beside its original, one for each engine version.

- a conversion is keyed by the model's digest and the engine's version: a new engine converts again from the original;
- the digest of a conversion saves the time of converting again. One that lies here is loaded only where the charter
  names its digest for this engine version. Else the verified original is converted again at each start, and what came
  out is loaded, with a warning that names the line to adopt: also where the charter names another digest for this very
  version. (Conversions were the same to the byte on every x86 processor that was tried; on an untried one the first
  start must not fail for it. So whoever adopts a conversion's digest promises speed, not that no other conversion of
  the same original will answer);
- what is converted is a private copy, hashed before and looked at again afterwards: the original's files may have other
  names (hard links) that are written to.
"""

import importlib.metadata
from dataclasses import replace
from pathlib import Path

import structlog

from commun.engine import default_model
from commun.engine.manifest import Manifest, Progress, describe_files, read_manifest
from commun.engine.room import check_disk
from commun.engine.staging import put, staging_in
from commun.engine.verified import VerifiedFiles, private_copy
from commun.errors import CorruptModel

CONVERTED_FILE = "converted.toml"
CONVERTED_PREFIX = "ir-"
BESIDE = frozenset({CONVERTED_FILE, ".verified"})  # (.verified: of a Commun before the charter)
CONVERTED_FACTOR = 1.5  # the converted files over the original, at most (6-bit codes take 8)
SKELETON_FACTOR = 1.1  # the skeleton and the graph made from it, while converting
CONVERTING_FACTOR = 1 + CONVERTED_FACTOR + SKELETON_FACTOR  # and a copy of the original

log = structlog.get_logger()


def digests_of(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Of each conversion of the model in ``folder``: the engine version and the digest of what it loads. Raises
    CorruptModel.
    """
    suffix = f"-{manifest.digest[:16]}"
    found = {}
    for file in sorted(folder.glob(f"{CONVERTED_PREFIX}*{suffix}/{CONVERTED_FILE}")):
        version = file.parent.name.removeprefix(CONVERTED_PREFIX).removesuffix(suffix)
        found[version] = read_manifest(file.parent, CONVERTED_FILE).digest
    return found


def loadable(
    root: Path, manifest: Manifest, original: Path, adopted: dict[str, str], progress: Progress
) -> tuple[Path, Manifest]:
    """The folder that this engine version loads, and what it must hold. ``root``: of all models. ``adopted``: digests
    by engine version, as the charter has them.
    """
    folder = original.parent / _name_of(manifest)
    expected = adopted.get(engine_version())
    try:
        loaded = read_manifest(folder, CONVERTED_FILE)
    except CorruptModel:
        loaded = None  # there is none, or none that can be read
    if loaded is None or loaded.digest != expected:
        loaded = _made_again(root, manifest, original, folder, progress)
        if loaded.digest != expected:
            log.warning(
                "the charter does not name this conversion of its model: it is made again at each start, from the "
                "original; propose an edition with this line under [converted] in the model's file",
                model=manifest.id,
                line=f'"{engine_version()}" = "{loaded.digest}"',
            )
    return folder, loaded


def make(
    manifest: Manifest, original: Path, folder: Path, staging: Path, progress: Progress, *, thorough: bool
) -> Manifest:
    """Makes ``folder/ir-…`` from the file in ``original``. Returns the manifest with the figures of its check.

    Raises CorruptModel unless that is the manifest's file, byte for byte, from its copy to the end.
    """
    target = folder / _name_of(manifest)
    target.mkdir()
    with private_copy(original, manifest, staging, progress) as copy:
        figures = convert(copy, target.resolve(), progress, thorough=thorough)
    manifest = replace(manifest, fidelity=figures)
    files = describe_files(target, [path.name for path in target.iterdir()])
    replace(manifest, files=files).write(target, CONVERTED_FILE)
    return manifest


def _made_again(root: Path, manifest: Manifest, original: Path, ready: Path, progress: Progress) -> Manifest:
    """Converts, and leaves what lies in ``ready`` only where it is the same to the byte (an engine may use it).
    Returns what ``ready`` must hold.
    """
    check_disk(manifest.id, root, int(manifest.size * CONVERTING_FACTOR))
    thorough = manifest.id != default_model.DEFAULT_ID
    with staging_in(root) as staging:
        make(manifest, original, staging, staging, progress, thorough=thorough)
        fresh = read_manifest(staging / ready.name, CONVERTED_FILE)
        try:
            VerifiedFiles(ready, fresh.files, model=manifest.id, progress=progress, beside=BESIDE)
            if read_manifest(ready, CONVERTED_FILE).digest == fresh.digest:
                return fresh
        except CorruptModel:
            pass
        put(staging / ready.name, ready)
    return fresh


def engine_version() -> str:
    """The installed engine's version, without importing it: that is the business of the engine's own process."""
    return importlib.metadata.version("openvino-genai")


def _name_of(manifest: Manifest) -> str:
    return f"{CONVERTED_PREFIX}{engine_version()}-{manifest.digest[:16]}"


def convert(source: Path, target: Path, progress: Progress, *, thorough: bool) -> dict[str, str | float]:
    """See ``conversion.convert``. Imported here, with NumPy, because most starts convert nothing."""
    from commun.engine import conversion

    return conversion.convert(source, target, progress, thorough=thorough)
