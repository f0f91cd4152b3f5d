"""The witness over HTTP as a ledger meets it, and the ledger's client before witnesses that misbehave."""

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import uvicorn

from commun import fetching
from commun.app import build_witness
from commun.config import load_settings
from commun.fetching import MAX_WITNESS_ANSWER, NotReachable, WitnessSite
from commun.ledger.cosignature import open_checkpoint
from commun.ledger.keys import VerifierKey
from commun.ledger.note import read_signature_lines
from commun.ledger.witness import MAX_REQUEST_BYTES
from commun.running import create_witness_app
from test_witness import KEY, ORIGIN, signed, submission
from test_witness_state import FORKED

HASH = hashlib.sha256(ORIGIN.encode()).hexdigest()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    build_witness(load_settings(home=tmp_path)).add_log(KEY.verifier)
    return tmp_path


@pytest.fixture
def url(home: Path) -> Iterator[str]:
    app = create_witness_app(load_settings(home=home, log_level="error", public_url="https://w.example"))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/witness"
    server.should_exit = True
    thread.join()


def test_a_ledger_gets_its_lines_and_everybody_the_cosigned_head(url) -> None:
    site = WitnessSite(url)
    keys = [VerifierKey.from_text(line) for line in httpx2.get(f"{url}/key").text.splitlines()]
    assert [key.name for key in keys] == ["w.example/witness"] * 2
    assert httpx2.get(f"{url}/{HASH}/checkpoint").status_code == 404
    for old, size in ((0, 7), (7, 7), (7, 12)):
        request = submission(old, size)
        answer = site.add_checkpoint(request.data())
        assert answer.status == 200
        note = request.note.with_signatures(read_signature_lines(answer.data.decode()))
        assert len(open_checkpoint(note.data(), log=[KEY.verifier], others=keys).cosignatures) == 3
    shown = httpx2.get(f"{url}/{HASH}/checkpoint")
    assert shown.status_code == 200
    assert shown.headers["content-type"].startswith("text/plain")
    assert len(open_checkpoint(shown.content, log=[KEY.verifier], others=keys).cosignatures) == 3
    site.close()


def test_each_refusal_has_the_status_of_the_specification(url, home) -> None:
    site = WitnessSite(url)
    assert site.add_checkpoint(submission(0, 7).data()).status == 200
    conflict = site.add_checkpoint(submission(3, 12).data())
    assert (conflict.status, conflict.media_type.split(";")[0], conflict.data) == (409, "text/x.tlog.size", b"7\n")
    wanted = {
        b"": 400,
        submission(0, 7).data().replace(ORIGIN.encode(), b"other.example"): 404,
        submission(7, 12).data().replace(b"\n12\n", b"\n13\n"): 403,
        submission(9, 9).data().replace(b"old 9", b"old 10"): 400,
        submission(7, 12, FORKED).data(): 422,
        submission(7, 7, FORKED).data(): 422,
        b"x" * (MAX_REQUEST_BYTES + 1): 413,
    }
    for request, status in wanted.items():
        answer = httpx2.post(f"{url}/add-checkpoint", content=request)
        assert answer.status_code == status, request
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text.count("\n") == 1
    assert len(list((home / "witness" / "evidence").iterdir())) == 2
    endless = httpx2.post(f"{url}/add-checkpoint", content=(b"x" * 65536 for _ in range(100)))
    assert endless.status_code == 413
    for path in ("x/checkpoint", "..%2F..%2Fkeys/checkpoint", f"{HASH.upper()}/checkpoint", "", "add-checkpoint/x"):
        assert httpx2.get(f"{url}/{path}").status_code == 404, path
    assert httpx2.get(f"{url}/add-checkpoint").status_code == 405
    (home / "witness" / "logs").write_text("nonsense\n")
    stopped = httpx2.post(f"{url}/add-checkpoint", content=submission(7, 12).data())
    assert stopped.status_code == 503
    assert stopped.headers["retry-after"]


def test_a_witness_without_ledgers_says_nothing_and_makes_no_key(url, home) -> None:
    (home / "witness" / "logs").write_text("# nobody yet\n")
    for path in ("key", f"{HASH}/checkpoint"):
        assert httpx2.get(f"{url}/{path}").status_code == 404
    assert httpx2.post(f"{url}/add-checkpoint", content=submission(0, 7).data()).status_code == 404
    assert not (home / "keys").exists()


# --- the ledger's client ---


def site_that(answer) -> WitnessSite:
    return WitnessSite("https://w.example/witness/", transport=httpx2.MockTransport(answer))


def test_the_request_goes_below_the_submission_prefix_and_its_answer_is_bounded() -> None:
    seen = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.method, str(request.url), request.read()))
        return httpx2.Response(200, content=iter([b"x" * (MAX_WITNESS_ANSWER + len(seen) - 1)]))

    site = site_that(answer)
    assert len(site.add_checkpoint(b"hello").data) == MAX_WITNESS_ANSWER
    assert seen == [("POST", "https://w.example/witness/add-checkpoint", b"hello")]
    with pytest.raises(NotReachable, match="longer than it can be"):
        site.add_checkpoint(b"hello")


@pytest.mark.parametrize(
    "target", ["http://w.example/x", "https://w.example:8443/x", "https://evil.example/x", "http://["]
)
def test_a_redirect_to_another_place_is_not_followed(target: str) -> None:
    site = site_that(lambda _request: httpx2.Response(307, headers={"location": target}))
    with pytest.raises(NotReachable, match="another place"):
        site.add_checkpoint(b"hello")


def test_a_redirect_that_would_lose_the_body_is_an_answer_and_one_that_keeps_it_is_followed() -> None:
    def site(status: int) -> WitnessSite:
        def answer(request: httpx2.Request) -> httpx2.Response:
            if request.url.path.endswith("/new"):
                return httpx2.Response(200, content=iter([request.read()]))
            return httpx2.Response(status, headers={"location": "/new"})

        return site_that(answer)

    assert [site(status).add_checkpoint(b"hello").status for status in (301, 302, 303)] == [301, 302, 303]
    assert [site(status).add_checkpoint(b"hello").data for status in (307, 308)] == [b"hello", b"hello"]
    with pytest.raises(NotReachable, match="too often"):
        site_that(lambda _request: httpx2.Response(308, headers={"location": "/again"})).add_checkpoint(b"")


def test_an_answer_that_trickles_has_an_end(monkeypatch) -> None:
    monkeypatch.setattr(fetching, "WITNESS_S", 0.05)

    def trickle() -> Iterator[bytes]:
        while True:
            time.sleep(0.02)
            yield b"x"

    with pytest.raises(NotReachable, match="too long"):
        site_that(lambda _request: httpx2.Response(200, content=trickle())).add_checkpoint(b"")


@pytest.mark.parametrize(
    "url", ["", "ftp://w.example", "https://", "https://me@w.example", "https://w.example?x", "http://["]
)
def test_what_is_no_address_of_a_witness_is_refused(url: str) -> None:
    with pytest.raises(NotReachable):
        WitnessSite(url)


def test_a_witness_that_is_not_there_is_one_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NotReachable):
        WitnessSite(f"http://127.0.0.1:{port}/witness").add_checkpoint(signed.__name__.encode())
