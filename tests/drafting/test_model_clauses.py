import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.charter.clauses import Model
from commun.charter.source_mistakes import Mistakes
from commun.charter.source_model import read_model
from commun.drafting.models import adopted_model, default_model_clause, model_file, model_path, training_summary
from commun.engine import default_model
from commun.engine.converted import CONVERTED_FILE, engine_version
from commun.engine.manifest import MANIFEST_FILE, FileEntry, Manifest, read_manifest
from commun.errors import CorruptModel

REMOTE = Manifest(
    id="big",
    name="Big model",
    family="qwen3",
    context_length=32768,
    licence="unknown",
    source="http://gpu.example.org:8000/v1",
    files=(),
    format="remote",
    url="http://gpu.example.org:8000/v1",
    remote_model="Qwen/Qwen3-32B",
)
LOCAL = replace(
    REMOTE,
    format="openvino",
    source="huggingface:owner/name@main",
    files=(FileEntry("a/b.bin", 3, "ab" * 32), FileEntry("c.xml", 0, "cd" * 32)),
    url="",
    remote_model="",
)


def read_model_file(clause: Model) -> Model | None:
    mistakes = Mistakes()
    read = read_model(model_path(clause.id), model_file(clause).decode(), mistakes)
    mistakes.check()
    return read


def read_back(data: bytes) -> dict[str, object]:
    return tomllib.loads(data.decode())


@pytest.mark.parametrize("manifest", [REMOTE, LOCAL])
def test_a_manifest_is_read_as_it_was_written(manifest: Manifest, tmp_path: Path) -> None:
    manifest.write(tmp_path)

    assert read_manifest(tmp_path) == manifest


def test_a_manifest_from_before_remote_models_keeps_its_digest() -> None:
    assert default_model.manifest().digest == "61ac10a4460ca64b760bba1c6ddd031d3c126a9bc1b58dce31b84765561db546"


def test_a_remote_model_elsewhere_is_another_model() -> None:
    assert replace(REMOTE, url="http://other.example.org/v1").digest != REMOTE.digest
    assert replace(REMOTE, remote_model="another").digest != REMOTE.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('format = "remote"', 'format = "something"'),
        ('url = "http://gpu', 'url = "http://cpu'),
        ("[fidelity]", "files = []\n[fidelity]"),
        ('format = "remote"', 'format = "openvino"'),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(old: str, new: str, tmp_path: Path) -> None:
    REMOTE.write(tmp_path)
    file = tmp_path / MANIFEST_FILE
    file.write_text(file.read_text().replace(old, new))

    with pytest.raises(CorruptModel):
        read_manifest(tmp_path)


def test_the_default_models_clause_needs_no_file() -> None:
    clause = default_model_clause()

    assert clause.id == "default"
    assert clause.digest == default_model.manifest().digest
    assert dict(clause.converted)["2026.4.1.0"]
    assert clause.training_summary.startswith("https://")
    assert clause.licence == "Apache-2.0"


def test_the_installed_engines_conversion_of_the_default_model_is_adopted() -> None:
    assert engine_version() in dict(default_model_clause().converted)


@pytest.mark.engine
def test_the_real_conversion_is_the_one_that_is_adopted(models: Path) -> None:
    folder = models / "default"
    manifest = read_manifest(folder)
    ready = folder / f"ir-{engine_version()}-{manifest.digest[:16]}"
    digest = read_manifest(ready, CONVERTED_FILE).digest

    assert adopted_model(manifest, {engine_version(): digest}) == default_model_clause()


def test_a_model_file_says_what_it_is_on_top_and_reads_as_the_clause() -> None:
    data = model_file(default_model_clause())

    assert data.startswith(b"# An adopted model")
    read = read_back(data)
    assert read["digest"] == default_model_clause().digest
    assert read["converted"] == default_model.CONVERTED
    assert read["files"] == [
        {"path": default_model.FILE, "size": default_model.FILE_SIZE, "sha256": default_model.FILE_SHA256}
    ]
    assert model_path("default") == "models/default.toml"


def test_a_remote_models_file_says_that_its_weights_cannot_be_checked() -> None:
    clause = adopted_model(REMOTE, {})
    text = model_file(clause).decode()

    assert clause.digest == ""
    assert text.startswith("# An adopted model on another server: its weights cannot be checked")
    assert read_back(text.encode())["remote_model"] == "Qwen/Qwen3-32B"


@given(st.text(max_size=250), st.text(), st.text(), st.integers(1, 2**31))
def test_whatever_a_publisher_wrote_becomes_a_clause_that_reads_back(
    name: str, licence: str, source: str, context: int
) -> None:
    manifest = replace(LOCAL, name=name, licence=licence, source=source, context_length=context)
    clause = adopted_model(manifest, {})

    assert read_model_file(clause) == clause


def test_publishers_names_are_tidied_into_one_line() -> None:
    clause = adopted_model(replace(LOCAL, name=" Big\n\u200b\u3164model ", licence="", source="x" * 3000), {})

    assert (clause.name, clause.licence, len(clause.source)) == ("Big model", "unknown", 2000)
    assert clause.digest == LOCAL.digest
    assert adopted_model(replace(LOCAL, name="\x00"), {}).name == "big"


@pytest.mark.parametrize("clause", [default_model_clause(), adopted_model(REMOTE, {}), adopted_model(LOCAL, {})])
def test_the_charter_reads_a_model_file_as_the_clause_that_it_was_made_of(clause: Model) -> None:
    assert read_model_file(clause) == clause


def test_only_a_known_publisher_gets_a_link_to_its_card() -> None:
    assert training_summary("huggingface:owner/name@abc/file.gguf") == "https://huggingface.co/owner/name"
    assert training_summary("file:model.gguf") == ""
    assert training_summary("huggingface:owner") == ""
