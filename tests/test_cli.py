"""The command line as somebody types it: in a process of its own."""

import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from commun.cli import app

CHARTER_COMMANDS = (
    *("init", "show", "propose", "diff", "sign", "status", "adopt", "withdraw"),
    *("freeze", "unfreeze", "history", "verify", "passphrase"),
)
COMMANDS = [
    ["serve"],
    ["chat"],
    ["backup"],
    ["restore"],
    ["audit", "check"],
    ["audit", "calibrate"],
    ["audit", "sample"],
    *(["charter", name] for name in CHARTER_COMMANDS),
    *(["charter", "board", name] for name in ("invite", "join", "add", "remove")),
    *(["ledger", name] for name in ("verify", "tail", "show", "export", "key", "policy", "compare")),
    ["receipt", "verify"],
    ["receipt", "complete"],
    *(["witness", name] for name in ("serve", "key", "add", "remove", "list")),
    ["model", "list"],
    ["model", "add"],
    ["model", "use"],
    ["model", "remove"],
    ["config", "show"],
    ["config", "check"],
    ["user", "key"],
    ["user", "link"],
    ["user", "invite"],
]


def commun(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "commun.cli", *arguments],
        env=os.environ | {"COMMUN_HOME": str(home), "COMMUN_LANGUAGE": "en", "COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"commun {command[0]}" in result.output


def commands_of(group: Any, path: tuple[str, ...] = ()) -> list[list[str]]:
    """Every command below ``group``, as it is typed."""
    context = typer.Context(group)
    if not hasattr(group, "list_commands"):
        return [list(path)]
    inner = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    return [command for name, each in inner for command in commands_of(each, (*path, name))]


def test_every_command_is_in_the_list_above() -> None:
    assert sorted(commands_of(typer.main.get_command(app))) == sorted(COMMANDS)


def test_help_speaks_french_where_the_system_does(tmp_path: Path) -> None:
    text = commun("--help", home=tmp_path, COMMUN_LANGUAGE="fr").stdout
    assert "Les modèles de cette machine" in text


def test_a_wrong_setting_is_one_line_with_its_cure_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "commun.toml").write_text("prot = 8080\n")
    result = commun("config", "check", home=tmp_path)
    assert result.returncode == 1
    assert "prot" in result.stderr
    assert "commun config check" in result.stderr
    assert "Traceback" not in result.stderr


def test_options_go_over_the_environment_and_the_environment_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "commun.toml").write_text('port = 1001\nhost = "file.example"\nlog_level = "error"\n')
    shown = commun("config", "show", "--home", str(tmp_path), home=Path("elsewhere"), COMMUN_PORT="1002").stdout
    rows = {line.split()[0]: line.split()[1] for line in shown.splitlines() if len(line.split()) > 1}
    assert rows["port"] == "1002"
    assert rows["host"] == "file.example"
    assert rows["home"] == str(tmp_path)


def test_a_file_where_one_starts_it_may_name_the_data_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from commun.config import load_settings

    monkeypatch.delenv("COMMUN_HOME")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "commun.toml").write_text(f'home = "{tmp_path}/data"\nport = 1003\n')
    settings = load_settings()
    assert (settings.home, settings.port) == (tmp_path / "data", 1003)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    assert "hunter2" not in commun("config", "show", home=tmp_path, COMMUN_REMOTE_KEY="hunter2").stdout


def test_an_api_key_is_made_and_printed_alone_so_that_scripts_can_use_it(tmp_path: Path) -> None:
    result = commun("user", "key", "laptop", home=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().startswith("cm_")
    assert len(result.stdout.split()) == 1


def test_an_invitation_is_printed_alone_and_stored_as_its_hash(tmp_path: Path) -> None:
    result = commun("user", "invite", "--note", "Claire", "--days", "3", home=tmp_path)
    assert result.returncode == 0, result.stderr
    address, _, token = result.stdout.strip().rpartition("/invitation/")
    assert address.startswith("http://")
    with contextlib.closing(sqlite3.connect(tmp_path / "commun.db")) as database:
        [(stored, role, note, made_by)] = database.execute("SELECT token_hash, role, note, made_by FROM invitations")
    assert stored == hashlib.sha256(token.encode()).digest()
    assert (role, note, made_by) == ("member", "Claire", None)


def test_an_unknown_model_names_the_cure(tmp_path: Path) -> None:
    result = commun("model", "use", "no-such-model", home=tmp_path)
    assert result.returncode == 1
    assert "commun model list" in result.stderr


def test_a_port_that_is_taken_is_said_plainly(tmp_path: Path) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = commun("serve", "--port", str(other.getsockname()[1]), home=tmp_path)
    assert result.returncode == 1
    assert "--port" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_data_folder_that_cannot_be_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    for place, reason in (
        (tmp_path / "note.txt", "a file and no folder"),
        (tmp_path / "note.txt" / "x", "lies in a file"),
    ):
        for command in (("serve", "--port", "0"), ("user", "link")):
            result = commun(*command, home=place)
            assert result.returncode == 1, result.stderr
            assert str(place) in result.stderr
            assert reason in result.stderr
            assert "--home" in result.stderr
            assert "Traceback" not in result.stderr
    assert (tmp_path / "note.txt").read_text() == "mine"


def test_a_database_that_cannot_be_upgraded_is_said_and_left_as_it_was(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "commun.db")) as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('0003')")
        database.commit()
    result = commun("serve", "--port", "0", home=tmp_path)
    assert result.returncode == 1
    assert "It is as it was" in result.stderr
    assert "no such table" in result.stderr, "what to report stands in the log"
    with contextlib.closing(sqlite3.connect(tmp_path / "commun.db")) as database:
        assert [row[0] for row in database.execute("SELECT name FROM sqlite_master")] == ["alembic_version"]


def test_importing_the_command_line_imports_neither_server_nor_engine() -> None:
    heavy = ["openvino", "openvino_genai", "numpy", "sqlalchemy", "starlette", "uvicorn", "jinja2", "cryptography"]
    code = f"import sys, json, commun.cli; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(loaded) == []
