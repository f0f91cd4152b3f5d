"""The ledger's public pages: its head, its entries in words, who watches it, and the proof of each entry.

Nobody needs to be signed in, and nothing here changes anything. What is shown is what is published
(``ledger_files.py``) and the charter's policy on witnesses. Looking for a receipt answers with what the public ledger
has, and only to whoever has the receipt's id or digest already: 256 bits that nobody guesses.
"""

import asyncio
import re
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from commun.errors import CommunError, NotFound
from commun.ledger.errors import LedgerError, OutOfRange
from commun.ledger.keys import VerifierKey
from commun.recording.cosignatures import WitnessState
from commun.web.i18n import LANGUAGES
from commun.web.ledger_files import folder_of
from commun.web.ledger_picture import picture_of
from commun.web.ledger_search import find_envelope
from commun.web.ledger_view import Head, Proven, find_head, prove, read_page, watched
from commun.web.ledger_words import entry_text, entry_words, in_runs
from commun.web.templating import page
from commun.web.visit import Visit, check_address, visit_of

MAX_DIGITS: Final = 19  # of a number of an entry
DIGEST: Final = re.compile(r"[0-9a-f]{64}")


async def visit_in_language(request: Request) -> Visit:
    """``?lang=`` shows the page in another language than the reader's own, so that it can be passed on."""
    visit = await visit_of(request)
    wanted = request.query_params.get("lang", "")
    return replace(visit, language=wanted) if wanted in LANGUAGES else visit


def frame_of(visit: Visit) -> dict[str, Any]:
    """What every page has around it."""
    base = visit.services.settings.public_url.rstrip("/") or str(visit.request.base_url).rstrip("/")
    wanted = visit.request.query_params.get("lang")
    return {
        "signed_in": visit.viewer is not None,
        "path": visit.request.url.path,
        "base": base,
        "suffix": f"?lang={wanted}" if wanted in LANGUAGES else "",
        "lang": wanted if wanted in LANGUAGES else "",
    }


def _number(text: str) -> int | None:
    """None for anything that is no entry's number, in its one writing."""
    if not (text.isascii() and text.isdigit()) or len(text) > MAX_DIGITS or (text[0] == "0" and text != "0"):
        return None
    return int(text)


def _policy(visit: Visit) -> str:
    in_force = visit.services.charter.find()
    return in_force.charter.witnesses.policy if in_force is not None else ""


def _key(visit: Visit) -> VerifierKey | None:
    log = visit.services.recorder.log
    return log.key.verifier if log is not None else None


def _trouble(visit: Visit) -> str:
    """Why the ledger does not go on, or ""."""
    trouble: CommunError | None = visit.services.recorder.trouble
    return trouble.text(visit.translate) if trouble is not None else ""


async def ledger(request: Request) -> Response:
    """The head, the entries, the witnesses, the key."""
    visit = await visit_in_language(request)
    before = request.query_params.get("before")
    start = None if before is None else _number(before)
    if before is not None and start is None:
        raise NotFound
    folder, key, in_force = folder_of(request), _key(visit), visit.services.charter.find()
    head = await asyncio.to_thread(find_head, folder)
    context: dict[str, Any] = {
        **frame_of(visit),
        "head": head,
        "key": key.text() if key is not None else "",
        "trouble": _trouble(visit),
        "first_root": in_force.first_root if in_force is not None else "",
    }
    if head is not None:
        entries = await asyncio.to_thread(read_page, folder, head, start)
        words = [entry_words(entries.first + at, data, visit.language) for at, data in enumerate(entries.entries)]
        context |= {
            "runs": list(in_runs(reversed(words))),
            "newest": start is None or start >= head.size,
            "older": entries.older,
            **await _watch(visit, head, key),
        }
    return page(visit, "ledger.html", **context)


async def _watch(visit: Visit, head: Head, key: VerifierKey | None) -> dict[str, Any]:
    """Who watches: what the charter asks for, who countersigned this head, and what was last heard of each."""
    try:
        watch = await asyncio.to_thread(watched, _policy(visit), head, key)
    except LedgerError as error:
        return {"watch": None, "unreadable": error.text(visit.translate), "states": {}}
    states = {each.name: _heard(visit, each) for each in visit.services.recorder.witness_states()}
    return {"watch": watch, "unreadable": "", "states": states}


def _heard(visit: Visit, state: WitnessState) -> dict[str, Any]:
    """What was last heard of a witness."""
    trouble = state.trouble.problem_text(visit.translate) if state.trouble is not None else ""
    return {"size": state.size, "at": state.at, "trouble": trouble}


async def entry(request: Request) -> Response:
    """One entry, and its way to the head."""
    visit = await visit_in_language(request)
    proven = await _proven(visit)
    context = {
        **frame_of(visit),
        "proven": proven,
        "words": entry_words(proven.number, proven.entry, visit.language),
        "text": entry_text(proven.entry),
        "picture": picture_of(proven, visit.language),
    }
    return page(visit, "ledger_entry.html", **context)


async def proof(request: Request) -> Response:
    """The same as a file (C2SP tlog-proof), which any verifier reads offline."""
    visit = await visit_of(request)
    proven = await _proven(visit)
    headers = {"Content-Disposition": f'attachment; filename="entry-{proven.number}.tlog-proof"'}
    return Response(proven.proof.data(), headers=headers, media_type="text/plain; charset=utf-8")


async def _proven(visit: Visit) -> Proven:
    """Below the last head that witnesses have confirmed as the charter asks, where that has the entry already."""
    number = _number(visit.request.path_params["number"])
    folder = folder_of(visit.request)
    newest = await asyncio.to_thread(find_head, folder)
    if number is None or newest is None:
        raise NotFound
    confirmed = visit.services.recorder.witnessed
    heads = [newest] if confirmed is None else [Head(confirmed.checkpoint, confirmed.data), newest]
    try:
        return await asyncio.to_thread(prove, folder, number, heads)
    except OutOfRange:
        raise NotFound from None


async def find(request: Request) -> Response:
    """To the entry of a receipt: by the receipt's id, by its envelope's SHA-256, or by the entry's own number."""
    visit = await visit_in_language(request)
    asked = "".join(request.query_params.get("receipt", "").split()).lower()
    number = _number(asked)
    if number is None and DIGEST.fullmatch(asked):
        check_address(request, "find_limits")
        number = await visit.services.receipts.find_position(asked)
        if number is None:
            number = await find_envelope(request, asked)
    head = await asyncio.to_thread(find_head, folder_of(request))
    if number is None or head is None or number >= head.size:
        is_digest = DIGEST.fullmatch(asked) is not None
        return page(visit, "ledger_find.html", status=404, **frame_of(visit), asked=asked[:80], is_digest=is_digest)
    return RedirectResponse(f"/ledger/entry/{number}{frame_of(visit)['suffix']}", status_code=303)
