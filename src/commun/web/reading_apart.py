"""Asking a process of its own what stands in a long conversation (``importing/apart.py``). In a worker thread."""

import subprocess
from typing import Final

from commun.engine.child import command_of, environment_of_child
from commun.importing.apart import question, understood
from commun.importing.outline import ImportedConversation, NotAConversation
from commun.importing.reading import Translate

COMMAND: Final = command_of("commun.importing.apart")


def conversation_apart(data: bytes, translate: Translate, *, now: float) -> ImportedConversation:
    """Raises NotAConversation, BadImport; OSError where there is no room for another process."""
    with subprocess.Popen(
        COMMAND,
        env=environment_of_child(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise OSError
        try:
            for part in question(data, translate, now=now):
                process.stdin.write(part)
            process.stdin.close()
            return understood(process.stdout)
        except BrokenPipeError:
            raise NotAConversation("it ended the process that read it") from None
        finally:
            process.kill()
