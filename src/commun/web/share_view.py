"""What a shared answer consists of, and what its page shows.

- shared is the answer, with what it takes to verify it: its text and its token ids, each with its salt. Only if the
  owner shares the conversation too, what the model read goes along, and with it whatever tells of it: the
  log-probabilities of the answer depend on the question, stop strings and a schema are words of whoever asked;
- the conversation's title, and who the owner is, are in none of it;
- what was written is rendered as every answer is (``render.py``), whoever wrote it; a question is text.
"""

from dataclasses import dataclass
from typing import Final, cast

from markupsafe import Markup

from commun.receipts.bundle import Bundle
from commun.receipts.commitments import FIELDS, Message
from commun.receipts.issue import make_bundle
from commun.receipts.statement import Statement
from commun.store.receipts import StoredReceipt
from commun.web.render import render_markdown, split_reasoning

ALONE: Final = frozenset({"answer_text", "answer_token_ids"})
DAYS: Final = (1, 7, 30)
OWN_ROLE: Final = "own"  # on a page: a part of the system message that whoever asked had written


@dataclass(frozen=True, slots=True)
class Spoken:
    """One message that the model read. ``html``: safe; "" for what people and boards wrote, which is ``text``."""

    role: str
    text: str
    html: Markup


@dataclass(frozen=True, slots=True)
class SharedAnswer:
    """``question``: the last one, None where the conversation is not shared. ``before``: what came before it."""

    statement: Statement
    html: Markup
    thought: Markup
    question: Spoken | None
    before: tuple[Spoken, ...]


def can_be_shared(stored: StoredReceipt) -> bool:
    """Whether the answer is kept here, with what opens its receipt."""
    return stored.conversation_id is not None and stored.salts is not None and stored.values is not None


def bundle_to_share(stored: StoredReceipt, *, conversation: bool) -> Bundle:
    """Without charter and ledger: those are put in when it is read, as they then are. ``stored``: can be shared."""
    if stored.values is None or stored.salts is None:
        raise ValueError("this answer is not kept here")
    whole = make_bundle(stored.envelope, key=stored.key, values=stored.values, salts=stored.salts)
    return whole if conversation else whole.without(*(name for name in FIELDS if name not in ALONE))


def told_in(bundle: Bundle) -> tuple[Message, ...]:
    """What the model read, as far as the bundle discloses it."""
    told = bundle.disclosed.get("prompt_messages")
    return cast("tuple[Message, ...]", told.value) if told is not None else ()


def apart(messages: tuple[Message, ...], added: str) -> tuple[Message, ...]:
    """``messages``, with what whoever asked added to the charter's words (``added``) as one of its own."""
    if not added:
        return messages
    (role, content), *others = messages
    return ((role, content.removesuffix(added).rstrip("\n")), (OWN_ROLE, added), *others)


def shared_answer(bundle: Bundle, added: str = "") -> SharedAnswer:
    """``added``: what whoever asked had told the model beside the charter's words. Raises ReceiptError."""
    text = bundle.disclosed.get("answer_text")
    thought, answer = split_reasoning(cast("str", text.value) if text is not None else "")
    spoken = [spoken_view(role, content) for role, content in apart(told_in(bundle), added)]
    return SharedAnswer(
        statement=Statement.from_envelope(bundle.envelope),
        html=Markup(render_markdown(answer)),  # noqa: S704  (sanitised by render_markdown)
        thought=Markup(render_markdown(thought)) if thought else Markup(""),  # noqa: S704  (the same)
        question=spoken[-1] if spoken else None,
        before=tuple(spoken[:-1]),
    )


def spoken_view(role: str, content: str) -> Spoken:
    html = Markup(render_markdown(split_reasoning(content)[1])) if role == "assistant" else Markup("")  # noqa: S704
    return Spoken(role, content, html)
