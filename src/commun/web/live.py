"""Answers that are being written for a page: whose they are, and their events as the page takes them (SSE).

An event stream begins with the whole answer so far, always: a reader that comes back (Last-Event-ID) is brought to the
same state as one that never left, without the server remembering what each one has seen. Every event carries the
number of the turn's event behind it.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

from starlette.requests import Request

from commun.assistant.turn import Assistant, Began, Done, Failed, Queued, Turn, TurnEvent
from commun.engine.base import Delta
from commun.errors import NotFound
from commun.store.conversations import MessageState
from commun.web.i18n import translator
from commun.web.receipt_view import disclosed_of, nonce_of
from commun.web.render import StreamingMarkdown, Update, split_reasoning
from commun.web.templating import part
from commun.web.transcript import answer_view, dropped_notice

PACE_S: Final = 0.06  # the least time between two pieces of an answer: 16 a second look fluent


@dataclass(frozen=True, slots=True)
class Live:
    """A turn and whose it is: an account's, or a guest's. ``conversation_id`` is empty for a temporary chat.
    ``persona``: the one that was asked, None for the charter's own choice. ``closed``: nobody reads it any more.
    """

    turn: Turn
    account_id: str
    conversation_id: str
    persona: str | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class LiveTurns:
    """The page's turns, as long as the assistant remembers them. Owned by the event loop."""

    _turns: dict[str, Live] = field(default_factory=dict)

    def add(self, assistant: Assistant, live: Live) -> None:
        gone = [turn_id for turn_id in self._turns if assistant.find(turn_id) is None]
        for turn_id in gone:
            del self._turns[turn_id]
        self._turns[live.turn.id] = live

    def find(self, assistant: Assistant, turn_id: str, account_id: str) -> Live | None:
        """None also for another account's turn."""
        live = self._turns.get(turn_id)
        if live is None or live.account_id != account_id or assistant.find(turn_id) is None:
            return None
        return live

    def close(self, account_id: str) -> None:
        """Ends what is being read of the turns of an account, or of a class: it may not be here any more."""
        for live in self._turns.values():
            if account_id in {live.account_id, live.turn.share.class_id}:
                live.closed.set()

    def get(self, assistant: Assistant, turn_id: str, account_id: str) -> Live:
        """Raises NotFound."""
        live = self.find(assistant, turn_id, account_id)
        if live is None:
            raise NotFound
        return live


def text_so_far(turn: Turn) -> str:
    return "".join(event.text for event in turn.events if isinstance(event, Delta))


class AnswerStream:
    """One reader of one turn. Yields server-sent events; the first that carries text carries all of it.

    ``disclosing``: nobody keeps the answer, so that its last event hands the receipt's salts and values to the page.
    ``closed``: set when the reader may not read on; the stream ends without another word.
    """

    def __init__(
        self, turn: Turn, language: str, *, disclosing: bool = False, closed: asyncio.Event | None = None
    ) -> None:
        self._turn = turn
        self._language = language
        self._disclosing = disclosing
        self._closed = closed or asyncio.Event()
        self._text = ""
        self._thought = ""  # as far as it was sent
        self._answer = ""
        self._markdown = {"thought": StreamingMarkdown(interval=0), "answer": StreamingMarkdown(interval=0)}

    async def events(self) -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        yield _event(0, "reset", {})
        async for number, event in self._turn.follow():
            if self._closed.is_set():
                return
            for name, data in self._told(event):
                yield _event(number, name, data)
            if isinstance(event, Delta) and not self._turn.ended:
                await asyncio.sleep(PACE_S)

    def _told(self, event: TurnEvent) -> list[tuple[str, dict[str, Any]]]:
        _ = translator(self._language)
        if isinstance(event, Queued):
            return [
                ("status", {"text": _("Waiting for a place: number %(place)s in the queue.") % {"place": event.place}})
            ]
        if isinstance(event, Began):
            notice = dropped_notice(event.dropped_messages, self._language) if event.dropped_messages else ""
            return [("status", {"text": _("Reading…"), "notice": notice})]
        if isinstance(event, Delta):
            return self._grown(event.text)
        return [*self._finished(), ("end", self._ending(event))]

    def _grown(self, delta: str) -> list[tuple[str, dict[str, Any]]]:
        self._text += delta
        thought, answer = split_reasoning(self._text, streaming=True)
        told = [*self._fed("thought", self._thought, thought), *self._fed("answer", self._answer, answer)]
        self._thought, self._answer = thought, answer
        return told

    def _fed(self, where: str, before: str, now: str) -> list[tuple[str, dict[str, Any]]]:
        more = now[len(before) :] if now.startswith(before) else ""
        update = self._markdown[where].feed(more)
        return [("update", _update(where, update))] if update.changed else []

    def _finished(self) -> list[tuple[str, dict[str, Any]]]:
        thought, answer = split_reasoning(self._text)
        told: list[tuple[str, dict[str, Any]]] = []
        for where, before, now in (("thought", self._thought, thought), ("answer", self._answer, answer)):
            if not now:
                continue
            stream = self._markdown[where]
            if now.startswith(before):
                stream.feed(now[len(before) :])
            told.append(("update", _update(where, stream.finish())))
        return told

    def _ending(self, event: Done | Failed) -> dict[str, Any]:
        _ = translator(self._language)
        error = event.error if isinstance(event, Failed) else None
        state = MessageState.FAILED if error else MessageState.STOPPED if self._turn.stopped else MessageState.COMPLETE
        view = answer_view(self._turn.id, content_of(event), state, self._language, error=error)
        ending: dict[str, Any] = {
            "state": state.value,
            "text": view.text,
            "aftermath": part(self._language, "_aftermath.html", message=view),
            "seal": part(self._language, "_seal.html", message=view),
            "cost": part(self._language, "_cost.html", message=view),
            "announce": _("The answer failed.") if error else _("The answer is finished."),
        }
        if event.receipt is not None:
            ending["nonce"] = nonce_of(event.receipt.statement.seed)
        if self._disclosing and event.receipt is not None:
            ending["disclosed"] = disclosed_of(event.receipt)
        return ending


def content_of(event: Done | Failed) -> dict[str, Any]:
    """As the answer's message would hold it."""
    receipt = event.receipt
    return event.answer.as_content() | ({"receipt": receipt.statement.receipt} if receipt else {})


def _update(where: str, update: Update) -> dict[str, Any]:
    data: dict[str, Any] = {"where": where, "frozen": "".join(update.frozen)}
    if update.tail_append is not None:
        return data | {"append": update.tail_append}
    return data | {"tail": update.tail}


def _event(number: int, name: str, data: dict[str, Any]) -> str:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def live_turns(request: Request) -> LiveTurns:
    """The server's one LiveTurns, made at its first use."""
    turns = getattr(request.app.state, "live_turns", None)
    if turns is None:
        turns = request.app.state.live_turns = LiveTurns()
    return cast("LiveTurns", turns)
