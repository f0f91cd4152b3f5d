"""``commun receipt verify`` and ``commun-verify``: words, JSON, exit status, in a process of its own."""

import importlib.util
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import corpus
import derived
import world
from commun.ledger.tiles import pack_entries
from commun.receipts.command import main
from commun.receipts.verification import NOT_PROVEN

FOLDER = corpus.FOLDER
WHOLE = FOLDER / "golden/complete.bundle.json"
PENDING = FOLDER / "golden/pending.bundle.json"
FORK = FOLDER / "broken/fork.bundle.json"
PIN = ("--charter", world.second().first_root)
ROOT = Path(__file__).parents[2]
# What pip installs with cryptography, rfc8785 and tuf.
NEEDED = ("cryptography", "rfc8785", "tuf", "securesystemslib", "urllib3", "cffi", "_cffi_backend", "pycparser")
MOST_SECONDS = 3.0  # of a processor, a bound for a busy machine; benchmarks tell the figure for a quiet one


def commun(*arguments: str, language: str = "en", **other: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "commun.cli", "receipt", "verify", *arguments],
        env=os.environ | {"COMMUN_LANGUAGE": language, "PYTHONIOENCODING": "utf-8"} | other,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_whole_bundle_is_verified_and_what_is_not_proven_told() -> None:
    done = commun(str(WHOLE), *PIN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("Verified: every step holds.\n")
    assert all(sentence in done.stdout for sentence in NOT_PROVEN)
    assert [line[:4] for line in done.stdout.splitlines() if line[2:3].isdigit()] == [f"  {at}." for at in range(1, 9)]


def test_a_pending_bundle_is_status_2_and_says_what_is_missing() -> None:
    done = commun(str(PENDING), *PIN)
    assert done.returncode == 2
    assert "… The ledger's proof is pending" in done.stdout


def test_a_copy_of_the_ledger_derives_a_seed_again(tmp_path: Path) -> None:
    made = derived.bundle(shown=("opened",))
    bundle, log = tmp_path / "answer.bundle.json", tmp_path / "ledger"
    bundle.write_bytes(made.data())
    entries = derived.entries_with(derived.signed().entry)
    (log / "tile/entries").mkdir(parents=True)
    (log / f"tile/entries/000.p/{len(entries)}").parent.mkdir()
    (log / f"tile/entries/000.p/{len(entries)}").write_bytes(pack_entries(entries))
    (log / "checkpoint").write_bytes(world.Ledger(entries).checkpoint())
    said = "The secret was published later, as entry 8, and gives this very seed."
    assert said not in commun(str(bundle), *PIN).stdout
    done = commun(str(bundle), *PIN, "--log", str(log))
    assert (done.returncode, said in done.stdout) == (0, True), done.stdout
    (log / f"tile/entries/000.p/{len(entries)}").write_bytes(b"\x00")
    assert commun(str(bundle), *PIN, "--log", str(log)).returncode == 1


def test_a_broken_bundle_is_status_1_and_names_step_and_reason() -> None:
    done = commun(str(FORK), *PIN)
    assert done.returncode == 1
    assert "REFUSED at step 7" in done.stdout
    assert "(fork)" in done.stdout


def test_json_is_for_programs(tmp_path: Path) -> None:
    policy = tmp_path / "policy.txt"
    policy.write_text(world.policy_of())
    done = commun(str(WHOLE), *PIN, "--policy", str(policy), "--key", world.SIGNER.key.text(), "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"], report["reason"]) == (0, "verified", None)
    assert report["statement"]["charter"]["edition"] == 2


@pytest.mark.parametrize(
    "wrong", [(), ("--policy",), ("no such file",), (str(WHOLE), "--charter"), ("a", "b"), ("x", "--no")]
)
def test_a_wrong_command_line_is_no_verdict(wrong: tuple[str, ...]) -> None:
    done = commun(*wrong)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr


def test_a_terminal_without_the_letters_stops_nothing() -> None:
    assert commun(str(WHOLE), *PIN, PYTHONIOENCODING="ascii").returncode == 0


def test_the_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with WHOLE.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert main(["-", *PIN], str) == 0
    assert "Verified" in capsys.readouterr().out


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verifier", ROOT / "tools/verifier.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("single") / "commun-verify"
    builder().build(path)
    return path


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what pip would have installed for it, and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    for name in NEEDED:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            place = origin.parent if origin.name == "__init__.py" else origin
            (folder / place.name).symlink_to(place)
    return folder


def alone(single: Path, bare: Path, *arguments: str, language: str = "en") -> subprocess.CompletedProcess[str]:
    """Without site-packages, environment or the folder it is started in."""
    code = "import runpy, sys; sys.path.append(sys.argv[1]); del sys.argv[:2]; runpy.run_path(sys.argv[0], run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-X", "utf8", "-c", code, str(bare), str(single), *arguments],
        env={"COMMUN_LANGUAGE": language},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_single_file_needs_three_packages_and_gives_the_same_verdicts(single: Path, bare: Path) -> None:
    for path, status in ((WHOLE, 0), (PENDING, 2), (FORK, 1)):
        done = alone(single, bare, str(path), *PIN, "--json")
        assert done.returncode == status, done.stderr
        assert done.stdout == commun(str(path), *PIN, "--json").stdout
    assert "commun-verify" in alone(single, bare, "--help").stdout


def test_the_single_file_speaks_french(single: Path, bare: Path) -> None:
    assert alone(single, bare, str(WHOLE), *PIN, language="fr").returncode == 0


def test_the_single_file_holds_the_verifier_and_nothing_of_the_server(single: Path, tmp_path: Path) -> None:
    build = builder().build
    names = build(tmp_path / "one")
    build(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    inside = {"/".join(name.split("/")[:2]) for name in names if name.endswith(".py") and name.count("/") > 1}
    assert inside == {"commun/charter", "commun/ledger", "commun/receipts"}
    assert not [name for name in names if "amendment" in name or "log.py" in name or "issue" in name]
    assert single.stat().st_size < 400_000


def test_the_single_file_is_quick(single: Path, bare: Path) -> None:
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert alone(single, bare, str(WHOLE), *PIN).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert any(seconds() < MOST_SECONDS for _ in range(5))  # again where neighbours slowed the processor down


def test_importing_the_verification_loads_neither_tuf_nor_a_server() -> None:
    code = "import sys, commun.receipts.command; print([n for n in ('tuf', 'typer', 'sqlalchemy', 'starlette', 'rich') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
