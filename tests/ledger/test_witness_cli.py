"""commun witness: whom it witnesses, its key, what it has seen."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from commun.cli.witness import witness_app, witness_of
from commun.errors import ConfigError, NotFound
from commun.ledger.errors import BadLogKey, BadPolicy
from commun.ledger.keys import ED25519_COSIGNATURE, ML_DSA_44, VerifierKey
from commun.ledger.witness import NotConsistent
from test_witness import KEY, ORIGIN, head, submission
from test_witness_state import FORKED


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def command(*words: str, **environment: str) -> str:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(witness_app, [*words, "--home", str(tmp_path)])
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return command


def test_the_key_is_printed_alone_and_is_the_same_each_time(run) -> None:
    line = run("key", "--name", "witness.example/w1").strip()
    assert VerifierKey.from_text(line).kind == ED25519_COSIGNATURE
    assert VerifierKey.from_text(line).name == "witness.example/w1"
    assert run("key").strip() == line
    assert VerifierKey.from_text(run("key", "--ml-dsa").strip()).kind == ML_DSA_44
    with pytest.raises(ConfigError):
        run("key", "--name", "another.example")


def test_a_public_address_names_the_witness(run) -> None:
    line = run("key", COMMUN_PUBLIC_URL="https://chat.example.org/").strip()
    assert VerifierKey.from_text(line).name == "chat.example.org/witness"


def test_a_ledger_is_added_listed_and_removed(run, tmp_path) -> None:
    assert "No ledger is witnessed" in run("list")
    file = tmp_path / "ledger.vkey"
    file.write_text(KEY.verifier.text() + "\n")
    assert run("key").strip() in run("add", str(file), "https://log.example/ours")
    shown = run("list")
    assert f"{ORIGIN}  https://log.example/ours" in shown
    assert "nothing cosigned yet" in shown
    with pytest.raises(BadPolicy):
        run("add", KEY.verifier.text())
    with pytest.raises(BadLogKey):
        run("add", "nonsense")
    witness = witness_of(tmp_path)
    witness.add_checkpoint(submission(0, 7).data())
    with pytest.raises(NotConsistent):
        witness.add_checkpoint(submission(7, 7, FORKED).data())
    with pytest.raises(NotConsistent):
        witness.add_checkpoint(submission(7, 12, FORKED).data())
    shown = run("list")
    assert f"7 entries, root {head(7).root.hex()}" in shown
    assert shown.count("TWO HISTORIES") == 2
    run("remove", ORIGIN)
    assert "No ledger is witnessed" in run("list")
    with pytest.raises(NotFound):
        run("remove", KEY.verifier.text())
