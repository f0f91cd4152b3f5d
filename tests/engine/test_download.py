"""Downloads from a Hugging Face that lies, breaks off and redirects: a server of our own."""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from commun.engine import converted, download
from commun.engine.download import HuggingFace, is_reference
from commun.engine.weights import ModelLibrary
from commun.errors import DownloadFailed, ModelTooLarge, UnsupportedModel
from engine.test_weights import fake_convert, left_in, quiet
from engine.tiny_model import write_tiny

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server says and does. ``break_after``: bytes after which the next answers stop, one each."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    break_after: list[int] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    know_ranges: bool = True
    status: int = 200
    raw_listing: bytes | None = None

    def listing(self) -> bytes:
        if self.raw_listing is not None:
            return self.raw_listing
        siblings = []
        for name, content in self.files.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(content)}
            if len(content) > 1000:
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            else:
                entry["blobId"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            siblings.append(entry | self.changes.get(name, {}))
        return json.dumps({"sha": REVISION, "siblings": siblings, "tags": ["license:apache-2.0"]}).encode()


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def answer(self, status: int, body: bytes, **headers: str) -> None:
            stop = state.break_after.pop(0) if state.break_after and status in (200, 206) and headers else None
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body[:stop])
            if stop is not None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        def do_GET(self) -> None:
            if state.status != 200:
                self.answer(state.status, b"no")
            elif self.path.startswith("/api/models/owner/name"):
                self.answer(200, state.listing())
            elif self.path.startswith(f"/owner/name/resolve/{REVISION}/"):
                self.answer(302, b"", Location="/cdn/" + self.path.split("/", 5)[5])
            elif self.path.startswith("/cdn/"):
                self.send_file(state.files[self.path.removeprefix("/cdn/")])
            else:
                self.answer(404, b"nothing")

        def send_file(self, content: bytes) -> None:
            wanted = self.headers.get("Range")
            state.ranges.append(wanted)
            if wanted and state.know_ranges:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                self.answer(206, content[start:], Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.answer(200, content, X_File="1")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def library(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> ModelLibrary:
    monkeypatch.setattr(converted, "convert", fake_convert)
    hub.files["tiny.gguf"] = write_tiny(tmp_path / "source.gguf").read_bytes()
    return ModelLibrary(tmp_path / "home", endpoint=hub.url)


def test_a_model_is_downloaded_by_its_name(library: ModelLibrary, hub: Hub) -> None:
    steps: list[tuple[int, int]] = []
    manifest = library.add("owner/name", progress=lambda stage, done, total: steps.append((done, total)))
    assert manifest.id == "tiny"
    assert manifest.source == f"huggingface:owner/name@{REVISION}/tiny.gguf"
    assert manifest.licence == "apache-2.0"
    assert manifest.files[0].sha256 == hashlib.sha256(hub.files["tiny.gguf"]).hexdigest()
    assert (len(hub.files["tiny.gguf"]),) * 2 in steps


def test_a_download_that_breaks_off_goes_on_where_it_stopped(library: ModelLibrary, hub: Hub) -> None:
    hub.break_after = [70_000, 50_000]
    library.add("owner/name:tiny.gguf", progress=quiet)
    assert len(hub.ranges) == 3
    first, second, third = hub.ranges
    assert first is None
    assert 0 < int(second[6:-1]) < int(third[6:-1])


def test_a_later_call_goes_on_too(library: ModelLibrary, hub: Hub, tmp_path: Path) -> None:
    hub.break_after = [60_000, 10, 10, 10]
    with pytest.raises(DownloadFailed, match="broke off") as caught:
        library.add("owner/name", progress=quiet)
    assert "goes on where it stopped" in caught.value.cure_text()
    assert left_in(tmp_path) == {".partial"}
    hub.ranges.clear()
    library.add("owner/name", progress=quiet)
    assert len(hub.ranges) == 1
    assert hub.ranges[0] is not None
    assert list((tmp_path / "home" / "models" / ".partial").iterdir()) == []


def test_a_server_without_ranges_starts_again(library: ModelLibrary, hub: Hub) -> None:
    hub.know_ranges = False
    hub.break_after = [60_000]
    library.add("owner/name", progress=quiet)
    assert len(hub.ranges) == 2


def test_other_bytes_than_published_are_thrown_away(library: ModelLibrary, hub: Hub, tmp_path: Path) -> None:
    size = len(hub.files["tiny.gguf"])
    hub.changes["tiny.gguf"] = {"lfs": {"sha256": "0" * 64, "size": size}}
    with pytest.raises(DownloadFailed, match="hash"):
        library.add("owner/name", progress=quiet)
    assert list((tmp_path / "home" / "models" / ".partial").iterdir()) == []
    assert left_in(tmp_path) == {".partial"}


def test_more_bytes_than_announced_are_not_taken(library: ModelLibrary, hub: Hub) -> None:
    hub.changes["tiny.gguf"] = {"lfs": {"sha256": "0" * 64, "size": 1000}}
    with pytest.raises(DownloadFailed, match="more than it said"):
        library.add("owner/name", progress=quiet)


def test_names_that_leave_their_folder_are_not_seen(library: ModelLibrary, hub: Hub, tmp_path: Path) -> None:
    hub.changes["tiny.gguf"] = {"rfilename": "../../evil.gguf"}
    with pytest.raises(UnsupportedModel):
        library.add("owner/name", progress=quiet)
    with pytest.raises(UnsupportedModel):
        library.add("owner/name:../../evil.gguf", progress=quiet)
    assert not list(tmp_path.rglob("evil.gguf"))


def test_several_files_are_a_question(library: ModelLibrary, hub: Hub) -> None:
    hub.files["other.gguf"] = b"x" * 2000
    with pytest.raises(UnsupportedModel, match=r"owner/name:tiny\.gguf"):
        library.add("owner/name", progress=quiet)
    assert library.add("owner/name:tiny.gguf", progress=quiet).id == "tiny"


def test_too_large_is_said_before_the_download(library: ModelLibrary, hub: Hub) -> None:
    hub.changes["tiny.gguf"] = {"lfs": {"sha256": "0" * 64, "size": 1 << 50}}
    with pytest.raises(ModelTooLarge):
        library.add("owner/name", progress=quiet)
    assert hub.ranges == []


@pytest.mark.parametrize(("status", "reason"), [(404, "no such model"), (401, "gated"), (503, "503")])
def test_a_refusal_is_told(library: ModelLibrary, hub: Hub, status: int, reason: str) -> None:
    hub.status = status
    with pytest.raises(DownloadFailed, match=reason):
        library.add("owner/name", progress=quiet)


@pytest.mark.parametrize(
    "listing",
    [b"", b"<html>", b"[]", b"{}", b'{"sha": 1, "siblings": []}', b'{"sha": "main", "siblings": []}', b"[" * 100_000],
)
def test_an_answer_that_makes_no_sense_is_a_failed_download(library: ModelLibrary, hub: Hub, listing: bytes) -> None:
    hub.raw_listing = listing
    with pytest.raises(DownloadFailed):
        library.add("owner/name", progress=quiet)


def test_an_endless_answer_is_cut(library: ModelLibrary, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_ANSWER_BYTES", 100)
    hub.raw_listing = b" " * 10_000
    with pytest.raises(DownloadFailed, match="does not end"):
        library.add("owner/name", progress=quiet)


def test_without_a_network_the_error_names_the_host(tmp_path: Path) -> None:
    library = ModelLibrary(tmp_path / "home", endpoint="http://127.0.0.1:9")
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1:9 cannot be reached"):
        library.add("owner/name", progress=quiet)


def test_small_files_are_checked_by_gits_hash(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"openvino_model.xml": b"<net/>", "config.json": b"{}", "README.md": b"#", "sub/config.json": b"{}"}
    server = HuggingFace(tmp_path / "partial", hub.url)
    repository, files = server.look_up("owner/name")
    assert [file.path for file in files] == ["openvino_model.xml", "config.json"]
    server.fetch(repository, files[0], tmp_path / "openvino_model.xml", quiet)
    assert (tmp_path / "openvino_model.xml").read_bytes() == b"<net/>"
    hub.files["config.json"] = b"[]"
    with pytest.raises(DownloadFailed, match="hash"):
        server.fetch(repository, files[1], tmp_path / "config.json", quiet)


def test_what_a_reference_looks_like() -> None:
    for source in ("owner/name", "owner/name:file.gguf", "Qwen/Qwen3-0.6B-GGUF:a/b.gguf"):
        assert is_reference(source)
    for source in ("name", "/etc/passwd", "../x", "a/b/c", "https://x/y", "owner/name:"):
        assert not is_reference(source)
