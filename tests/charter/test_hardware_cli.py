"""A member whose key is on a device works on the command line like any other: joins, signs, freezes."""

import re

import pytest
from typer.testing import CliRunner

from commun.cli import app
from test_hardware import PIN, device, module_path, uri  # noqa: F401  (fixtures)


def run(home, *words) -> str:
    result = CliRunner().invoke(app, ["charter", *map(str, words), "--home", str(home)])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def secrets(tmp_path):
    (tmp_path / "passphrase").write_text("correct horse battery")
    (tmp_path / "pin").write_text(PIN + "\n")
    return tmp_path


def test_a_device_joins_signs_and_freezes(device, secrets, tmp_path):  # noqa: F811  (the fixture)
    alice, zoe = tmp_path / "alice", tmp_path / "zoe"
    by_file = ["--passphrase-file", secrets / "passphrase"]
    by_device = ["--hardware", uri(device), "--passphrase-file", secrets / "pin"]
    run(alice, "init", "--member", "Alice", *by_file)
    (tmp_path / "invitation").write_text(run(alice, "board", "invite", "Zoé"))
    run(zoe, "board", "join", tmp_path / "invitation", "--out", tmp_path / "request", "--yes", *by_device)
    run(alice, "board", "add", tmp_path / "request", "--reason", "A key that cannot be copied", "--yes", *by_file)
    run(alice, "show", "--folder", tmp_path / "draft")
    prompt = tmp_path / "draft" / "prompts" / "system.en.md"
    prompt.write_text(prompt.read_text() + "\nBe brief.\n")
    output = run(alice, "propose", tmp_path / "draft", "--reason", "Shorter answers")
    amendment = re.search(r"Proposed as ([0-9a-f]{12})", output)[1]
    run(alice, "sign", amendment, "--yes", *by_device)
    assert "In force: edition 3." in run(alice, "adopt", amendment)
    assert "In force: edition 2." in run(alice, "freeze", "--reason", "Too brief", "--yes", *by_device)
    assert not (zoe / "keys").exists()
