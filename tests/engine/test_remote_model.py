"""A model on another server, added by its address: what it offers is asked once and never believed beyond its bounds."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from commun.engine.remote_model import MAX_REPLY, look_up
from commun.engine.weights import ModelLibrary
from commun.errors import ModelError


class Server(http.server.BaseHTTPRequestHandler):
    reply: ClassVar[tuple[int, bytes]] = (200, b"")
    keys: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.keys.append(self.headers.get("authorization", ""))
        status, body = self.reply
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


def offers(*entries: Any) -> None:
    Server.reply = (200, json.dumps({"data": list(entries)}).encode())


def test_the_only_model_is_taken_with_its_context(url: str, tmp_path: Path) -> None:
    offers({"id": "Qwen/Qwen3-4B", "max_model_len": 32768})
    library = ModelLibrary(tmp_path, remote_key="sk-1")
    manifest = library.add(url + "/", progress=lambda *_: None)
    assert (manifest.id, manifest.format, manifest.url) == ("qwen-qwen3-4b", "remote", url)
    assert (manifest.remote_model, manifest.context_length) == ("Qwen/Qwen3-4B", 32768)
    assert library.get("qwen-qwen3-4b").digest == manifest.digest
    assert Server.keys[-1] == "Bearer sk-1"
    assert "sk-1" not in (tmp_path / "models" / manifest.id / "manifest.toml").read_text()


def test_of_several_models_one_must_be_named(url: str) -> None:
    offers({"id": "a"}, {"id": "b", "max_model_len": 100})
    with pytest.raises(ModelError, match="2 models; add #NAME"):
        look_up(url)
    assert look_up(f"{url}#b").context_length == 100
    with pytest.raises(ModelError, match="does not offer"):
        look_up(f"{url}#c")


def test_another_commun_offers_its_model_as_default(url: str) -> None:
    offers({"id": "smollm2", "max_model_len": 8192}, {"id": "default", "max_model_len": 8192})
    assert look_up(url).remote_model == "default"


@pytest.mark.parametrize(
    "entry", [{"id": "m", "max_model_len": value} for value in (-1, 2**31, "8", None, True, 1.5)], ids=str
)
def test_a_context_that_makes_no_sense_is_not_believed(url: str, entry: dict[str, Any]) -> None:
    offers(entry)
    assert look_up(url).context_length == 8192


@pytest.mark.parametrize(
    "reply",
    [
        (401, b""),
        (200, b"no json"),
        (200, b"[]"),
        (200, b'{"data": 3}'),
        (200, b'{"data": [{"id": 3}, null, {"id": "a\\nb"}]}'),
        (200, b" " * (MAX_REPLY + 1)),
        (302, b""),
    ],
    ids=str,
)
def test_a_strange_answer_adds_nothing(url: str, tmp_path: Path, reply: tuple[int, bytes]) -> None:
    Server.reply = reply
    with pytest.raises(ModelError):
        ModelLibrary(tmp_path).add(url, name="x", progress=lambda *_: None)
    assert ModelLibrary(tmp_path).list() == []


@pytest.mark.parametrize("address", ["http://user:word@host/v1", "http://", "http://127.0.0.1:9/v1"])
def test_an_address_that_cannot_be_asked_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as refused:
        ModelLibrary(tmp_path).add(address, name="x", progress=lambda *_: None)
    assert "word" not in str(refused.value)
