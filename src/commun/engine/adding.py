"""A model added while the server runs: ``commun model add`` in a process of its own, and how far it says it is.

- one at a time, for everybody: a download and a conversion take memory, disk and both for minutes;
- only from Hugging Face, by name (``--hub``): an address or a path that a page could choose would let its user reach
  what the server reaches. Both stay with the command line;
- the process has the lowest priority, so whoever asks goes first. It ends with the server; what had come of a download
  waits for the next time (``download.py``);
- adding adopts nothing: which model answers is the charter's business.

What the process says: one JSON object a line on its standard output (``commun model add --json``): ``{"stage", "done",
"total"}``, at last ``{"model"}`` or ``{"error": {language: text}}``.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import structlog

from commun.engine.child import command_of, end_child, environment_of_child
from commun.engine.download import is_reference
from commun.errors import N_, BadRequest, Conflict

COMMAND: Final = (*command_of("commun.cli"), "model", "add")
END_S: Final = 10.0  # how long the process may take to end when it is stopped
MAX_LINE: Final = 1 << 16
MAX_NAME: Final = 64
# What the HTTP client knows of proxies and of authorities: of the environment, besides what every child is given.
THE_NETWORK: Final = tuple(
    name
    for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
    for name in (upper, upper.lower())
)

log = structlog.get_logger()


class NotAModelName(BadRequest):
    code = "not_a_model_name"
    problem = N_("This is not the name of a model on Hugging Face.")
    cure = N_("Write it as OWNER/NAME or OWNER/NAME:FILE.gguf.")


class AlreadyAdding(Conflict):
    """``details``: ``model``."""

    code = "already_adding"
    problem = N_("“%(model)s” is being added: one model at a time.")
    cure = N_("Wait until it is there, or stop it.")


@dataclass(frozen=True, slots=True)
class Added:
    """How far it is. ``stage``: a message id, "" before the first. ``done`` of ``total``: bytes or steps, 0 of 0 where
    unknown. ``model``: its id, once it is there. ``errors``: by language, where it failed. ``is_stopped``: by somebody.
    """

    source: str
    stage: str = ""
    done: int = 0
    total: int = 0
    model: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    is_stopped: bool = False

    @property
    def is_over(self) -> bool:
        return bool(self.model or self.errors or self.is_stopped)


class Adding:
    """What one server adds. Owned by the event loop. ``models_from``: the setting."""

    def __init__(self, home: Path, *, models_from: str) -> None:
        self._home = home
        self._models_from = models_from
        self._task: asyncio.Task[None] | None = None
        self._state: Added | None = None

    @property
    def state(self) -> Added | None:
        """Of what is being added, or was at last; None: nothing since the start."""
        return self._state

    def begin(self, source: str, name: str = "") -> None:
        """``source``: OWNER/NAME or OWNER/NAME:FILE. Raises NotAModelName, AlreadyAdding."""
        if not is_reference(source):
            raise NotAModelName
        name = "".join(character for character in name if character.isprintable())[:MAX_NAME]  # as an id is cut
        if self._state is not None and not self._state.is_over:
            raise AlreadyAdding(model=self._state.source)
        self._state = Added(source)
        self._task = asyncio.create_task(self._run(source, name))

    async def stop(self) -> None:
        """Ends what is being added, if anything is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, source: str, name: str) -> None:
        try:
            status = await self._listen_to(source, name)
        except asyncio.CancelledError:
            self._change(is_stopped=True)
            raise
        except OSError:  # there is no room for another process
            status = -1
        if self._state is not None and not self._state.is_over:
            log.warning("a model could not be added", status=status)
            self._change(errors={"": ""})

    async def _listen_to(self, source: str, name: str) -> int:
        """The process's exit status."""
        # “--” before what somebody typed: never an option.
        named = ("--name", name) if name else ()
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *("--hub", "--json", "--home", str(self._home), "--from", self._models_from, *named, "--", source),
            env=environment_of_child() | {name: os.environ[name] for name in THE_NETWORK if name in os.environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=MAX_LINE,
        )
        try:
            if process.stdout is not None:
                async for line in process.stdout:
                    self._hear(line)
            return await process.wait()
        except ValueError:  # a line beyond MAX_LINE: not from our command
            return -1
        finally:
            await end_child(process, within_s=END_S)

    def _hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        if "model" in said:
            self._change(model=str(said["model"]))
        elif isinstance(said.get("error"), dict):
            self._change(errors={str(language): str(text) for language, text in said["error"].items()})
        elif isinstance(said.get("done"), int) and isinstance(said.get("total"), int):
            self._change(stage=str(said.get("stage", "")), done=said["done"], total=said["total"])

    def _change(self, **what: Any) -> None:
        if self._state is not None:
            self._state = replace(self._state, **what)
