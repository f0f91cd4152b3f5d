"""``POST /settings/import``: conversations out of another assistant's export.

- the upload is taken as it comes, its own bound above that of other requests; on the disk it is sealed under a key of
  this process (``importing/spool.py``). Nothing of it is read before all of it is here;
- then it is read in the background, one conversation at a time, while its owner may go on; ``/settings/data`` shows how
  far it has come, and in the end what became of it. One import of a person at a time, MOST_RUNNING of all;
- what takes long to read is read in processes of its own, which may take so much and no more (``reading_apart.py``);
- signing out does not stop it. Ending the server does: what was brought in stays, and the same file brings in the rest;
- what is told of it is counts, kept in memory until the next import; and the instructions that Commun's own export has
  of its owner, sealed to them there, which take the place of nothing unless they are sent as one's own.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, cast

import structlog
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from commun.errors import N_, Busy, CommunError
from commun.importing import chatgpt, open_webui, own
from commun.importing.formats import conversation_of
from commun.importing.items import Export
from commun.importing.outline import ImportedConversation, NotAConversation
from commun.importing.reading import Translate
from commun.importing.spool import BadImport, Spool
from commun.store.folders import MAX_INSTRUCTIONS
from commun.store.imports import FoldersToo, Imports, Stored
from commun.store.people import Viewer
from commun.store.rows import unlocked
from commun.store.vault import bind
from commun.web.i18n import number
from commun.web.reading_apart import ReadingApart
from commun.web.rules import check_stored
from commun.web.visit import Visit, check_asking, member_of

ADDRESS: Final = "/settings/import"
PAGE: Final = "/settings/data#import"
MOST_RUNNING: Final = 2
MOST_STRANGE: Final = 1000
BUSY_S: Final = 30
NEW: Final = N_("%(n)s conversations were brought in.")
THERE: Final = N_("%(n)s were already there.")
UNREADABLE: Final = N_("%(n)s could not be read: too large, or of no form that is known here.")
KINDS: Final = {
    "images": N_("%(n)s images were named in their place."),
    "files": N_("%(n)s files were named in their place."),
    "sounds": N_("%(n)s sounds were named in their place."),
    "tools": N_("%(n)s uses of tools were named in their place."),
    "reasoning": N_("%(n)s pieces of reasoning were left out."),
    "instructions": N_("%(n)s conversations had instructions of yours, which were left out."),
    "opinions": N_("%(n)s thumbs and remarks were left out."),
}
FOLDERS: Final = N_("%(n)s folders were made.")
NAMELESS: Final = N_("%(n)s of them are without their names, which the file does not tell: they are numbered.")
CALLED: Final = {
    chatgpt.SOURCE: N_("Project %(number)s from ChatGPT"),
    open_webui.SOURCE: N_("Folder %(number)s from Open WebUI"),
}

log = structlog.get_logger()


class NoFile(BadImport):
    code = "no_file"
    problem = N_("No file was chosen.")


@dataclass(slots=True, eq=False)
class Import:
    """One import, running or over. ``read``: bytes so far. ``strange``: items that are no conversation; ``unreadable``:
    and those that were too large. ``folders``: that were made. ``offered``: instructions in it, sealed to whoever
    brings it in; b"" for none. ``problem``: why it ended early.
    """

    read: int = 0
    new: int = 0
    there: int = 0
    strange: int = 0
    unreadable: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    folders: FoldersToo = field(default_factory=FoldersToo)
    offered: bytes = field(default=b"", repr=False)
    running: bool = True
    problem: CommunError | None = None

    def reached(self, done: int) -> None:
        self.read = done

    def count(self, stored: Stored, found: ImportedConversation) -> None:
        if stored is Stored.THERE:
            self.there += 1
            return
        self.new += 1
        self.left_out.update(found.left_out)


class ImportsRunning:
    """The server's imports by account; owned by the event loop."""

    def __init__(self) -> None:
        self._last: dict[str, Import] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, account_id: str) -> Import | None:
        return self._last.get(account_id)

    def check_room(self, account_id: str) -> None:
        """Raises Busy."""
        mine = self._last.get(account_id)
        if (mine is not None and mine.running) or len(self._tasks) >= MOST_RUNNING:
            raise Busy(retry_after=BUSY_S)

    def begin(self, visit: Visit, file: Spool) -> None:
        job = self._last[visit.owner.account_id] = Import()
        task = asyncio.create_task(_run(visit, file, job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def imports_running(request: Request) -> ImportsRunning:
    """The server's one, made at its first use."""
    made = getattr(request.app.state, "imports_running", None)
    if made is None:
        made = request.app.state.imports_running = ImportsRunning()
    return cast("ImportsRunning", made)


async def bring_in(request: Request) -> Response:
    visit = await member_of(request)
    check_asking(visit)
    check_stored(visit)
    running = imports_running(request)
    running.check_room(visit.owner.account_id)
    file = await _received(visit)
    try:
        running.check_room(visit.owner.account_id)
    except Busy:
        file.close()
        raise
    running.begin(visit, file)
    return RedirectResponse(PAGE, status_code=303)


async def _received(visit: Visit) -> Spool:
    """The form's one field, a file. Raises NoFile, BodyTooLarge, OSError."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(Spool(visit.services.settings.home))
        try:
            parser = _parser(visit.request, file)
            async for chunk in visit.request.stream():  # its size is bounded by guard.py
                parser.write(chunk)
            parser.finalize()
        except MultipartParseError as error:
            raise NoFile from error
        _check_any(file)
        stack.pop_all()
    return file


def _check_any(file: Spool) -> None:
    """Raises NoFile."""
    if not file.size:
        raise NoFile


def _parser(request: Request, file: Spool) -> MultipartParser:
    """What it is fed goes into ``file`` at once. Raises NoFile."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise NoFile
    parts = 0

    def begin() -> None:
        nonlocal parts
        parts += 1
        if parts > 1:
            raise NoFile

    def take(data: bytes, start: int, end: int) -> None:
        file.add(data[start:end])

    return MultipartParser(options[b"boundary"], {"on_part_begin": begin, "on_part_data": take})


async def _run(visit: Visit, file: Spool, job: Import) -> None:
    """Raises nothing: what went wrong is told on the page."""
    apart = ReadingApart(visit.translate)
    try:
        export = Export(file, told=job.reached)
        account = own.account(await asyncio.to_thread(export.account))
        job.folders = FoldersToo(partial(_called, visit), account.folders)
        imports, viewer, items = Imports(visit.services.database, folders=job.folders), visit.owner, export.items()
        job.offered = _offered(viewer, account.instructions)
        while (value := await asyncio.to_thread(next, items, None)) is not None:
            await _take(visit, apart, imports, value, job)
            job.unreadable, job.left_out["opinions"] = job.strange + export.skipped, imports.unsaid
        if job.new:
            await imports.add_empty_folders(viewer)
    except CommunError as error:
        job.problem = error
    except Exception:  # noqa: BLE001  (whoever waits must hear of it; nothing of what was written goes into a log)
        log.error("an import ended early", where=__name__)  # noqa: TRY400
        job.problem = CommunError()
    finally:
        apart.stop()
        job.running = False
        file.close()


def _called(visit: Visit, source: str, number: int) -> str:
    return visit.translate(CALLED[source]) % {"number": number}


def _offered(viewer: Viewer, text: str) -> bytes:
    plain = text.replace("\r\n", "\n").strip()[:MAX_INSTRUCTIONS]
    return unlocked(viewer).seal(plain.encode(errors="replace"), _context(viewer)) if plain else b""


def offered_in(visit: Visit, job: Import, *, beside: str) -> str:
    """The instructions that were in the file; "" for none, or the same as those ``beside``. Raises VaultLocked."""
    if not job.offered:
        return ""
    text = unlocked(visit.owner).open(job.offered, _context(visit.owner)).decode()
    return "" if text == beside else text


def _context(viewer: Viewer) -> bytes:
    return bind("imports", "offered", viewer.account_id, viewer.vault_id)


async def _take(
    visit: Visit, apart: ReadingApart, imports: Imports, value: dict[str, Any] | bytes, job: Import
) -> None:
    try:
        found = await asyncio.to_thread(_found, value, visit.translate, apart)
    except NotAConversation:
        job.strange += 1
        if job.strange > MOST_STRANGE:
            raise BadImport(reason=N_("most of it is in no form that is known here")) from None
        return
    stored = await imports.add(visit.owner, found)
    job.count(stored, found)


def _found(value: dict[str, Any] | bytes, translate: Translate, apart: ReadingApart) -> ImportedConversation:
    """Raises NotAConversation, BadImport, Busy."""
    if isinstance(value, bytes):
        return apart.conversation(value, now=time.time())
    return conversation_of(value, translate, now=time.time())


def told_of_import(visit: Visit) -> tuple[Import, tuple[str, ...]] | None:
    """The last import of this person, and what is told of it, line by line."""
    job = imports_running(visit.request).find(visit.owner.account_id)
    return None if job is None else (job, tuple(_lines(visit, job)))


def _lines(visit: Visit, job: Import) -> Iterator[str]:
    _ = visit.translate

    def counted(words: str, count: int) -> str:
        return _(words) % {"n": number(count, 0, visit.language)}

    yield counted(NEW, job.new)
    for words, count in ((THERE, job.there), (UNREADABLE, job.unreadable)):
        if count:
            yield counted(words, count)
    for words, count in ((FOLDERS, job.folders.made), (NAMELESS, job.folders.nameless)):
        if count:
            yield counted(words, count)
    for kind, words in KINDS.items():
        if job.left_out[kind]:
            yield counted(words, job.left_out[kind])
