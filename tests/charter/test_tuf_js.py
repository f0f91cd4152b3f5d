"""What Commun publishes is TUF to others, too: npm's tuf-js fetches and verifies it over HTTP.

Its lock has integrity hashes and no host; the packages come from wherever npm is configured to get them. Where node or
npm is missing, or npm gets nothing, the tests are skipped with their reason; in CI (CI=true) they fail.
"""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from boards import NAMES, charter_files, signer
from commun.charter.adoption import adopt
from commun.charter.amendment import propose, sign
from commun.charter.loader import verify as verify_charter
from commun.charter.repository import Repository
from tuf_repository import TufRepository

SOURCE = Path(__file__).parent / "tuf_js"
CLIENT = Path(__file__).parents[1] / "conformance" / "tuf_client"
INSTALL_S = 600
RUN_S = 300


def without(reason: str) -> None:
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"in CI this must run: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def tuf_js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with verify.js and its packages, exactly those of the lock."""
    if not shutil.which("node") or not shutil.which("npm"):
        without("node and npm are not installed")
    folder = tmp_path_factory.mktemp("tuf_js")
    for name in ("package.json", "package-lock.json", "verify.js"):
        shutil.copy(SOURCE / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        installed = subprocess.run(command, cwd=folder, capture_output=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        without("npm did not get tuf-js in time")
    if installed.returncode != 0:
        without("npm could not get tuf-js")
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass


class Site:
    """The published folder, served as it is; a client's folder with the first root in it."""

    def __init__(self, folder: Path) -> None:
        self.published = folder / "published"
        self.client = folder / "client"
        self.client.mkdir(parents=True)
        self.published.mkdir()
        handler = functools.partial(Quiet, directory=str(self.published))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def write(self, repository: TufRepository) -> None:
        for name, data in repository.files.items():
            path = self.published / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.trust_first_root()

    def trust_first_root(self) -> None:
        if not (self.client / "root.json").exists():
            shutil.copy(self.published / "metadata" / "1.root.json", self.client / "root.json")

    def change_one_bit(self, ending: str) -> None:
        path = next(path for path in self.published.rglob("*") if path.name.endswith(ending))
        data = bytearray(path.read_bytes())
        data[0] ^= 1
        path.write_bytes(data)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield site
    site.server.shutdown()
    thread.join()
    site.server.server_close()


@pytest.fixture
def repository() -> TufRepository:
    # tuf-js has no other clock than the machine's.
    return TufRepository(expires=datetime.now(UTC).replace(microsecond=0) + timedelta(days=30))


def verify(tuf_js: Path, site: Site, *paths: str) -> subprocess.CompletedProcess[str]:
    command = ["node", str(tuf_js / "verify.js"), str(site.client), site.url, *paths]
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_tuf_js_verifies_what_a_quorum_has_signed(tuf_js, site, repository):
    site.write(repository)
    done = verify(tuf_js, site, "charter.toml", "prompts/system.en.md")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["targets"] == {
        "charter.toml": digest(b'name = "Test"\n'),
        "prompts/system.en.md": digest(b"Be kind.\n"),
    }
    assert found["edition"]["format"] == "commun-edition/1"


def test_tuf_js_follows_a_change_of_the_board(tuf_js, site, repository):
    site.write(repository)
    assert verify(tuf_js, site).returncode == 0
    repository.replace_member(0)
    repository.replace_member(1)
    repository.publish({"charter.toml": b"of the new board\n"})
    site.write(repository)
    done = verify(tuf_js, site, "charter.toml")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["root"] == 3
    assert json.loads(done.stdout)["targets"]["charter.toml"] == digest(b"of the new board\n")


def test_tuf_js_refuses_a_target_that_was_changed_by_one_bit(tuf_js, site, repository):
    site.write(repository)
    site.change_one_bit(".charter.toml")
    done = verify(tuf_js, site, "charter.toml")
    assert done.returncode == 1
    assert "Mismatch" in done.stderr


def test_tuf_js_refuses_what_less_than_a_quorum_has_signed(tuf_js, site, repository):
    site.write(repository)
    repository.quorum = 2
    repository.publish({"charter.toml": b"of two\n"})
    site.write(repository)
    done = verify(tuf_js, site, "charter.toml")
    assert done.returncode == 1
    assert "Unsigned" in done.stderr or "signed by" in done.stderr


def adopt_edition(site: Site, names: Sequence[str], *, system: str) -> None:
    """The whole way: proposed, signed by three, adopted into the folder that is served."""
    now = datetime.now(UTC)
    repository, trust = Repository(site.published), site.client.parent / "trust"
    base = verify_charter(repository, trust, now=now) if repository.has_charter() else None
    files = charter_files(names, system=system, until=f"{now + timedelta(days=300):%Y-%m-%d}")
    amendment = propose(files, base and base.in_force, base and base.root, reason="Because.", now=now)
    for name in NAMES[:3]:
        amendment = sign(amendment, signer(name), now=now)
    adopt(repository, trust, amendment, now=now)
    site.trust_first_root()


def test_tuf_js_verifies_an_adopted_charter_and_the_next_one_of_another_board(tuf_js, site):
    for number, names in ((1, NAMES), (2, (*NAMES[:4], "Farid"))):
        system = f"Edition {number} answers briefly."
        adopt_edition(site, names, system=system)
        done = verify(tuf_js, site, "charter.toml", "prompts/system.en.md")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["root"], found["edition"]["edition"]) == (number, number)
        assert found["targets"]["prompts/system.en.md"] == digest(system.encode())
    site.change_one_bit(f"{digest(system.encode())}.system.en.md")
    assert verify(tuf_js, site, "charter.toml").returncode == 0
    assert verify(tuf_js, site, "prompts/system.en.md").returncode == 1


def test_the_conformance_client_reads_the_same_repository(site, repository):
    """Its command line, without the suite: ``make conformance`` needs what is not everywhere."""
    site.write(repository)

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        folders = ["--metadata-dir", str(site.client), "--metadata-url", f"{site.url}/metadata/"]
        return subprocess.run(
            [sys.executable, CLIENT, *folders, *command], capture_output=True, text=True, timeout=RUN_S, check=False
        )

    assert run("init", str(site.published / "metadata" / "1.root.json")).returncode == 0
    refreshed = run("refresh")
    assert refreshed.returncode == 0, refreshed.stderr
    download = ["--target-base-url", f"{site.url}/targets/", "--target-dir", str(site.client / "got")]
    assert run(*download, "--target-name", "prompts/system.en.md", "download").returncode == 0
    assert (site.client / "got" / "prompts%2Fsystem.en.md").read_bytes() == b"Be kind.\n"
    site.change_one_bit(".charter.toml")
    refused = run(*download, "--target-name", "charter.toml", "download")
    assert refused.returncode == 1
    assert "WrongFile" in refused.stderr
