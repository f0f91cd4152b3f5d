"""The library of models: whole or not at all, checked before each load, each failure named."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from commun.charter.clauses import Model
from commun.charter.errors import ModelNotAdopted
from commun.drafting.models import adopted_model, default_model_clause
from commun.engine import converted, default_model, verified
from commun.engine.manifest import FileEntry, describe_files, is_inside, read_manifest, sha256_of
from commun.engine.verified import VerifiedFiles
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
    monkeypatch.setattr(converted, "convert", fake_convert)
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
    library.remove("tiny-model")
    assert library.list() == []


def adopted(library: ModelLibrary, model_id: str = "tiny-model") -> Model:
    """As a charter adopts what lies here now."""
    return adopted_model(library.get(model_id), library.converted(model_id))


def test_a_second_start_converts_nothing(library: ModelLibrary, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add(str(tiny), progress=quiet)
    monkeypatch.setattr(converted, "convert", refuse_to_run)
    ready = library.prepare(adopted(library), progress=quiet)
    assert (ready.folder / "openvino_model.xml").is_file()
    ready.check()


def refuse_to_run(*_: object, **__: object) -> dict[str, float | str]:
    raise AssertionError


def test_a_new_engine_converts_again_at_each_start_until_its_conversion_is_adopted(
    library: ModelLibrary, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library.add(str(tiny), progress=quiet)
    before = adopted(library)
    old = library.prepare(before, progress=quiet).folder
    monkeypatch.setattr(converted, "engine_version", lambda: "2099.1")
    calls = count_conversions(monkeypatch)
    ready = library.prepare(before, progress=quiet)
    again = library.prepare(before, progress=quiet)
    assert ready.folder == again.folder != old
    assert len(calls) == 2
    digest = library.converted("tiny-model")["2099.1"]
    assert f'"2099.1" = "{digest}"' in capsys.readouterr().out  # the very line that adopts it
    library.prepare(adopted(library), progress=quiet)
    assert len(calls) == 2


def count_conversions(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    calls: list[Path] = []

    def counted(source: Path, target: Path, progress: object, *, thorough: bool) -> dict[str, float | str]:
        calls.append(source)
        return fake_convert(source, target, progress, thorough=thorough)

    monkeypatch.setattr(converted, "convert", counted)
    return calls


def test_a_conversion_that_the_charter_does_not_name_is_never_trusted(library: ModelLibrary, tiny: Path) -> None:
    library.add(str(tiny), progress=quiet)
    unnamed = replace(adopted(library), converted=())
    ready = library.prepare(unnamed, progress=quiet)
    kept = (ready.folder / "openvino_model.bin").stat().st_ino
    library.prepare(unnamed, progress=quiet)
    assert (ready.folder / "openvino_model.bin").stat().st_ino == kept  # the same to the byte: an engine may use it
    whole_lie(ready.folder)
    ready = library.prepare(unnamed, progress=quiet)
    assert b"a lie" not in (ready.folder / "openvino_model.bin").read_bytes()


def whole_lie(folder: Path) -> None:
    """Another conversion, with a record that fits it."""
    (folder / "openvino_model.bin").write_bytes(b"a lie")
    manifest = read_manifest(folder, "converted.toml")
    names = [entry.path for entry in manifest.files]
    replace(manifest, files=describe_files(folder, names)).write(folder, "converted.toml")


def test_a_conversion_that_is_not_the_adopted_one_is_made_again(
    library: ModelLibrary, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library.add(str(tiny), progress=quiet)
    clause = adopted(library)
    folder = library.prepare(clause, progress=quiet).folder
    whole_lie(folder)
    library.prepare(clause, progress=quiet)
    assert b"a lie" not in (folder / "openvino_model.bin").read_bytes()
    assert "does not name" not in capsys.readouterr().out
    elsewhere = replace(clause, converted=((converted.engine_version(), "0" * 64),))  # another processor's last bits
    for _ in range(2):
        library.prepare(elsewhere, progress=quiet)
        assert "does not name" in capsys.readouterr().out


def test_only_the_adopted_model_is_loaded_whatever_it_is_called(
    library: ModelLibrary, tiny: Path, tmp_path: Path
) -> None:
    library.add(str(tiny), name="first", progress=quiet)
    library.add(str(write_tiny(tmp_path / "other.gguf", seed=1)), name="second", progress=quiet)
    first = adopted(library, "first")
    with pytest.raises(ModelNotAdopted, match="another model has its name"):
        library.prepare(replace(first, id="second", digest="0" * 64), progress=quiet)
    with pytest.raises(ModelNotAdopted, match="not on this machine"):
        library.prepare(replace(first, id="third", digest="0" * 64), progress=quiet)
    ready = library.prepare(replace(first, id="renamed"), progress=quiet)
    assert (ready.manifest.id, ready.manifest.digest) == ("renamed", first.digest)


def test_a_file_beside_the_adopted_ones_is_refused(library: ModelLibrary, tiny: Path, tmp_path: Path) -> None:
    library.add(str(tiny), progress=quiet)
    clause = adopted(library)
    folder = library.prepare(clause, progress=quiet).folder
    (folder / "chat_template.jinja").write_text("You are somebody else.")
    with pytest.raises(ModelNotAdopted, match="beside"):
        library.prepare(clause, progress=quiet)
    (folder / "chat_template.jinja").unlink()
    original = folder / "openvino_model.xml"
    original.rename(tmp_path / "elsewhere.xml")
    original.symlink_to(tmp_path / "elsewhere.xml")
    with pytest.raises(ModelNotAdopted, match="a link"):
        library.prepare(clause, progress=quiet)


def test_the_digest_depends_on_the_content_alone(library: ModelLibrary, tiny: Path, tmp_path: Path) -> None:
    first = library.add(str(tiny), progress=quiet)
    second = library.add(str(tiny), name="Other", progress=quiet)
    assert first.digest == second.digest
    changed = write_tiny(tmp_path / "changed.gguf", seed=1)
    assert library.add(str(changed), name="third", progress=quiet).digest != first.digest


@pytest.mark.parametrize("file", ["openvino_model.bin", "openvino_model.xml"])
def test_a_changed_byte_is_found_before_the_load_and_while_it_is_used(
    library: ModelLibrary, tiny: Path, file: str
) -> None:
    library.add(str(tiny), progress=quiet)
    clause = adopted(library)
    ready = library.prepare(clause, progress=quiet)
    path = ready.folder / file
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    for _ in range(2):
        with pytest.raises(ModelNotAdopted, match="were changed"):
            ready.check()
    with pytest.raises(ModelNotAdopted, match="SHA-256"):
        library.prepare(clause, progress=quiet)
    path.unlink()
    with pytest.raises(ModelNotAdopted, match="missing"):
        library.prepare(clause, progress=quiet)
    path.write_bytes(good)
    with pytest.raises(ModelNotAdopted, match="were changed"):  # what the engine read meanwhile is not known
        ready.check()
    library.prepare(clause, progress=quiet).check()


def written_in_place(folder: Path) -> None:
    (folder / "m.bin").write_bytes(b"EVIL!")
    (folder / "m.bin").write_bytes(b"model")


def exchanged(folder: Path) -> None:
    """Another folder stands in its place for a while."""
    other, aside = folder.with_name("other"), folder.with_name("aside")
    other.mkdir()
    folder.rename(aside)
    other.rename(folder)
    folder.rename(other)
    aside.rename(folder)


def exchanged_with_all_around(folder: Path) -> None:
    """As ``exchanged``, one folder higher: the model's whole."""
    exchanged(folder.parent)


