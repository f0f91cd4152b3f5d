"""``POST /v1/chat/completions``: start here to see how a program is answered.

1. the key says who calls (``keys.py``); 2. the body is read and every wish is granted or refused (``requests.py``);
3. the turn begins (``assistant/turn.py``); 4. its events become OpenAI's JSON, whole or streamed (``stream.py``,
``wire.py``), with its receipt (``receipts.py``).
"""

from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from commun.api.begun import begun, header_of
from commun.api.edition import charter_headers
from commun.api.keys import key_of, services_of
from commun.api.models import check_model
from commun.api.nonce import nonce_of
from commun.api.receipts import told
from commun.api.record import record_for
from commun.api.requests import ChatRequest, read
from commun.api.stream import DROPPED_HEADER, EventStream, ending, while_there
from commun.api.wire import ChatChunks, chat_completion
from commun.assistant.question import Question
from commun.engine.base import Message, Role
from commun.errors import InvalidParameter
from commun.store.accounts import Caller


def question_of(asked: ChatRequest) -> Question:
    """The question to the assistant. Raises InvalidParameter."""
    short, long = asked.max_tokens, asked.max_completion_tokens
    if short is not None and long is not None and short != long:
        raise InvalidParameter(parameter="max_tokens", reason="max_completion_tokens says something else")
    if all(message.role in {"system", "developer"} for message in asked.messages):
        raise InvalidParameter(parameter="messages", reason="there is no message to answer")
    return Question(
        persona=asked.persona,
        language=asked.language,
        messages=tuple(Message(_role(message.role), message.text()) for message in asked.messages),
        temperature=asked.temperature,
        top_p=asked.top_p,
        max_tokens=asked.limit(),
        seed=asked.seed,
        stop=asked.stops(),
        json_schema=asked.schema_text(),
        ignore_eos=bool(asked.ignore_eos),
    )


def _role(role: str) -> Role:
    if role == "user":
        return "user"
    return "assistant" if role == "assistant" else "system"


async def chat(request: Request, caller: Caller) -> ASGIApp:
    """Answers a chat."""
    asked = read(ChatRequest, await request.body())
    services = services_of(request)
    assistant = services.assistant
    terms = assistant.terms()
    check_model(terms.info, asked.model)
    question = replace(question_of(asked), nonce=nonce_of(request, asked))
    share = await assistant.share_of(caller.account_id, caller.key_id)
    await assistant.check_schema(question, terms, share)
    await assistant.check_nonce(question.nonce)
    record = record_for(services, caller, key_of(request), asked)
    turn_id = None if record is None else record.answer_id
    turn = begun(request.scope, assistant.begin(question, record, turn_id, terms=terms, share=share))
    token_bytes = terms.token_bytes if asked.logprobs else None
    tell = partial(told, services, whole=asked.wants_bundle())
    if asked.stream:
        return EventStream(turn, ChatChunks(terms, wants_usage=asked.wants_usage(), token_bytes=token_bytes), tell)
    done = await while_there(request.receive, ending(turn))
    answer, receipt = done.answer, await tell(done.receipt)
    headers = charter_headers(terms.in_force) | header_of(request.scope)
    if answer.dropped_messages:
        headers[DROPPED_HEADER.decode()] = str(answer.dropped_messages)
    return Response(
        chat_completion(answer, terms, token_bytes, receipt), headers=headers, media_type="application/json"
    )
