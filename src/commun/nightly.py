"""By night a server audits the answers that were drawn: ``commun audit sample``, in a process of its own.

- once a night, in the hour of the setting ``audit_hour`` (the machine's own time; -1: never), and not while anybody is
  being answered: it waits for a quiet moment of that hour, and without one for the next night;
- the process has the lowest priority, so whoever asks goes first; a second copy of the model is in memory meanwhile,
  and where there is no room for it nothing is begun;
- it hears nothing but the data folder, and what it writes into the ledger this server finds waiting. What it says goes
  into the log. It ends with the server; what it had not recorded is audited another night.
"""

import asyncio
from collections.abc import Callable
from datetime import date, datetime
from typing import Final

import structlog

from commun.engine.child import command_of, end_child, environment_of_child
from commun.engine.room import has_free_memory
from commun.services import Services

NEVER: Final = -1
LOOK_S: Final = 60.0
END_S: Final = 10.0  # how long the process may take to end when the server does
MAX_TOLD: Final = 2000  # characters of what it said, in the log
COMMAND: Final = (*command_of("commun.cli"), "audit", "sample", "--json", "--home")

log = structlog.get_logger()


def local_now() -> datetime:
    return datetime.now().astimezone()


async def audit_by_night(services: Services, *, now: Callable[[], datetime] = local_now) -> None:
    """Until it is cancelled."""
    hour, done = services.settings.audit_hour, date.min
    while hour != NEVER:
        await asyncio.sleep(LOOK_S)
        today = now()
        if today.hour != hour or today.date() == done or services.assistant.running:
            continue
        try:
            if await audit_once(services):
                done = today.date()
        except Exception:  # the database or the disk: another night
            log.exception("the answers that were drawn could not be audited")
            done = today.date()


async def audit_once(services: Services) -> bool:
    """Whether nothing is left to be done tonight."""
    if not await services.samples.count():
        return True
    if not await asyncio.to_thread(_has_room, services):
        log.warning("the answers that were drawn are not audited: the model does not fit into the memory twice")
        return True
    status, told = await _run(str(services.settings.home))
    tell = log.info if status == 0 else log.warning
    tell("the answers that were drawn were audited", status=status, result=told)
    return True


def _has_room(services: Services) -> bool:
    """For the model that answers now; what was kept under another one is seldom larger."""
    in_force = services.charter.find()
    if in_force is None:
        return True
    model = in_force.charter.models.get(in_force.charter.models.default)
    return model.format == "remote" or has_free_memory(services.library.loaded_bytes(model), 0)


async def _run(home: str) -> tuple[int, str]:
    """Its exit status, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        home,
        env=environment_of_child(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, errors = await process.communicate()
    finally:
        await end_child(process, within_s=END_S)
    told = said if not process.returncode or said.strip() else errors
    return process.returncode or 0, told.decode(errors="replace").strip()[-MAX_TOLD:]
