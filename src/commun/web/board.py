"""The board's pages: what is being decided, for everybody to see; signing, for whoever holds a key of the board.

Rules:

- reading needs no account: that an amendment is in flight, what it changes and who has signed it are no secret;
- nor does signing: the signature of a board's key is the authority, and it is verified before anything is kept. What a
  stranger sends is bounded before it is read, counted by address, only glanced at until it has a signature of the
  board (``charter/glance.py``), and never fills the desk (``Desk.receive``);
- the private key stays in the browser (``static/keyring.js``). The server gives the bytes to be signed and takes a
  public key and signatures; it has no address that would take more;
- what a page drafts is kept only together with its first signature, by a member of the present board;
- nothing but a complete document is put in force, and the loader decides whether it is.
"""

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from commun.charter.amendment import MAX_DOCUMENT_BYTES, Amendment, add_signatures, payloads
from commun.charter.canonical import read_time, time_text
from commun.charter.errors import BrokenMetadata
from commun.charter.freezing import freeze_payload, freeze_signed
from commun.charter.joining import BadInvitation, Invitation, charter_digest
from commun.charter.keys import key_from_text
from commun.charter.signing import BadDocument
from commun.charter.strict_json import NotStrict, check_fields, read_object
from commun.drafting.desk import SUFFIX, Desk, Document, Lying
from commun.errors import BadRequest, BodyTooLarge
from commun.web.board_desk import BoardDesk, Draft, board_desk, check_clock, draft_of, now
from commun.web.board_views import DocumentView, view_draft, view_lying, view_state
from commun.web.forms import see
from commun.web.i18n import LANGUAGES
from commun.web.kept import kept_views
from commun.web.limits import address_of
from commun.web.templating import page
from commun.web.visit import Visit, services_of, visit_of

MAX_POST_BYTES: Final = 65_536  # what our script sends: a public key, some signatures, a reason
MAX_TEXT: Final = 8192
DONE: Final = ("signed", "uploaded", "adopted", "released", "frozen", "proposed")


# ---- reading


async def board(request: Request) -> Response:
    visit = await _visit(request)
    reading = await board_desk(request).read()
    documents = [await view_lying(kept_views(request), lying, visit.language) for lying in reading.documents]
    return _page(visit, "board.html", state=view_state(reading), documents=documents)


async def document(request: Request) -> Response:
    """One document, whole."""
    visit = await _visit(request)
    reading = await board_desk(request).read()
    lying = reading.get(request.path_params["document"])
    view = await view_lying(kept_views(request), lying, visit.language)
    return _page(visit, "board_document.html", state=view_state(reading), document=view)


async def download(request: Request) -> Response:
    """The file that can be signed anywhere."""
    reading = await board_desk(request).read()
    found = reading.get(request.path_params["document"]).document
    headers = {"Content-Disposition": f'attachment; filename="{found.id}{SUFFIX}"', "Cache-Control": "no-store"}
    return Response(found.to_bytes(), media_type="application/json", headers=headers)


async def to_sign(request: Request) -> Response:
    """What the browser checks and signs."""
    reading = await board_desk(request).read()
    return _to_sign(reading.get(request.path_params["document"]).document)


def _to_sign(found: Document) -> Response:
    time = now().replace(microsecond=0)
    files = found.files if isinstance(found, Amendment) else {}
    return _data(
        {
            "id": found.id,
            "kind": found.kind,
            "digest": found.digest,
            "time": time_text(time),
            "payloads": _encoded(payloads(found, time=time)),
            "files": _encoded(files),
        }
    )


# ---- signing


async def sign(request: Request) -> Response:
    """A member's signatures, made in a browser."""
    desk = board_desk(request)
    fields = await _posted(request, {"key": str, "time": str, "signatures": dict})
    reading = await desk.read()
    lying = reading.get(request.path_params["document"])
    signed = _with_signatures(lying.document, fields)
    await desk.work(lambda at: at.receive(signed))
    return _data({"url": _document_url(signed, "signed")})


