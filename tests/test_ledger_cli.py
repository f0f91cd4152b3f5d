"""commun ledger: verify, tail, show, export, key; from folders and over HTTP, from sites that lie."""

import gzip
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from commun import fetching
from commun.charter.errors import NoCharter
from commun.cli import app
from commun.errors import ConfigError, NotFound
from commun.fetching import LogSite, NotReachable
from commun.ledger.entries import ReceiptStatement
from commun.ledger.errors import BadProof, LedgerError, MissingTile, NotSigned
from commun.ledger.files import LogFolder
from commun.ledger.keys import VerifierKey
from commun.ledger.log import OtherHead
from commun.ledger.merkle import leaf_hash
from commun.ledger.opening import make_key, open_log
from commun.ledger.policy import Policy
from commun.ledger.proof import LogProof
from commun.ledger.tiles import Tile, tiles_of
from commun.ledger.verification import ShrunkLog, verify_log
from founded import found_for_tests

ORIGIN = "chat.example.org/ledger"


def receipt(number: int) -> bytes:
    return ReceiptStatement(sha256=f"{number:064x}").data()


def grow(home: Path, count: int) -> None:
    log = open_log(home / "ledger", home / "keys" / "ledger.key", origin=ORIGIN)
    log.append([receipt(log.head.size + number) for number in range(count)])
    log.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    grow(tmp_path / "home", 300)
    return tmp_path / "home"


