"""What people tell every answer, on the pages: written in the settings, told to the model, shown in receipts as theirs.

- it goes the way of a program's own system message: after the charter's prompt, in the system message that the receipt
  commits to. So a proof shows it, and an audit reads it;
- the clause ``callers.system_messages`` governs it. Where the board forbids it, none is used, and the settings say so;
- it is used in one's chats on the pages, stored and temporary. Programs that come with an API key say what they want
  said themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from commun.assistant.engines import Terms
from commun.charter.clauses import Charter
from commun.charter.errors import CharterError
from commun.engine.base import Message
from commun.errors import CommunError, NotFound
from commun.receipts.adopted import added_by_caller
from commun.receipts.commitments import Message as ToldMessage
from commun.receipts.statement import Statement
from commun.store.folders import MAX_INSTRUCTIONS
from commun.store.receipts import StoredReceipt
from commun.web.adopted import adopted_of
from commun.web.forms import field, form_of, see
from commun.web.visit import Visit, member_of


@dataclass(frozen=True, slots=True)
class InstructionsView:
    """A field of instructions. ``most``: characters. ``tokens``: what they cost in each question, of ``fits`` that the
    model reads; 0: nothing is written, or nobody can count. ``allowed``: whether the charter lets them be used.
    """

    text: str
    used: bool
    most: int
    tokens: int
    fits: int
    allowed: bool


async def own_messages(
    visit: Visit, charter: Charter, *, conversation_id: str | None = None, folder_id: str | None = None
) -> tuple[Message, ...]:
    """What this person's question is told after the charter's prompt: their own instructions, then those of the folder
    in which the conversation lies, or is to lie where it is new. A guest of a class has none.
    """
    if visit.guest is not None or not charter.callers.system_messages:
        return ()
    told = await visit.services.instructions.told(visit.owner, conversation_id=conversation_id, folder_id=folder_id)
    return tuple(Message("system", text) for text in told)


async def instructions_view(visit: Visit, text: str, *, used: bool = True) -> InstructionsView:
    in_force = visit.services.charter.find()
    allowed = in_force is None or in_force.charter.callers.system_messages
    tokens, fits = await _cost(visit, text)
    return InstructionsView(text, used, MAX_INSTRUCTIONS, tokens, fits, allowed)


async def _cost(visit: Visit, text: str) -> tuple[int, int]:
    """By the model that answers; (0, 0) where none is loaded, or another server keeps its counting to itself."""
    if not text:
        return 0, 0
    try:
        terms: Terms = visit.services.assistant.terms()
        prompt = await terms.encode(text)
        fits = min(terms.info.context_length, terms.charter.context.most_tokens)
    except CommunError:
        return 0, 0
    return (len(prompt.token_ids), fits) if prompt.token_ids is not None else (0, 0)


async def save(request: Request) -> Response:
    """The text stays where it is switched off."""
    visit = await member_of(request)
    form = await form_of(request)
    used = field(form, "used") == "yes"
    await visit.services.instructions.set(visit.owner, field(form, "instructions"), used=used)
    return see("/settings#instructions-title")


async def added_in(visit: Visit, stored: StoredReceipt) -> str:
    """What stood after the charter's prompt when this answer was given; "" for nothing, or where it is not kept."""
    told = stored.values.prompt_messages if stored.values is not None else None
    return await added_to(visit, Statement.from_envelope(stored.envelope), told or ())


async def added_to(visit: Visit, statement: Statement, messages: Sequence[ToldMessage]) -> str:
    """The same, of what a bundle discloses. "" also where the edition is not one of this Commun's."""
    charter = await _charter_of(visit, statement) if messages else None
    return added_by_caller(charter, statement, messages) if charter is not None else ""


async def _charter_of(visit: Visit, statement: Statement) -> Charter | None:
    """Of the edition that the receipt names."""
    used = statement.charter
    in_force = visit.services.charter.find()
    if in_force is not None and in_force.edition.digest == used.digest:
        return in_force.charter
    try:
        edition = (await adopted_of(visit.request).history()).get(used.edition)
    except (CharterError, NotFound):
        return None
    return edition.charter if edition.digest == used.digest else None