def _with_signatures(found: Document, fields: Mapping[str, Any]) -> Document:
    """Raises OtherClock, BadKey, NotAMember, BadSignature."""
    time = _moment(fields["time"])
    check_clock(time)
    if isinstance(found, Amendment):  # (the same call for each kind: their types stay apart)
        return add_signatures(found, fields["key"], fields["signatures"], time=time)
    return add_signatures(found, fields["key"], fields["signatures"], time=time)


async def upload(request: Request) -> Response:
    """A copy that was signed elsewhere: its signatures join those that are here."""
    desk = _counted(request)
    async with request.form(max_files=1, max_fields=4) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadRequest
        data = await file.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise BadDocument(reason="it is too large")
    lying = await desk.work(lambda at: at.receive_file(data))
    return see(_document_url(lying.document, "uploaded"))


async def adopt(request: Request) -> Response:
    """Puts a complete document in force."""
    desk = _counted(request)
    visit = await _visit(request)
    reading = await desk.read()
    found = reading.get(request.path_params["document"]).document
    await desk.work(lambda at: at.settle(found))
    await visit.services.charter.refresh()
    return see(f"/board?done={'adopted' if found.kind == 'edition' else 'released'}")


# ---- freezing


async def freeze_to_sign(request: Request) -> Response:
    fields = await _posted(request, {"key": str, "reason": str})
    time = now().replace(microsecond=0)
    key, reason = key_from_text(fields["key"]), fields["reason"]
    data = await board_desk(request).work(
        lambda at: freeze_payload(at.verified(), key, reason=reason, time=time),
    )
    return _data({"kind": "freeze", "time": time_text(time), "payloads": _encoded({"freeze": data})})


async def freeze(request: Request) -> Response:
    visit = await _visit(request)
    fields = await _posted(request, {"key": str, "reason": str, "time": str, "signatures": dict})
    time = _moment(fields["time"])
    check_clock(time)
    key, reason, signature = key_from_text(fields["key"]), fields["reason"], fields["signatures"].get("freeze")

    def do(desk: Desk) -> object:
        return freeze_signed(desk.repository, desk.trust, key, signature, reason=reason, time=time, now=now())

    await board_desk(request).work(do)
    await visit.services.charter.refresh()
    return _data({"url": "/board?done=frozen"})


# ---- joining and proposing


async def join(request: Request) -> Response:
    """Who invites whom to which board; the key and the answer are made by the script alone."""
    visit = await _visit(request)
    reading = await board_desk(request).read()
    text = request.query_params.get("invitation", "")[:MAX_TEXT]
    invitation, problem = None, ""
    try:
        invitation = _find_invitation(text, charter_digest(reading.verified.roots[0]))
    except BadInvitation as error:
        problem = error.text(visit.translate)
    return _page(
        visit,
        "board_join.html",
        state=view_state(reading),
        invitation=invitation,
        text=invitation.to_text() if invitation else "",
        problem=problem,
        status=422 if problem else 200,
    )


def _find_invitation(text: str, charter: str) -> Invitation | None:
    """Raises BadInvitation, also where it is to another board."""
    if not text:
        return None
    invitation = Invitation.from_text(text)
    if invitation.root_digest != charter:
        raise BadInvitation(reason="it is about another charter")
    return invitation


async def invite(request: Request) -> Response:
    """The text of an invitation. It grants nothing, so whoever asks may have one."""
    visit = await _visit(request)
    reading = await board_desk(request).read()
    newest = reading.verified.in_force.newest
    own_url = visit.services.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    invitation = Invitation(
        name=request.query_params.get("name", "").strip(),
        by=request.query_params.get("by", "").strip(),
        charter_name=newest.charter.name,
        root_digest=charter_digest(reading.verified.roots[0]),
        edition=newest.digest,
    )
    return _page(
        visit,
        "board_invite.html",
        state=view_state(reading),
        name=invitation.name,
        text=invitation.to_text(),
        url=f"{own_url}/board/join?invitation={invitation.to_text()}",
    )


