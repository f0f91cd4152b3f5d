"""``/settings/export``: all that is kept for one person, as one ZIP that is made while it is sent.

In it:

- ``account.json``: settings, folders, instructions, browsers, keys, shares, ways in; every row of theirs, without
  secrets; who reads which of their conversations, and whose they read: named, not opened, for what others wrote is
  others' (its page exports it);
- for each conversation ``conversations/….json``, the whole tree, which an import reads again, and ``….md``, the branch
  that is shown; ``conversations.md`` lists them;
- for each answer that has a receipt ``proofs/….bundle.json``, which verifies offline;
- for each answer that was sent to the administrators with its sender's name ``sent/….json``, as it was sent.

Rules:

- only the owner's, with the vault open; a conversation that was sealed with an older key is named and cannot be opened;
- one conversation is in memory at a time, and nothing is written to a disk;
- what is deleted while it is made is left out.
"""

import asyncio
import json
import time
import zipfile
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from commun.errors import N_, CommunError, NotFound
from commun.store.conversations import Conversation
from commun.store.own_data import OwnData
from commun.web.pages import export_of, markdown_of
from commun.web.sent_view import Letter
from commun.web.visit import Visit, check_asking, member_of

FORMAT: Final = "commun-account/1"
COMPRESSION: Final = 6
README: Final = (
    N_("Everything that this Commun keeps for you, as of %(day)s."),
    N_("account.json: your account, folders, instructions, browsers, API keys, shared links and ways in, no secrets."),
    N_("conversations: each as JSON, with all its branches, and as Markdown, the branch that was shown."),
    N_("proofs: the receipt of each answer. “commun receipt verify FILE” or the page /verify checks one, offline."),
    N_("sent: the answers that you sent to the administrators with your name, as you sent them."),
    N_("The JSON files can be imported again, here or in another Commun, in the settings under “Your data”."),
    N_("These files are not sealed any more: keep them as safe as what you wrote."),
)

log = structlog.get_logger()


async def export(request: Request) -> Response:
    visit = await member_of(request)
    check_asking(visit)
    name = f"commun-{visit.local(time.time()).date().isoformat()}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(_stream(visit), media_type="application/zip", headers=headers)


class _Sink:
    """What zipfile writes into; it cannot be wound back, so that sizes follow each file."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


async def _stream(visit: Visit) -> AsyncIterator[bytes]:
    sink = _Sink()
    archive = zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION)
    async for name, moment, data in _files(visit):
        await asyncio.to_thread(archive.writestr, _info(visit, name, moment), data)
        yield sink.take()
    archive.close()
    yield sink.take()


def _info(visit: Visit, name: str, moment: float) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, visit.local(max(moment, 315_619_200.0)).timetuple()[:6])  # not before 1980
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info


async def _files(visit: Visit) -> AsyncIterator[tuple[str, float, bytes]]:
    """(name, time, contents), one after the other."""
    now, data = time.time(), OwnData(visit.services.database)
    yield "README.txt", now, _readme(visit, now)
    listed: list[str] = []
    folders = await visit.services.folders.list(visit.owner)
    named = {folder.id: {"folder": folder.name} for folder in folders}
    for conversation_id in await data.conversations(visit.owner):
        try:
            found = await visit.services.conversations.get(visit.owner, conversation_id)
        except NotFound:
            continue  # deleted since
        name = f"{visit.local(found.created).date().isoformat()}-{found.id}"
        listed.append(f"- [{_plain(found.title)}](conversations/{name}.md)")
        said = await visit.services.feedback.find_all(visit.owner, found.id)
        exported = export_of(found, said) | named.get(found.folder_id or "", {})
        yield f"conversations/{name}.json", found.updated, _json(exported)
        yield f"conversations/{name}.md", found.updated, markdown_of(visit, found).encode()
        async for proof in _proofs(visit, found):
            yield proof
    for sent in await visit.services.sent.mine(visit.owner, brief=lambda _content: b""):
        try:
            whole = await visit.services.sent.get(visit.owner, sent.id)
        except NotFound:
            continue  # withdrawn since
        yield f"sent/{sent.id}.json", sent.day, _json(Letter.from_bytes(whole.content).to_json())
    older = await data.unopened(visit.owner)
    yield "conversations.md", now, _list(visit, listed, len(older)).encode()
    account = {
        "format": FORMAT,
        "made": now,
        "sealed_with_an_older_key": [asdict(one) for one in older],
        **await _shared(visit),
        "instructions": asdict(await visit.services.instructions.get(visit.owner)),
        "folders": [asdict(folder) for folder in folders],
        "tables": await data.rows(visit.owner),
    }
    yield "account.json", now, _json(account)


async def _shared(visit: Visit) -> dict[str, Any]:
    """Who reads what of theirs (``since`` empty: a link that nobody has accepted), and what they read of others."""
    readers = await visit.services.readers.list(visit.owner)
    readable = await visit.services.reading.list(visit.owner)
    return {
        "read_by": [
            {"conversation_id": one.conversation_id, "name": one.name, "created": one.created, "since": one.since}
            for one in readers
        ],
        "shared_with_me": [{"id": one.id, "shared_by": one.owner, "since": one.since} for one in readable],
    }


async def _proofs(visit: Visit, found: Conversation) -> AsyncIterator[tuple[str, float, bytes]]:
    services = visit.services
    for message in found.messages.values():
        receipt = str(message.content.get("receipt", ""))
        if not receipt:
            continue
        try:
            bundle = await services.bundles.bundle(await services.receipts.get(visit.owner, receipt))
        except CommunError as error:
            log.warning("an answer is exported without its proof", code=error.code)
            continue
        yield f"proofs/{receipt}.bundle.json", message.created, await asyncio.to_thread(bundle.data)


def _readme(visit: Visit, now: float) -> bytes:
    day = visit.local(now).date().isoformat()
    return ("\n\n".join(visit.translate(line) % {"day": day} for line in README) + "\n").encode()


def _list(visit: Visit, listed: list[str], unopened: int) -> str:
    _ = visit.translate
    lines = [f"# {_('Conversations')}", "", *listed]
    if unopened:
        told = _(
            "%(n)s conversations are sealed with an older key of yours and cannot be opened: account.json names them."
        )
        lines += ["", told % {"n": unopened}]
    return "\n".join(lines) + "\n"


def _plain(title: str) -> str:
    return " ".join(title.translate(str.maketrans("[]\\<>`", "()/   ")).split())


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode(errors="replace")
