"""Three organisations run a Commun each and witness each other's ledgers; one of them rewrites its history.

Real processes (``commun serve``), real charters, keys and ledgers; the models are on another server that nobody asks.
"""

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from commun.charter.clauses import Model
from commun.charter.keys import SoftwareKey
from commun.cli.witness import witness_of
from commun.ledger.checkpoint import read_checkpoint
from commun.ledger.comparison import Evidence
from commun.ledger.cosignature import open_checkpoint
from commun.ledger.errors import TooFewWitnesses
from commun.ledger.files import LogFolder
from commun.ledger.keys import VerifierKey
from commun.ledger.opening import create_log, find_key
from commun.ledger.policy import Policy
from commun.ledger.tiles import read_entries
from commun.places import KEYS_FOLDER, LEDGER_FOLDER
from commun.store.database import DATABASE_FILE
from founded import amend_for_tests, found_for_tests
from running import RunningCommun

NAMES = ("town", "library", "school")
SECONDS = 120
REMOTE = Model(
    *("far", "Far away", "qwen3", 8192, "remote", "Apache-2.0", "https://models.example/far", "", "", (), ()),
    url="http://127.0.0.1:9/v1",
    remote_model="far",
)


def until(what: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.05)


@dataclass
class Organisation:
    name: str
    home: Path
    founder: SoftwareKey
    commun: RunningCommun
    policy: Policy | None = None

    @property
    def key(self) -> VerifierKey:
        """The ledger's."""
        found = find_key(self.home / KEYS_FOLDER / "ledger.key")
        assert found is not None
        return found.verifier

    @property
    def witness_url(self) -> str:
        return f"{self.commun.url}/witness"

    def has_ledger(self) -> bool:
        return (self.home / KEYS_FOLDER / "ledger.key").exists()

    def head(self) -> bytes:
        data = LogFolder(self.home / LEDGER_FOLDER).find_checkpoint()
        assert data is not None
        return data

    def size(self) -> int:
        return read_checkpoint(self.head())[0].size

    def is_witnessed(self) -> bool:
        """Whether everybody whom its charter asks has cosigned the newest head."""
        assert self.policy is not None
        with contextlib.suppress(TooFewWitnesses):
            self.policy.check(self.head(), logs=[self.key])
            return True
        return False

    def cosigners(self) -> set[str]:
        """Whose lines are below the newest head."""
        assert self.policy is not None
        names = {item.key: item.name.decode() for item in self.policy.witnesses}
        signed = open_checkpoint(self.head(), log=[self.key], others=list(names))
        return {names[item.key] for item in signed.cosignatures[1:]}

    def evidence(self) -> list[Path]:
        return sorted((self.home / "witness" / "evidence").glob("*.json"))

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "commun.cli", *map(str, words)]
        return subprocess.run(
            command, env=self.commun.environment, capture_output=True, text=True, check=False, timeout=SECONDS
        )


@pytest.fixture
def three(tmp_path: Path) -> Iterator[dict[str, Organisation]]:
    """Each with its own charter, running, and knowing the others' ledgers as a witness."""
    with contextlib.ExitStack() as stack:
        made = {}
        for name in NAMES:
            founder = found_for_tests(tmp_path / name, model=REMOTE)
            commun = stack.enter_context(RunningCommun(tmp_path / name))
            made[name] = Organisation(name, tmp_path / name, founder, commun)
        until(lambda: all(one.has_ledger() for one in made.values()), "no ledger began")
        for one in made.values():
            for other in made.values():
                if other is not one:
                    witness_of(one.home).add_log(other.key)
        yield made
        for one in made.values():
            one.commun.stop()


def adopt_witnesses(one: Organisation, others: list[Organisation]) -> None:
    """A new edition whose policy names the other two, and wants both."""
    lines = [f"witness {other.name} {witness_key(other)} {other.witness_url}" for other in others]
    text = "\n".join([*lines, f"group others all {' '.join(other.name for other in others)}", "quorum others", ""])
    amend_for_tests(one.home, one.founder, {'[witnesses]\npolicy = ""': f"[witnesses]\npolicy = {json.dumps(text)}"})
    one.policy = Policy.from_bytes(text.encode())


def witness_key(one: Organisation) -> str:
    """As another organisation reads it: over HTTP."""
    return httpx2.get(f"{one.witness_url}/key").text.splitlines()[0]


def rewrite_history(one: Organisation) -> None:
    """As only its own operator can: with the ledger's real key, and with everything removed that would remember."""
    folder = one.home / LEDGER_FOLDER
    size = one.size()
    entries = list(read_entries(0, size, LogFolder(folder).find))
    changed = list(entries)
    at = next(number for number, entry in enumerate(entries) if b"commun/software/1" in entry)
    changed[at] = entries[at].replace(b'"commun":"', b'"commun":"0.')
    assert changed != entries
    key = find_key(one.home / KEYS_FOLDER / "ledger.key")
    assert key is not None
    shutil.rmtree(folder)
    log = create_log(folder, key)
    log.append(changed)
    log.close()
    for file in one.home.glob(f"{DATABASE_FILE}*"):
        file.unlink()


def test_three_communs_witness_each_other_and_the_one_that_rewrites_its_history_is_caught(three, tmp_path) -> None:
    town, library, school = three.values()
    for one in three.values():
        adopt_witnesses(one, [other for other in three.values() if other is not one])
    until(lambda: all(one.is_witnessed() for one in three.values()), "not everybody was witnessed")
    assert f"{town.size()} entries" in library.run("witness", "list").stdout

    # One of them stops, rewrites an old entry with its own key, and starts again.
    origin = hashlib.sha256(town.key.name.encode()).hexdigest()
    seen_by_library = httpx2.get(f"{library.witness_url}/{origin}/checkpoint").content
    open_checkpoint(seen_by_library, log=[town.key])
    town.commun.stop()
    rewrite_history(town)
    town.commun = RunningCommun(town.home)
    try:
        until(lambda: library.evidence() != [] and school.evidence() != [], "no evidence was kept")
        until(lambda: any("another history" in line for line in town.commun.output), "it was not told loudly")
        assert town.cosigners() == set()
        for witness in (library, school):
            for file in witness.evidence():  # the witness had a head of the very size that the other history has
                Evidence.from_bytes(file.read_bytes()).check([town.key])
            assert any("two histories" in line for line in witness.commun.output)
        assert "TWO HISTORIES" in school.run("witness", "list").stdout

        # A reader who has the head that a witness saw needs no witness any more.
        head, file = tmp_path / "head-that-library-saw", tmp_path / "evidence.json"
        head.write_bytes(seen_by_library)
        for shown in (town.home / LEDGER_FOLDER, f"{town.commun.url}/ledger"):
            compared = library.run("ledger", "compare", head, shown, "--vkey", town.key.text(), "--evidence", file)
            assert compared.returncode == 3, compared.stdout + compared.stderr
            assert "TWO HISTORIES" in compared.stdout
            Evidence.from_bytes(file.read_bytes()).check([town.key])
            file.unlink()

        # The honest ones go on witnessing each other.
        before = library.size()
        amend_for_tests(library.home, library.founder, {'name = "Commun"': 'name = "The library’s Commun"'})
        until(lambda: library.size() > before, "nothing was recorded")
        assert not library.is_witnessed(), "its charter wants the town's cosignature too, and the town has moved"
        until(lambda: library.cosigners() == {"school"}, "the school did not cosign")
    finally:
        town.commun.stop()