def run(home: Path, *words: str | Path) -> str:
    """What the command printed. Raises what it raised."""
    result = CliRunner().invoke(app, ["ledger", *map(str, words), "--home", str(home)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def site(home: Path) -> Iterator[str]:
    """The folder as any web server publishes it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(home))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/ledger"
        server.shutdown()
        thread.join()


def test_ones_own_ledger_verifies_with_nothing_more(home) -> None:
    shown = run(home, "verify")
    assert f"{ORIGIN}: 300 entries" in shown
    assert "All 300 entries are in the tree" in shown


def test_the_key_is_one_line_that_verifies_a_copy_anywhere(home, tmp_path) -> None:
    key = run(home, "key").strip()
    assert VerifierKey.from_text(key).name == ORIGIN
    assert "Signed by" in run(tmp_path / "nobody", "verify", home / "ledger", "--vkey", key)
    (tmp_path / "key").write_text(f"{key}\n")
    run(tmp_path / "nobody", "verify", home / "ledger", "--vkey", tmp_path / "key")
    with pytest.raises(NotSigned):
        run(home, "verify", home / "ledger", "--vkey", make_key(ORIGIN).verifier.text())
    with pytest.raises(ConfigError):
        run(home, "verify", home / "ledger")
    with pytest.raises(NotFound):
        run(tmp_path / "nobody", "key")


def test_the_policy_names_the_ledger_once_there_are_one_and_a_charter(home, tmp_path) -> None:
    with pytest.raises(NotFound):
        run(tmp_path / "nobody", "policy")
    with pytest.raises(NoCharter):
        run(home, "policy")
    found_for_tests(home)
    assert run(home, "policy") == f"log {run(home, 'key').strip()}\nquorum none\n"


def test_growth_since_a_saved_head_is_verified_and_a_rewritten_past_is_not(home, tmp_path) -> None:
    run(home, "verify", "--save", tmp_path / "head")
    grow(home, 10)
    shown = run(home, "verify", "--since", tmp_path / "head", "--save", tmp_path / "head")
    assert "the first 300 entries are those of the earlier head" in shown
    (home / "ledger").rename(tmp_path / "old")
    (home / "keys" / "ledger.key").rename(tmp_path / "key")
    (home / "ledger").mkdir()
    from commun.ledger.opening import create_log, find_key

    log = create_log(home / "ledger", find_key(tmp_path / "key"))
    log.append([b"other"] * 400)
    log.close()
    (tmp_path / "key").rename(home / "keys" / "ledger.key")
    run(home, "verify")
    with pytest.raises(BadProof):
        run(home, "verify", "--since", tmp_path / "head")


def test_tail_and_show_tell_entries_and_a_proof_that_holds(home) -> None:
    lines = run(home, "tail", "-n", "3").splitlines()
    assert lines == [f"{number}\t{receipt(number).decode()}" for number in (297, 298, 299)]
    entry, _, proof = run(home, "show", "42").partition("\n\n")
    assert entry.encode() == receipt(42)
    key = VerifierKey.from_text(run(home, "key").strip())
    LogProof.from_bytes(proof.encode()).check(
        leaf_hash(receipt(42)), Policy.from_bytes(f"log {key.text()}\nquorum none\n".encode())
    )
    with pytest.raises(NotFound):
        run(home, "show", "300")


def test_what_others_wrote_does_not_steer_the_terminal(home) -> None:
    log = open_log(home / "ledger", home / "keys" / "ledger.key", origin=ORIGIN)
    log.append([b"\x1b[2Jgone\n", "\u202etxet".encode(), b"\xff\x00", b"x" * 60_000])
    log.close()
    shown = run(home, "tail", "-n", "4")
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "0xff00" in shown
    assert len(shown.splitlines()) == 4
    assert len(shown) < 3000


def test_an_exported_folder_is_the_ledger_for_others_and_takes_what_comes_later(home, tmp_path) -> None:
    copy = tmp_path / "copy"
    key = VerifierKey.from_text(run(home, "key").strip())
    for size in (300, 305, 600):
        grow(home, size - verify_log(LogFolder(home / "ledger"), [key]).size)
        assert f"{size} entries" in run(home, "export", copy)
        assert verify_log(LogFolder(copy), [key]).size == size
    names = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file() and path.name != ".lock"}
    needed = {"checkpoint", *(tile.path() for tile in tiles_of(600))}
    assert names == needed | {"tile/1/000.p/1"}, "a partial tile stays until a full one takes its place"
    assert not (copy / ".staged").exists()
    grow(tmp_path / "other", 1)
    with pytest.raises(ConfigError):
        run(home, "export", home / "ledger")


def test_an_export_goes_neither_back_nor_over_another_ledger(home, tmp_path) -> None:
    run(home, "export", tmp_path / "early")
    grow(home, 5)
    run(home, "export", tmp_path / "copy")
    with pytest.raises(ShrunkLog):
        run(home, "export", tmp_path / "copy", "--from", tmp_path / "early")
    log = open_log(tmp_path / "o" / "ledger", tmp_path / "o" / "key", origin="other.example")
    log.close()
    with pytest.raises(OtherHead):
        run(home, "export", tmp_path / "copy", "--from", tmp_path / "o" / "ledger")


def test_a_ledger_is_verified_shown_and_copied_from_its_web_site(home, site, tmp_path) -> None:
    key = run(home, "key").strip()
    nobody = tmp_path / "nobody"
    assert "All 300 entries" in run(nobody, "verify", site, "--vkey", key)
    assert run(nobody, "tail", "-n", "1", "--from", f"{site}/") == run(home, "tail", "-n", "1")
    assert run(nobody, "show", "7", "--from", site) == run(home, "show", "7")
    run(nobody, "export", tmp_path / "copy", "--from", site)
    assert "All 300 entries" in run(nobody, "verify", tmp_path / "copy", "--vkey", key)
    tile = home / "ledger" / Tile(None, 0).path()
    tile.write_bytes(tile.read_bytes().replace(b"receipt", b"deceipt", 1))
    with pytest.raises(BadProof):
        run(nobody, "verify", site, "--vkey", key)
    tile.unlink()
    with pytest.raises(MissingTile):
        run(nobody, "verify", site, "--vkey", key)


def lying(answer: Callable[[httpx2.Request], httpx2.Response]) -> LogSite:
    return LogSite("https://log.example/a", transport=httpx2.MockTransport(answer))


@pytest.fixture(autouse=True)
def no_pause(monkeypatch) -> None:
    monkeypatch.setattr(fetching, "PAUSE_S", 0)


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(65_536)


REFUSED: dict[str, Callable[[httpx2.Request], httpx2.Response]] = {
    "another host": lambda _: httpx2.Response(302, headers={"location": "https://elsewhere.example/"}),
    "another scheme": lambda _: httpx2.Response(302, headers={"location": "http://log.example/a/checkpoint"}),
    "another port": lambda _: httpx2.Response(302, headers={"location": "https://log.example:444/"}),
    "no place": lambda _: httpx2.Response(302),
    "itself for ever": lambda request: httpx2.Response(302, headers={"location": str(request.url)}),
    "an endless answer": lambda _: httpx2.Response(200, content=endless()),
    "a gzip bomb": lambda _: httpx2.Response(
        200, headers={"content-encoding": "gzip"}, content=iter([gzip.compress(bytes(50_000_000))])
    ),
    "no gzip": lambda _: httpx2.Response(200, headers={"content-encoding": "gzip"}, content=iter([b"plain"])),
    "a cut gzip": lambda _: httpx2.Response(
        200, headers={"content-encoding": "gzip"}, content=iter([gzip.compress(os.urandom(999))[:-9]])
    ),
    "brotli": lambda _: httpx2.Response(200, headers={"content-encoding": "br"}, content=iter([b"x"])),
    "forbidden": lambda _: httpx2.Response(403),
    "busy for ever": lambda _: httpx2.Response(503),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_site_that_does_not_play_by_the_rules_is_refused(name) -> None:
    with pytest.raises(NotReachable):
        lying(REFUSED[name]).find_checkpoint()


def test_a_site_that_breaks_off_is_asked_again_and_then_refused() -> None:
    asked = 0

    def answer(_request: httpx2.Request) -> httpx2.Response:
        nonlocal asked
        asked += 1
        raise httpx2.ConnectError("no")

    with pytest.raises(NotReachable):
        lying(answer).find(Tile(0, 0))
    assert asked == fetching.ATTEMPTS


def test_files_are_asked_for_by_their_names_redirects_within_the_site_followed_gzip_unpacked() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        if request.url.path == "/a/tile/0/x001/234":
            return httpx2.Response(301, headers={"location": "/b"})
        if request.url.path == "/b":
            return httpx2.Response(200, headers={"content-encoding": "gzip"}, content=iter([gzip.compress(b"tile")]))
        return httpx2.Response(404)

    site = lying(answer)
    assert site.find(Tile(0, 1234)) == b"tile"
    assert site.find(Tile(None, 0, 7)) is None
    assert site.find_checkpoint() is None
    assert asked == [
        "https://log.example/a/tile/0/x001/234",
        "https://log.example/b",
        "https://log.example/a/tile/entries/000.p/7",
        "https://log.example/a/checkpoint",
    ]


@pytest.mark.parametrize(
    "url",
    ["ftp://log.example", "https://user@log.example/", "https:///x", "file:///etc/passwd", "https://log.example/?x"],
)
def test_an_address_of_another_kind_is_refused(url) -> None:
    with pytest.raises(NotReachable):
        LogSite(url)


def test_a_ledger_that_is_not_there_is_said_to_be_missing(tmp_path) -> None:
    with pytest.raises(LedgerError):
        run(tmp_path, "tail")
