"""JSON Schemas tried in a process of its own: ``python -m commun.engine.grammar_apart FOLDER SECONDS``, of a model.

A few hundred letters of schema can take hours, or all memory, to compile, amid the runtime, where nothing interrupts
it. So a schema that nobody knows yet is compiled here first, and the system itself ends this process where that takes
more than SECONDS of processor or MEMORY_BYTES: what it was asked then counts as refused. ``grammar_check.py`` asks.

- on its standard input one schema a line, as a JSON string; on its standard output READY once, then for each whether it
  can be compiled;
- time is the processor's, so that a busy machine refuses nothing; it has the lowest priority, since others are answered
  meanwhile. Where the system tells no size of a process, only time is bounded;
- what the tokenizer keeps of the schemas grows with them: whoever asks takes a fresh process after SCHEMAS of them.
"""

import contextlib
import json
import math
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Final

from commun.engine.silence import forbid_telemetry
from commun.errors import InvalidParameter

MEMORY_BYTES: Final = 512 << 20  # beyond what it holds already
SCHEMAS: Final = 256
NICE: Final = 10
READY: Final = b"ready\n"
GOOD: Final = b"good\n"
BAD: Final = b"bad\n"
_SIZES: Final = Path("/proc/self/status")


def main(folder: str, seconds: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asks, who then closes the pipe
    forbid_telemetry()
    import openvino_genai as genai

    from commun.engine.grammar import SchemaTrial
    from commun.engine.runtime import DEVICE
    from commun.engine.vocabulary import table_of

    tokenizer = genai.Tokenizer(folder)
    trial = SchemaTrial(tokenizer, len(table_of(tokenizer).pieces), DEVICE)
    os.nice(NICE)
    _limit(resource.RLIMIT_CORE, 0)
    _say(READY)
    for line in sys.stdin.buffer:
        schema = json.loads(line)
        _limit(resource.RLIMIT_CPU, math.ceil(time.process_time()) + int(seconds))
        if held := _held():
            _limit(resource.RLIMIT_DATA, held + MEMORY_BYTES)
        try:
            trial.check(schema)
        except InvalidParameter:
            _say(BAD)
        else:
            _say(GOOD)


def _limit(kind: int, most: int) -> None:
    """Only the soft limit, which can be raised again."""
    with contextlib.suppress(ValueError, OSError):  # a system that has no such limit, or a stricter one already
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def _held() -> int:
    """Bytes of memory that are this process's own; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in _SIZES.read_text().splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) << 10
    return 0


def _say(word: bytes) -> None:
    sys.stdout.buffer.write(word)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
