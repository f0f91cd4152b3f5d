"""How Commun starts a Python process of its own, such as the engine's and the conversion's, and how it ends one.

- nothing is imported from the folder in which Commun was started (``-P``);
- of the environment only the names in PASSED go on: what finds the programs, the home, the language, the time zone,
  the folder for temporary files, and the system's libraries. A variable that could change an answer, or load other
  code, is not among them: OPENVINO_*, OV_*, ONEDNN_*, OMP_*, TBB_*, MKL_*, GLIBC_TUNABLES, LD_PRELOAD, PYTHON*.
  LD_LIBRARY_PATH names folders of libraries, as PATH names folders of programs: on some systems nothing starts
  without it, so whoever sets it is trusted as whoever installed them is.
"""

import asyncio
import contextlib
import os
import sys
from typing import Final

PASSED: Final = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"})
PASSED_PREFIX: Final = "LC_"


def command_of(module: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", module)


def environment_of_child() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in PASSED or name.startswith(PASSED_PREFIX)}


async def end_child(process: asyncio.subprocess.Process, *, within_s: float) -> None:
    """Asks it to end, and ends it where it has not done so in time. Nothing where it has ended already."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), within_s)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
