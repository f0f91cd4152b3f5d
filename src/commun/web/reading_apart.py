"""Asking a process of its own what stands in a long conversation (``importing/apart.py``). In a worker thread.

What one import's processes may take is bounded: what is made to take long would keep others from theirs for hours.
"""

import contextlib
import os
import signal
import subprocess
import threading
from typing import Final

from commun.engine.child import command_of, environment_of_child
from commun.errors import N_, Busy
from commun.importing.apart import question, understood
from commun.importing.outline import ImportedConversation, NotAConversation
from commun.importing.reading import Translate
from commun.importing.spool import BadImport

COMMAND: Final = command_of("commun.importing.apart")
MAX_PROCESSOR_S: Final = 120.0  # of one import, beyond what honest conversations take
HONEST_S: Final = 2.0  # of each that can be read, several times what it takes: Python's start, and each megabyte
RETRY_S: Final = 30


class TakesTooLong(BadImport):
    code = "import_takes_too_long"
    problem = N_("To read this file takes longer than is believed; what was read before stays.")
    cure = N_("Leave out the longest conversations and bring in the rest, or ask for a new export.")


class ReadingApart:
    """One import's processes, one at a time."""

    def __init__(self, translate: Translate) -> None:
        self._translate = translate
        self._left = MAX_PROCESSOR_S
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def conversation(self, data: bytes, *, now: float) -> ImportedConversation:
        """Raises NotAConversation, BadImport; TakesTooLong once the time is spent; Busy without room for a process."""
        allowed = 0.0
        process = self._begin()
        try:
            found = self._ask(process, data, now=now)
            allowed = HONEST_S * (1 + len(data) / (1 << 20))
        finally:
            self._left -= max(0.0, self._end(process) - allowed)
            if self._left <= 0:
                raise TakesTooLong
        return found

    def stop(self) -> None:
        """Nobody waits for what is being read, or reads another."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                os.kill(self._process.pid, signal.SIGKILL)

    def _begin(self) -> "subprocess.Popen[bytes]":
        pipe = subprocess.PIPE
        with self._lock:
            if self._stopped:
                raise Busy(retry_after=RETRY_S)
            try:
                made = subprocess.Popen(
                    COMMAND, env=environment_of_child(), stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
                )
            except OSError as error:
                raise Busy(retry_after=RETRY_S) from error
            self._process = made
            return made

    def _ask(self, process: "subprocess.Popen[bytes]", data: bytes, *, now: float) -> ImportedConversation:
        if process.stdin is None or process.stdout is None:
            raise NotAConversation("nobody reads it")
        try:
            for part in question(data, self._translate, now=now):
                process.stdin.write(part)
            process.stdin.close()
        except BrokenPipeError:
            raise NotAConversation("it ended the process that read it") from None
        return understood(process.stdout)

    def _end(self, process: "subprocess.Popen[bytes]") -> float:
        """How many seconds of the processor it took."""
        with self._lock:
            os.kill(process.pid, signal.SIGKILL)  # it is there until it was waited for
            _pid, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self._process = None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it never read
                    pipe.close()
        return usage.ru_utime + usage.ru_stime
