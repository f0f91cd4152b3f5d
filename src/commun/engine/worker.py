"""The engine's own process: one thread that owns the pipeline and its loop. ``engine/openvino.py`` starts it.

Why a process: ``ContinuousBatchingPipeline.step()`` holds Python's interpreter lock for as long as the step lasts
(70 ms at 32 answers, more in a prefill), so beside it nothing else would run: no page, no timer, no watchdog. And a
native crash, or a step that never ends, can be survived from outside only. ``engine/line.py`` has what is said.

- requests join and leave between steps; with nothing to do the process sleeps on its socket;
- any exception in the pipeline ends the process: its state is unknown then. Texts of exceptions are never told, they
  may quote a prompt; their kind and place are;
- a text that the tokenizer cannot read is refused, and is the trouble of nobody but whoever sent it. One that does not
  read any more what it read at the start is broken for good, and ends the process. (How a text is read may change by
  itself: a chat template can tell the day.)
- the socket's end is the end of the process, so a killed server leaves nothing behind.
"""

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from commun.engine.line import from_line, to_line
from commun.engine.silence import forbid_telemetry
from commun.errors import N_, CommunError, InvalidParameter

READ_BYTES = 1 << 20
# Every message costs both processes time that the model would use. A first token and an end are told at once; in
# between, with at least CROWD answers running, news is told this often: smooth to the eye, several tokens a message.
TELL_EVERY_S = 0.08
CROWD = 4
READING = {"render": "messages", "encode": "prompt"}  # what the tokenizer reads, by the API's name for it
READABLE: dict[str, list[Any]] = {"render": [[["user", "a"]]], "encode": ["a"]}  # by most models
UNREADABLE = N_("the model cannot read this text")


class Line:
    """The worker's end of the socket. ``receive`` raises EOFError when Commun is gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._read = bytearray()

    def send(self, message: list[Any]) -> None:
        self._socket.sendall(to_line(message))

    def receive(self, *, wait: bool) -> list[list[Any]]:
        """All whole messages that are there; with ``wait``, at least one."""
        while True:
            self._read_what_is_there(wait=wait)
            *lines, rest = self._read.split(b"\n")
            self._read = bytearray(rest)
            if lines or not wait:
                return [from_line(bytes(line)) for line in lines]

    def _read_what_is_there(self, *, wait: bool) -> None:
        flags = 0 if wait else socket.MSG_DONTWAIT
        while True:
            try:
                data = self._socket.recv(READ_BYTES, flags)
            except BlockingIOError:
                return
            if not data:
                raise EOFError
            self._read += data
            if wait and b"\n" in data:
                return
            if not wait and len(data) < READ_BYTES:
                return


class Loop:
    """Runs requests on a ``Runtime`` (engine/runtime.py) and tells what comes out."""

    def __init__(self, line: Line, runtime: Any) -> None:
        self._line = line
        self._runtime = runtime
        self._running: dict[int, Any] = {}
        self._untold: dict[int, list[Any]] = {}
        self._begun: set[int] = set()  # their first token was told
        self._told_at = 0.0
        self._read_at_start = self._reading()

    def run(self) -> None:
        while True:
            for message in self._line.receive(wait=not self._running):
                self._take(message)
            if self._running:
                self._runtime.step()
                if self._collect() or self._is_time():
                    self._line.send(["step", [[number, *entry] for number, entry in self._untold.items()]])
                    self._untold.clear()
                    self._told_at = time.monotonic()

    def _is_time(self) -> bool:
        return len(self._running) < CROWD or time.monotonic() - self._told_at >= TELL_EVERY_S

    def _take(self, message: list[Any]) -> None:
        kind, number, *rest = message
        if kind == "go":
            try:
                self._running[number] = self._runtime.add(number, *rest)
            except CommunError as error:
                self._line.send(["refused", number, error.code, error.details])
        elif kind == "cancel":
            handle = self._forget(number)
            self._untold.pop(number, None)
            if handle is not None:
                handle.cancel()
                if not self._running:
                    self._runtime.step()  # the pipeline frees what was cancelled at its next step
        else:
            try:
                reply = self._called(kind, rest)
            except CommunError as error:
                self._line.send(["refused", number, error.code, error.details])
            else:
                self._line.send(["reply", number, reply])

    def _called(self, kind: str, arguments: list[Any]) -> Any:
        """Raises InvalidParameter for a text that cannot be read; any other exception means that all is broken."""
        call: Callable[..., Any] = getattr(self._runtime, kind)
        if kind not in READING:
            return call(*arguments)
        try:
            return call(*arguments)
        except Exception as error:
            if self._reading() != self._read_at_start:
                raise
            raise InvalidParameter(parameter=READING[kind], reason=UNREADABLE) from error

    def _reading(self) -> tuple[bool, list[int] | None]:
        """What must stay as it was at the start. Of messages only whether they can be read: a template that tells the
        day gives other ids tomorrow.
        """
        return self._tried("render") is not None, self._tried("encode")

    def _tried(self, kind: str) -> list[int] | None:
        """How a text that most models can read is read now; None where it is not."""
        try:
            ids: list[int] = getattr(self._runtime, kind)(*READABLE[kind])
        except Exception:  # noqa: BLE001  (a model without a chat template, or a broken tokenizer)
            return None
        return ids

    def _collect(self) -> bool:
        """Adds what the step brought to what is untold. Whether it must be told now."""
        urgent = False
        for number, handle in list(self._running.items()):
            entry = self._runtime.read(handle)
            if entry is None:
                continue
            ids, logprobs, finish = entry
            if number in self._untold:
                ids, logprobs = self._untold[number][0] + ids, self._untold[number][1] + logprobs
            self._untold[number] = [ids, logprobs, finish]
            if number not in self._begun:
                self._begun.add(number)
                urgent = True
            if finish:
                urgent = True
                self._forget(number)
        return urgent

    def _forget(self, number: int) -> Any:
        self._begun.discard(number)
        return self._running.pop(number, None)


def place_of(error: BaseException) -> str:
    """Kind and place of an exception, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def serve(line: Line, load: Callable[[dict[str, Any]], Any]) -> int:
    """Loads what the first message names, then runs until Commun goes. Returns the exit status."""
    stage = "loading"
    try:
        ((_, settings),) = line.receive(wait=True)
        runtime = load(settings)
        line.send(["ready", runtime.about()])
        stage = "running"
        Loop(line, runtime).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return 0
    except CommunError as error:
        line.send(["broken", error.code, place_of(error), error.details])
        return 1
    except Exception as error:  # noqa: BLE001  (whatever it is: it is told, and the process ends)
        line.send(["broken", stage, place_of(error), {}])
        return 1
    return 0


def main(load: Callable[[dict[str, Any]], Any] | None = None) -> None:
    """``python -m commun.engine.worker FD``: the number of an inherited socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for Commun, which then closes the socket
    line = Line(socket.socket(fileno=int(sys.argv[1])))
    if load is None:
        forbid_telemetry()
        import openvino_genai  # noqa: F401  (now, while Commun still checks the model's files)

        from commun.engine.runtime import Runtime

        load = Runtime.load
    status = serve(line, load)
    sys.stdout.flush()
    os._exit(status)  # the pipeline's threads may be in any state; there is nothing left to write


if __name__ == "__main__":
    main()