async def draft(request: Request) -> Response:
    """A proposal as the board would see it. Nothing is kept yet."""
    desk = _counted(request)
    visit = await _visit(request)
    form = await request.form(max_files=0, max_fields=8)
    kind, text, quorum, reason = (_field(form, name) for name in ("kind", "request", "quorum", "reason"))
    wanted = draft_of(kind, text, quorum, reason, now().replace(microsecond=0))
    reading = await desk.read()
    library = visit.services.library

    def view(_: Desk) -> DocumentView:
        return view_draft(wanted.make(reading.verified, library), reading.verified, visit.language)

    return _page(
        visit,
        "board_draft.html",
        state=view_state(reading),
        document=await desk.work(view),
        draft=wanted,
        proposed=time_text(wanted.proposed),
    )


async def draft_to_sign(request: Request) -> Response:
    wanted = _draft(await _posted(request, _DRAFT_FIELDS))
    reading, library = await board_desk(request).read(), services_of(request).library
    return _to_sign(await board_desk(request).work(lambda _: wanted.make(reading.verified, library)))


async def draft_signed(request: Request) -> Response:
    """The proposal and its first signature, which must be one of the present board's (``Desk.receive``)."""
    fields = await _posted(request, _DRAFT_FIELDS | {"key": str, "time": str, "signatures": dict})
    wanted, library = _draft(fields), services_of(request).library

    def do(desk: Desk) -> Lying:
        return desk.receive(_with_signatures(wanted.make(desk.verified(), library), fields))

    lying = await board_desk(request).work(do)
    return _data({"url": _document_url(lying.document, "proposed")})


_DRAFT_FIELDS: Final[dict[str, Any]] = {"kind": str, "request": str, "quorum": str, "reason": str, "proposed": str}


def _draft(fields: Mapping[str, Any]) -> Draft:
    kind, text, quorum, reason = (fields[name] for name in ("kind", "request", "quorum", "reason"))
    return draft_of(kind, text, quorum, reason, _moment(fields["proposed"]))


# ---- what they share


async def _visit(request: Request) -> Visit:
    """``?lang=`` shows a page in another language than the reader's own."""
    visit = await visit_of(request)
    wanted = request.query_params.get("lang", "")
    return replace(visit, language=wanted) if wanted in LANGUAGES else visit


def _counted(request: Request) -> BoardDesk:
    """The desk, one try of this address counted. Raises TooManyRequests."""
    desk = board_desk(request)
    desk.posts.check(address_of(request))
    return desk


async def _posted(request: Request, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What our script sent: bounded before it is read. Raises TooManyRequests, BodyTooLarge, BadRequest."""
    _counted(request)
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MAX_POST_BYTES:
            raise BodyTooLarge(limit=MAX_POST_BYTES)
    try:
        return check_fields(read_object(data, limit=MAX_POST_BYTES), fields)
    except NotStrict:
        raise BadRequest from None


def _moment(text: str) -> datetime:
    try:
        return read_time(text, file="")
    except BrokenMetadata:
        raise BadRequest from None


def _field(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name, "")
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""  # forms send a line end as two characters


def _encoded(parts: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(data).decode() for name, data in parts.items()}


def _document_url(found: Document, done: str) -> str:
    return f"/board/{found.id}?done={done}"


def _page(visit: Visit, template: str, *, status: int = 200, **context: Any) -> Response:
    asked = visit.request.query_params
    kept = [(name, value) for name, value in asked.multi_items() if name not in ("done", "lang")]
    frame = {
        "done": asked["done"] if asked.get("done") in DONE else "",
        "path": visit.request.url.path,
        "query": urlencode(kept),
        "signed_in": visit.viewer is not None,
    }
    return page(visit, template, status=status, **frame, **context)


def _data(value: Mapping[str, Any]) -> Response:
    return JSONResponse(value, headers={"Cache-Control": "no-store"})