def touched_with_its_old_times(folder: Path) -> None:
    state = (folder / "m.bin").stat()
    written_in_place(folder)
    os.utime(folder / "m.bin", ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize("change", [written_in_place, exchanged, exchanged_with_all_around, touched_with_its_old_times])
def test_what_was_exchanged_and_put_back_is_seen(tmp_path: Path, change: Callable[[Path], None]) -> None:
    folder = tmp_path / "m" / "ir"
    folder.mkdir(parents=True)
    (folder / "m.bin").write_bytes(b"model")
    files = VerifiedFiles(folder, [FileEntry("m.bin", 5, sha256_of(folder / "m.bin"))], model="m", progress=quiet)
    files.check()
    before = files.marks()
    time.sleep(0.02)  # a file's times are as fine as the kernel's clock
    change(folder)
    assert files.marks() != before
    for _ in range(2):
        with pytest.raises(CorruptModel, match="were changed"):
            files.check()


def test_a_link_on_the_way_to_the_files_may_change_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "here" / "ir"
    folder.mkdir(parents=True)
    (folder / "m.bin").write_bytes(b"model")
    link = tmp_path / "models"
    link.symlink_to(tmp_path / "here")
    files = VerifiedFiles(link / "ir", [FileEntry("m.bin", 5, sha256_of(folder / "m.bin"))], model="m", progress=quiet)
    link.unlink()
    link.symlink_to(tmp_path)
    assert files.folder == folder
    files.check()


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("nested", Path.mkdir, "a folder lies beside"),
        ("m.bin", Path.mkdir, "a folder lies beside"),
        ("m.bin", os.mkfifo, "no file stands"),
        ("notes", Path.touch, "a file lies beside"),
        ("within/notes", Path.touch, "a file lies beside"),
        ("within/deeper", Path.mkdir, "a folder lies beside"),
    ],
)
def test_nothing_else_may_lie_in_the_folder(
    tmp_path: Path, name: str, make: Callable[[Path], None], reason: str
) -> None:
    folder = tmp_path / "m"
    (folder / "within").mkdir(parents=True)
    (folder / "within" / "a.bin").touch()
    empty = hashlib.sha256(b"").hexdigest()
    wanted = [FileEntry("m.bin", 0, empty), FileEntry("within/a.bin", 0, empty)]
    make(folder / name)
    with pytest.raises(CorruptModel, match=reason):
        VerifiedFiles(folder, wanted, model="m", progress=quiet)


