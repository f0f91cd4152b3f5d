"""The library of models: whole or not at all, checked before each load, each failure named."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from commun.engine import default_model, verified, weights
from commun.engine.manifest import FileEntry, is_inside, read_manifest, sha256_of
from commun.engine.weights import ModelLibrary
from commun.errors import (
    CorruptModel,
    DownloadFailed,
    InvalidParameter,
    ModelError,
    ModelNotFound,
    ModelTooLarge,
    UnfaithfulModel,
    UnsupportedModel,
)
from engine.tiny_model import STRING, write_tiny

REPOSITORY = Path(__file__).parents[2]


def quiet(stage: str, done: int, total: int) -> None:
    pass


def fake_convert(source: Path, target: Path, progress: object, *, thorough: bool) -> dict[str, float | str]:
    (target / "openvino_model.bin").write_bytes(source.read_bytes()[:100])
    (target / "openvino_model.xml").write_text("<net/>")
    return {"weights": 1e-7}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelLibrary:
    monkeypatch.setattr(weights, "convert", fake_convert)
    return ModelLibrary(tmp_path / "home")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "Tiny Model.gguf")


def left_in(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "home" / "models").iterdir()}


def test_a_model_is_added_listed_used_and_removed(library: ModelLibrary, tiny: Path) -> None:
    manifest = library.add(str(tiny), progress=quiet)
    assert (manifest.id, manifest.family, manifest.context_length) == ("tiny-model", "llama", 512)
    assert manifest.files == (FileEntry("Tiny Model.gguf", tiny.stat().st_size, sha256_of(tiny)),)
    assert manifest.fidelity == {"weights": 1e-7}
    assert library.list() == [manifest] == [library.get("tiny-model")]
    assert library.current() == "default"
    library.use("tiny-model")
    assert library.current() == "tiny-model"
    library.remove("tiny-model")
    assert library.list() == []
    assert library.current() == "default"


def test_a_second_start_converts_nothing(library: ModelLibrary, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add(str(tiny), progress=quiet)
    monkeypatch.setattr(weights, "convert", refuse_to_run)
    folder = library.prepare("tiny-model", progress=quiet)
    assert (folder / "openvino_model.xml").is_file()


def refuse_to_run(*_: object, **__: object) -> dict[str, float | str]:
    raise AssertionError


def test_a_new_engine_converts_again(library: ModelLibrary, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add(str(tiny), progress=quiet)
    old = library.prepare("tiny-model", progress=quiet)
    monkeypatch.setattr(weights, "engine_version", lambda: "2099.1")
    new = library.prepare("tiny-model", progress=quiet)
    assert "2099.1" in new.name
    assert new != old


def test_the_digest_depends_on_the_content_alone(library: ModelLibrary, tiny: Path, tmp_path: Path) -> None:
    first = library.add(str(tiny), progress=quiet)
    second = library.add(str(tiny), name="Other", progress=quiet)
    assert first.digest == second.digest
    changed = write_tiny(tmp_path / "changed.gguf", seed=1)
    assert library.add(str(changed), name="third", progress=quiet).digest != first.digest


@pytest.mark.parametrize("file", ["openvino_model.bin", "openvino_model.xml"])
def test_a_changed_byte_is_found_before_the_load(library: ModelLibrary, tiny: Path, file: str) -> None:
    library.add(str(tiny), progress=quiet)
    path = library.prepare("tiny-model", progress=quiet) / file
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CorruptModel, match="SHA-256"):
        library.prepare("tiny-model", progress=quiet)
    path.unlink()
    with pytest.raises(CorruptModel, match="missing"):
        library.prepare("tiny-model", progress=quiet)


def test_a_large_file_is_hashed_again_only_when_it_was_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "FULL_CHECK_BYTES", 10)
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(100))
    files = [FileEntry("large.bin", 100, sha256_of(path))]
    checks = []

    def check() -> int:
        verified.check_before_load(tmp_path, files, model="m", progress=lambda *_: checks.append(1))
        return len(checks)

    assert (check(), check()) == (1, 1)
    os.utime(path, ns=(1, 1))
    assert check() == 2
    path.write_bytes(bytes(99) + b"x")
    with pytest.raises(CorruptModel):
        check()


def test_a_changed_manifest_is_found(library: ModelLibrary, tiny: Path, tmp_path: Path) -> None:
    library.add(str(tiny), progress=quiet)
    path = tmp_path / "home" / "models" / "tiny-model" / "manifest.toml"
    path.write_text(path.read_text().replace("context_length = 512", "context_length = 513"))
    with pytest.raises(CorruptModel, match="manifest"):
        library.get("tiny-model")
    path.write_text("[[")
    with pytest.raises(CorruptModel, match="manifest"):
        library.get("tiny-model")
    library.remove("tiny-model")


def test_a_manifest_survives_any_text(library: ModelLibrary, tmp_path: Path) -> None:
    name = 'a "quoted"\\name\n\t\x7f é 😀'
    source = write_tiny(tmp_path / "t.gguf", change={"general.name": (STRING, name)})
    library.add(str(source), progress=quiet)
    assert read_manifest(tmp_path / "home" / "models" / "t").name == name


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def overwrite_head(path: Path) -> None:
    path.write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 5000)


def no_gguf(path: Path) -> None:
    path.write_text("hello")


@pytest.mark.parametrize(
    ("damage", "error"), [(truncate, CorruptModel), (overwrite_head, CorruptModel), (no_gguf, UnsupportedModel)]
)
def test_a_bad_file_leaves_nothing(
    library: ModelLibrary, tiny: Path, tmp_path: Path, damage: Callable[[Path], None], error: type[ModelError]
) -> None:
    damage(tiny)
    with pytest.raises(error) as caught:
        library.add(str(tiny), progress=quiet)
    assert "Tiny Model.gguf" in caught.value.problem_text()
    assert caught.value.cure_text()
    assert not (tmp_path / "home" / "models").exists() or left_in(tmp_path) == set()


@pytest.mark.parametrize("error", [UnfaithfulModel(model="m", reason="r"), KeyboardInterrupt()])
def test_an_interrupted_or_unfaithful_conversion_leaves_nothing(
    library: ModelLibrary, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(source: Path, target: Path, progress: object, *, thorough: bool) -> dict[str, float | str]:
        (target / "half").write_text("done")
        raise error

    monkeypatch.setattr(weights, "convert", fail)
    with pytest.raises(type(error)):
        library.add(str(tiny), progress=quiet)
    assert left_in(tmp_path) == set()


def test_what_a_killed_process_left_is_swept(library: ModelLibrary, tiny: Path, tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / "home" / "models" / f".new-{dead.pid}-abcd"
    left.mkdir(parents=True)
    (left / "half").write_text("x")
    assert library.list() == []
    library.add(str(tiny), progress=quiet)
    assert left_in(tmp_path) == {"tiny-model"}


def test_too_large_for_the_disk_or_the_memory(
    library: ModelLibrary, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        with pytest.raises(ModelTooLarge, match="disk"):
            library.add(str(tiny), progress=quiet)
    monkeypatch.setattr("commun.engine.room.memory_bytes", lambda: 1000)
    with pytest.raises(ModelTooLarge, match="memory"):
        library.add(str(tiny), progress=quiet)
    assert left_in(tmp_path) == set()


def test_names_that_cannot_be(library: ModelLibrary, tiny: Path) -> None:
    library.add(str(tiny), name="Mine", progress=quiet)
    with pytest.raises(ModelError, match="another model"):
        library.add(str(tiny), name="mine", progress=quiet)
    for name in ("default", "..", "!!!"):
        with pytest.raises(InvalidParameter):
            library.add(str(tiny), name=name, progress=quiet)
    for model_id in ("nobody", "../mine", "", ".new-1-x"):
        with pytest.raises(ModelNotFound):
            library.get(model_id)
        with pytest.raises(ModelNotFound):
            library.remove(model_id)
    with pytest.raises(UnsupportedModel):
        library.add(str(tiny.with_name("missing.gguf")), progress=quiet)


def test_a_path_stays_in_its_folder() -> None:
    assert is_inside("a/b.bin")
    for path in ("../a", "/a", "a//b", "a/../b", "C:\\a", "a\\b", "a:b", "", ".", "a\0"):
        assert not is_inside(path), path


@pytest.mark.engine
def test_an_openvino_folder_is_taken_as_published(tmp_path: Path, tiny: Path) -> None:
    library = ModelLibrary(tmp_path / "home")
    library.add(str(tiny), progress=quiet)
    folder = tmp_path / "published"
    shutil.copytree(library.prepare("tiny-model", progress=quiet), folder)
    (folder / "notes.md").write_text("not a part of it")
    manifest = library.add(str(folder), progress=quiet)
    assert (manifest.format, manifest.family, manifest.context_length) == ("openvino", "llama", 512)
    ready = library.prepare("published", progress=quiet)
    assert (ready / "openvino_model.xml").is_file()
    assert not (ready / "notes.md").exists()
    (folder / "openvino_model.xml").write_text("<net>")
    with pytest.raises(CorruptModel):
        library.add(str(folder), name="broken", progress=quiet)
    (folder / "openvino_tokenizer.xml").unlink()
    with pytest.raises(UnsupportedModel, match="openvino_tokenizer"):
        library.add(str(folder), name="broken", progress=quiet)
    assert left_in(tmp_path) == {"tiny-model", "published"}


def test_the_default_models_hash_is_that_of_the_lock() -> None:
    lock = (REPOSITORY / "requirements-model.lock").read_text(encoding="utf-8")
    assert f"{default_model.PACKAGE}=={default_model.VERSION} " in lock
    assert f"--hash=sha256:{default_model.WHEEL_SHA256}" in lock


@pytest.mark.engine
def test_the_default_models_file_is_found_without_importing_its_package() -> None:
    path = default_model.find_installed()
    assert path is not None
    assert path.stat().st_size == default_model.FILE_SIZE
    assert default_model.MODULE not in sys.modules


def test_without_the_wheel_and_without_a_network_the_cure_is_named(
    library: ModelLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_model, "find_installed", lambda: None)
    for name in list(os.environ):
        if name.lower().startswith("pip_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(DownloadFailed, match="pip"):
        library.prepare("default", progress=quiet)
    assert left_in(tmp_path) == set()


def test_a_wrong_default_file_is_refused(
    library: ModelLibrary, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_model, "find_installed", lambda: tiny)
    with pytest.raises(CorruptModel, match="SHA-256"):
        library.prepare("default", progress=quiet)
    assert left_in(tmp_path) == set()
