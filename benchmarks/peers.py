"""Starting what is measured, each in its own process, the peers each in their own environment.

Environments are found under ``--peers`` (by default the user's cache folder) and made there when absent:
``xllamacpp`` and ``litellm`` are small enough to be installed unasked; Open WebUI (7.4 GB) only is used if it is there.
"""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_cache_path

HERE = Path(__file__).resolve().parent
PYTHON = sys.executable
PEERS = user_cache_path("commun-bench")
PINNED = {  # what pip is given
    "xllamacpp": "xllamacpp==2026.10.11549",
    "litellm": "litellm[proxy]==1.106.2",
    "transformers": "transformers==5.23.0 torch==2.13.0 gguf==0.19.0 accelerate",
}
QUIET = {"DO_NOT_TRACK": "1", "OPENVINO_TELEMETRY": "0"}


class Missing(Exception):
    """A peer cannot be measured; the reason is shown and the others go on."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def end_cleanly() -> None:
    """Also when this process is told to end, its children are ended: SIGTERM becomes an exception."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def environment(name: str, peers: Path) -> Path:
    """The folder of programs of a peer's environment, installed if it is not yet. Raises Missing."""
    programs = peers / name / "bin"
    if (peers / name / "installed").exists() or _has(programs, name):
        return programs
    if name not in PINNED:
        raise Missing(f"{name} is not installed under {peers}")
    say(f"installing {PINNED[name]} under {peers / name} (once)")
    try:
        subprocess.run([PYTHON, "-m", "venv", peers / name], check=True)
        pip = [programs / "python", "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        subprocess.run([*pip, *PINNED[name].split()], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Missing(f"{name} could not be installed: {error}") from error
    (peers / name / "installed").touch()
    return programs


def _has(programs: Path, name: str) -> bool:
    site = programs.parent / "lib"
    return bool(list(site.glob(f"python*/site-packages/{name.replace('-', '_')}"))) if site.exists() else False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Child:
    """A process of ours with its children. ``lines``: what it printed, where ``speaks``; else it goes to ``log``."""

    def __init__(
        self, command: Sequence[object], *, log: Path, env: dict[str, str] | None = None, speaks: bool = False
    ) -> None:
        self._log = log
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if speaks else log.open("ab"),
            stderr=log.open("ab"),
            env={**os.environ, **QUIET, **(env or {})},
            start_new_session=True,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        if speaks:
            threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def hear(self, seconds: float = 600) -> str:
        """The next line. Raises Missing when the child says nothing or ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                return self._lines.get(timeout=0.2)
            self.check()
        raise Missing(f"no answer from {self.process.args}")

    def tell(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def check(self) -> None:
        if self.process.poll() is not None:
            raise Missing(f"{self.process.args} ended with {self.process.returncode}: {self.last_words()}")

    def last_words(self) -> str:
        return self._log.read_text(errors="replace")[-1500:]

    def wait_for(self, port: int, seconds: float = 120) -> None:
        """Until the port accepts. Raises Missing."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.005)
        raise Missing(f"{self.process.args} does not listen")

    def memory_mb(self, field: str = "VmRSS") -> dict[str, float]:
        """By process (name and number), in MB; ``VmHWM`` is the peak. Empty where there is no /proc."""
        found = {}
        for pid in _family(self.process.pid):
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
                found[f"{values['Name'].strip()} {pid}"] = int(values[field].split()[0]) / 1024
        return found

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds used so far, by process (its number). What a load costs, whatever else the machine does."""
        used = {}
        for pid in _family(self.process.pid):
            with contextlib.suppress(OSError, IndexError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                used[str(pid)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return used

    def stop(self) -> None:
        """Ends it and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _family(root: int) -> list[int]:
    """The process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            after_name = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(after_name[1]), []).append(int(stat.parent.name))
    family, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        family.append(pid)
        waiting += parents.get(pid, [])
    return family


def commun(home: Path, port: int, log: Path, **settings: object) -> Child:
    """``commun serve`` as its user starts it; ``settings`` as COMMUN_* variables."""
    env = {
        "COMMUN_HOME": str(home),
        "COMMUN_PORT": str(port),
        "COMMUN_RATE_LIMIT": "100000000/minute",
        **{f"COMMUN_{name.upper()}": str(value) for name, value in settings.items()},
    }
    return Child([Path(PYTHON).with_name("commun"), "serve"], log=log, env=env)


def commun_key(home: Path) -> str:
    """An API key of that data folder."""
    done = subprocess.run(
        [Path(PYTHON).with_name("commun"), "user", "key", "benchmark"],
        env={**os.environ, "COMMUN_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()[-1]


def llamacpp(peers: Path, gguf: Path, log: Path, *, slots: int, context: int) -> tuple[Child, str]:
    """The server and its address. Raises Missing."""
    programs = environment("xllamacpp", peers)
    child = Child([programs / "python", HERE / "llamacpp.py", gguf, slots, context], log=log, speaks=True)
    return child, child.hear(120)


def direct(folder: Path, profile: str, log: Path, *, logprobs: bool) -> Child:
    """OpenVINO GenAI itself, loaded. Raises Missing."""
    mode = "logprobs" if logprobs else "plain"
    child = Child([PYTHON, HERE / "direct.py", folder, profile, mode], log=log, speaks=True)
    json.loads(child.hear(300))
    return child


def stub(log: Path) -> tuple[Child, int]:
    port = free_port()
    child = Child([PYTHON, HERE / "stub.py", port], log=log)
    child.wait_for(port)
    return child, port