def test_files_that_change_all_the_time_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.bin"
    path.touch()

    def check(*_: object, **__: object) -> None:
        path.write_bytes(path.read_bytes() + b"x")

    monkeypatch.setattr(verified, "check_files", check)
    with pytest.raises(CorruptModel, match="while they are checked"):
        VerifiedFiles(tmp_path, [FileEntry("large.bin", 100, "")], model="m", progress=quiet)


def test_what_is_in_use_is_hashed_every_hour_and_never_believed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m" / "large.bin"
    path.parent.mkdir()
    path.write_bytes(bytes(100))
    hashed: list[int] = []
    monkeypatch.setattr(verified, "check_files", lambda *_, **__: hashed.append(1))
    files = VerifiedFiles(path.parent, [FileEntry("large.bin", 100, sha256_of(path))], model="m", progress=quiet)
    files.check()
    assert len(hashed) == 1
    monkeypatch.setattr(verified, "HASH_AGAIN_S", -1.0)
    files.check()
    assert len(hashed) == 2
    os.utime(path, ns=(1, 1))
    for _ in range(2):
        with pytest.raises(CorruptModel, match="were changed"):
            files.check()
    assert len(hashed) == 2


def test_what_is_converted_is_what_was_hashed(
    library: ModelLibrary, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody writes to the original, in place, just before it is converted, and puts it back."""
    library.add(str(tiny), progress=quiet)
    unnamed = replace(adopted(library), converted=())
    (original,) = (tmp_path / "home" / "models" / "tiny-model" / "original").iterdir()
    good = original.read_bytes()

    def convert(source: Path, target: Path, progress: object, *, thorough: bool) -> dict[str, float | str]:
        original.write_bytes(b"EVIL" + good[4:])
        figures = fake_convert(source, target, progress, thorough=thorough)
        original.write_bytes(good)
        return figures

    monkeypatch.setattr(converted, "convert", convert)
    ready = library.prepare(unnamed, progress=quiet)
    assert (ready.folder / "openvino_model.bin").read_bytes() == good[:100]
    other = library.add(str(tiny), name="other", progress=quiet)
    (weights_file,) = (tmp_path / "home" / "models" / other.id).glob("ir-*/openvino_model.bin")
    assert weights_file.read_bytes() == good[:100]
    assert left_in(tmp_path) == {"tiny-model", "other"}


def test_a_copy_that_is_written_to_while_it_is_converted_is_refused(
    library: ModelLibrary, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(source: Path, target: Path, progress: object, *, thorough: bool) -> dict[str, float | str]:
        time.sleep(0.02)
        source.write_bytes(source.read_bytes())
        return fake_convert(source, target, progress, thorough=thorough)

    monkeypatch.setattr(converted, "convert", convert)
    with pytest.raises(CorruptModel, match="were changed"):
        library.add(str(tiny), progress=quiet)
    assert left_in(tmp_path) == set()


def test_an_original_that_is_not_the_adopted_one_is_not_converted(
    library: ModelLibrary, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(str(tiny), progress=quiet)
    unnamed = replace(adopted(library), converted=())
    (original,) = (tmp_path / "home" / "models" / "tiny-model" / "original").iterdir()
    monkeypatch.setattr(converted, "convert", refuse_to_run)
    original.write_bytes(b"EVIL" + original.read_bytes()[4:])
    with pytest.raises(ModelNotAdopted, match="SHA-256"):
        library.prepare(unnamed, progress=quiet)
    original.write_bytes(b"short")
    with pytest.raises(ModelNotAdopted, match="another size"):
        library.prepare(unnamed, progress=quiet)
    original.unlink()
    with pytest.raises(ModelNotAdopted, match="missing"):
        library.prepare(unnamed, progress=quiet)


def test_it_is_loaded_from_where_it_was_hashed_whatever_a_link_says_later(
    library: ModelLibrary, tiny: Path, tmp_path: Path
) -> None:
    library.add(str(tiny), progress=quiet)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "models").symlink_to(tmp_path / "home" / "models")
    ready = ModelLibrary(tmp_path / "linked").prepare(adopted(library), progress=quiet)
    assert ready.folder.is_relative_to(tmp_path / "home")


def test_the_embedded_model_is_the_adopted_one_also_where_it_is_only_just_added(
    library: ModelLibrary, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody writes to the file between its check and its hash."""
    monkeypatch.setattr(default_model, "obtain", lambda staging, _progress: copied(tiny, staging / "default.gguf"))
    with pytest.raises(ModelNotAdopted, match="while it was added"):
        library.prepare(default_model_clause(), progress=quiet)


def test_adding_the_default_model_again_puts_damaged_files_back(
    library: ModelLibrary, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_model, "obtain", lambda staging, _progress: copied(tiny, staging / "default.gguf"))
    library.add("default", progress=quiet)
    clause = adopted(library, "default")
    file = library.prepare(clause, progress=quiet).folder / "openvino_model.bin"
    file.write_bytes(b"damaged")
    library.add("default", progress=quiet)
    library.prepare(clause, progress=quiet)


def copied(path: Path, target: Path) -> Path:
    shutil.copyfile(path, target)
    return target


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

    monkeypatch.setattr(converted, "convert", fail)
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
    shutil.copytree(library.prepare(adopted(library), progress=quiet).folder, folder)
    (folder / "notes.md").write_text("not a part of it")
    manifest = library.add(str(folder), progress=quiet)
    assert (manifest.format, manifest.family, manifest.context_length) == ("openvino", "llama", 512)
    ready = library.prepare(adopted(library, "published"), progress=quiet).folder
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
        library.add("default", progress=quiet)
    assert left_in(tmp_path) == set()


def test_a_wrong_default_file_is_refused(
    library: ModelLibrary, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_model, "find_installed", lambda: tiny)
    with pytest.raises(CorruptModel, match="SHA-256"):
        library.add("default", progress=quiet)
    assert left_in(tmp_path) == set()
