"""A real Commun in a process of its own, as `commun serve` starts it, with the real engine, model and database."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import httpx2

START_S = 300  # the first start converts the model
LINK = re.compile(r"(http://\S+)/sign-in\?token=(\S+)")
BROWSER = {"accept": "application/json", "sec-fetch-site": "same-origin"}


class RunningCommun:
    """``home``: the data folder. ``around``: a command to run it under, such as a tracer. Use as context manager."""

    def __init__(self, home: Path, *, around: Sequence[str] = (), **settings: str) -> None:
        self.home = home
        self.output: list[str] = []
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COMMUN_")}
        environment |= {f"COMMUN_{name.upper()}": value for name, value in settings.items()}
        environment |= {"COMMUN_HOME": str(home), "COMMUN_PORT": "0", "COMMUN_LANGUAGE": "en"}
        self.environment = environment
        self.process = subprocess.Popen(
            [*around, sys.executable, "-m", "commun.cli", "serve"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # its engine process dies with it when the group is killed
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url, self.token = self._link()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)

    def _link(self) -> tuple[str, str]:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            found = LINK.search("".join(self.output))
            if found:
                return found[1], found[2]
            if self.process.poll() is not None:
                self._reader.join(timeout=5)
                break
            time.sleep(0.02)
        raise AssertionError("no link was printed:\n" + "".join(self.output))

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError("it stopped:\n" + "".join(self.output))
            if httpx2.get(f"{self.url}/readyz").status_code == 200:
                return
            time.sleep(0.05)
        raise AssertionError("never ready:\n" + "".join(self.output[-20:]))

    def sign_in(self, client: httpx2.Client | None = None) -> httpx2.Client:
        """A browser's worth of HTTP: a client with the founder's session."""
        client = client or httpx2.Client(base_url=self.url, headers=BROWSER, timeout=60)
        response = client.get(f"/sign-in?token={self.token}")
        assert response.status_code in (200, 303), response.text
        return client

    def api_key(self, name: str = "test") -> str:
        """As `commun user key NAME` prints it, on the running instance."""
        return self.command("user", "key", name).strip()

    def command(self, *arguments: str, text: str | None = None) -> str:
        result = subprocess.run(
            [sys.executable, "-m", "commun.cli", *arguments],
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    def kill(self) -> None:
        """kill -9 to the process and all its children, as a power switch would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=120)
            except subprocess.TimeoutExpired:
                self.kill()
        self._reader.join(timeout=5)

    def __enter__(self) -> "RunningCommun":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def with_models(home: Path, models: Path) -> Path:
    """A data folder that shares the converted model, as a second start finds it."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "models").symlink_to(models, target_is_directory=True)
    return home
