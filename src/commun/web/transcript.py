"""What a conversation looks like: view models for the templates, made from stored messages or from a page's memory.

Nothing here reads the store; a view model holds finished strings and safe HTML only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from markupsafe import Markup

from commun import errors
from commun.engine.base import FinishReason, Message
from commun.errors import CommunError
from commun.store.conversations import Conversation, MessageState, StoredMessage
from commun.store.reading import COPIED
from commun.web.i18n import number, translator
from commun.web.render import render_markdown, split_reasoning

TITLE_LENGTH: Final = 60  # characters; a line of the sidebar holds about 34
SMALLEST_WH: Final = 0.001  # below it the figure would read 0.000


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of what an answer cost."""

    name: str
    value: str
    note: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Branches:
    """The place among siblings, from 1; ``before`` and ``after`` are ids of messages, or empty at the ends."""

    place: int
    count: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message. ``html`` and ``thought`` are safe HTML; ``text`` is what was written, for copying and editing.
    ``notices``: what the reader should know (dropped turns, a stop, a cut). ``problem``: why it failed. ``broken``:
    it did not come to its end by itself or by its reader. ``receipt``: its id, or ""; ``unsealed``: why there is none.
    ``source``: which other assistant wrote it, or "".
    ``proof``: for a page without scripts that alone holds it: what the receipt's commitments open to, as JSON.
    """

    id: str
    role: str
    text: str
    html: Markup
    thought: Markup
    running: bool
    broken: bool
    summary: str
    facts: tuple[Fact, ...]
    notices: tuple[str, ...]
    problem: str
    branches: Branches | None
    receipt: str = ""
    unsealed: str = ""
    proof: str = ""
    source: str = ""


def title_of(question: str) -> str:
    """The first line of a question, cut between words: a conversation's title until its owner gives another."""
    words = question.split()
    title = ""
    for word in words:
        if len(title) + len(word) >= TITLE_LENGTH:
            return (title or word[:TITLE_LENGTH]).rstrip(" ,;:") + "…"
        title = f"{title} {word}".strip()
    return title


def view_path(conversation: Conversation, language: str, *, present: int = 0) -> list[MessageView]:
    """The shown branch, oldest first. ``present``: the edition of the charter in force: answers that were written under
    another one say so; 0: none does.
    """
    return [
        view_message(message, language, _branches(conversation, message), present=present)
        for message in conversation.path()
    ]


def _branches(conversation: Conversation, message: StoredMessage) -> Branches | None:
    siblings = conversation.siblings(message.id)
    if len(siblings) < 2:  # noqa: PLR2004
        return None
    index = siblings.index(message.id)
    return Branches(
        place=index + 1,
        count=len(siblings),
        before=siblings[index - 1] if index else "",
        after=siblings[index + 1] if index + 1 < len(siblings) else "",
    )


def view_message(
    message: StoredMessage, language: str, branches: Branches | None = None, *, present: int = 0
) -> MessageView:
    content = message.content
    if message.role != "assistant":
        asked = question_view(message.id, str(content["text"]), branches)
        return replace(asked, source=imported_from(content, language)) if is_copied(content) else asked
    return answer_view(message.id, content, message.state, language, branches=branches, present=present)


def question_view(message_id: str, text: str, branches: Branches | None = None) -> MessageView:
    """What a person wrote is shown as it was written, never as Markdown."""
    return MessageView(
        id=message_id, role="user", text=text, html=Markup(), thought=Markup(), running=False, broken=False, summary="",
        facts=(), notices=(), problem="", branches=branches,
    )  # fmt: skip


def answer_view(
    message_id: str,
    content: Mapping[str, Any],
    state: MessageState,
    language: str,
    *,
    branches: Branches | None = None,
    error: CommunError | None = None,
    present: int = 0,
) -> MessageView:
    thought, answer = split_reasoning(str(content["text"]))
    return MessageView(
        id=message_id,
        role="assistant",
        text=answer,
        html=Markup(render_markdown(answer)),  # noqa: S704  (sanitised by render.py)
        thought=Markup(render_markdown(thought)),  # noqa: S704
        running=state is MessageState.RUNNING,
        broken=state in {MessageState.FAILED, MessageState.INTERRUPTED},
        summary=summary_of(content, language, present),
        facts=facts_of(content, language),
        notices=notices_of(content, state, language),
        problem=problem_of(content, state, language, error),
        branches=branches,
        receipt=str(content.get("receipt", "")),
        unsealed=why_unsealed(content, state, language),
        source=imported_from(content, language),
    )


def imported_from(content: Mapping[str, Any], language: str) -> str:
    """Which assistant wrote what was brought in from elsewhere, for people; "" for what was written here."""
    source = content.get("imported")
    if not isinstance(source, Mapping):
        return ""
    _ = translator(language)
    names = {
        "chatgpt": "ChatGPT",
        "open-webui": "Open WebUI",
        "commun": _("another Commun"),
        COPIED: _("a conversation that was shared with you"),
    }
    name = names.get(str(source.get("from")), _("another assistant"))
    model = str(source.get("model") or "")
    return f"{name} · {model}" if model else name


def is_copied(content: Mapping[str, Any]) -> bool:
    """Whether it stands in a copy of a conversation that somebody else shared."""
    source = content.get("imported")
    return isinstance(source, Mapping) and source.get("from") == COPIED


def why_unsealed(content: Mapping[str, Any], state: MessageState, language: str) -> str:
    """Why a finished answer has no receipt; "" where it has one, or is being written."""
    if state is MessageState.RUNNING or "receipt" in content:
        return ""
    _ = translator(language)
    if source := imported_from(content, language):
        return _why_brought_in(content, source, language)
    if state is MessageState.INTERRUPTED:
        return _("This answer has no receipt: Commun was stopped at once while it wrote, and could not sign one.")
    if state is MessageState.FAILED and "completion_tokens" not in content:
        return _("There is no receipt: no model was asked.")
    if state is MessageState.FAILED:
        return _("This answer has no receipt: it failed before one was signed.")
    return _("This answer has no receipt: it is older than the receipts of this Commun.")


def _why_brought_in(content: Mapping[str, Any], source: str, language: str) -> str:
    _ = translator(language)
    if is_copied(content):
        return _("This answer was copied from a conversation that was shared with you. Its receipt stays there.")
    told = _("This answer was brought in from %(source)s. Another assistant wrote it: it has no receipt here.")
    return told % {"source": source}


def _speed(content: Mapping[str, Any]) -> float:
    """Tokens per second while writing, the first token's wait left out; 0 where it cannot be told."""
    writing = float(content.get("total_s", 0)) - float(content.get("first_token_s", 0))
    tokens = int(content.get("completion_tokens", 0)) - 1
    return tokens / writing if tokens > 0 and writing > 0 else 0.0


def summary_of(content: Mapping[str, Any], language: str, present: int = 0) -> str:
    """The one quiet line under an answer: speed and energy, and the edition of the charter where ``present`` is another
    one. Empty where nothing was counted.
    """
    if not content.get("completion_tokens"):
        return ""
    _ = translator(language)
    parts = [_("%(n)s tokens") % {"n": number(content["completion_tokens"], 0, language)}]
    if speed := _speed(content):
        parts.append(_("%(n)s tokens/s") % {"n": number(speed, 0 if speed >= 10 else 1, language)})  # noqa: PLR2004
    parts.append(_energy(content, language))
    edition = int(content.get("edition", 0))
    if edition and present and edition != present:
        parts.append(_("edition %(number)s of the charter") % {"number": edition})
    return " · ".join(part for part in parts if part)


def _energy(content: Mapping[str, Any], language: str) -> str:
    energy = float(content.get("energy_wh", 0))
    if energy <= 0:
        return ""
    _ = translator(language)
    if energy < SMALLEST_WH:
        return _("under %(n)s Wh") % {"n": number(SMALLEST_WH, 3, language)}
    return _("%(n)s Wh") % {"n": number(energy, 3, language)}


def facts_of(content: Mapping[str, Any], language: str) -> tuple[Fact, ...]:
    """All that is known of how an answer was made and what it cost."""
    if not content.get("completion_tokens"):
        return ()
    _ = translator(language)

    def seconds(name: str) -> str:
        return _("%(n)s s") % {"n": number(float(content.get(name, 0)), 2, language)}

    def count(name: str) -> str:
        return number(int(content.get(name, 0)), 0, language)

    edition = int(content.get("edition", 0))
    found = [
        Fact(
            _("Charter"),
            _("Edition %(number)s") % {"number": edition} if edition else "",
            _("its mandate had ended") if content.get("stale") else "",
            url=f"/charter/editions/{edition}",
        ),
        Fact(_("Persona"), str(content.get("persona", ""))),
        Fact(
            _("Your own instructions"),
            _("told to the model") if content.get("instructed") else "",
            url="/settings#instructions-title",
        ),
        Fact(_("Model"), str(content.get("model", ""))),
        Fact(_("Engine"), str(content.get("engine", ""))),
        Fact(_("Tokens read"), count("prompt_tokens"), _("the conversation, and Commun’s own instructions")),
        Fact(_("Tokens written"), count("completion_tokens")),
        Fact(_("Waited in the queue"), seconds("queued_s")),
        Fact(_("To the first token"), seconds("first_token_s")),
        Fact(_("In all"), seconds("total_s")),
        Fact(_("Energy"), _energy(content, language), _method(content, language)),
        Fact(_("Temperature"), number(float(content.get("temperature", 0)), 2, language)),
        Fact(_("Seed"), str(content.get("seed", "")), _("the same seed gives the same answer")),
    ]
    return tuple(fact for fact in found if fact.value)


def _method(content: Mapping[str, Any], language: str) -> str:
    """How the energy was reckoned; the meter's own words are English (energy.py), known ones are translated."""
    _ = translator(language)
    method = str(content.get("energy_method", ""))
    if method.startswith("measured"):
        how = _("measured by the processor’s energy counter")
    elif method.endswith("as configured"):
        how = _("reckoned from the configured power of this machine")
    else:
        how = _("estimated from 10 W for each processor core in use")
    return how + ", " + _("shared among the answers written at the same time; memory, network and screens left out")


def notices_of(content: Mapping[str, Any], state: MessageState, language: str) -> tuple[str, ...]:
    _ = translator(language)
    found = []
    if "missing" in (content.get("imported") or {}):
        found.append(_("What was brought in has no answer to this."))
    if dropped := int(content.get("dropped_messages", 0)):
        found.append(dropped_notice(dropped, language))
    if state is MessageState.STOPPED:
        found.append(_("This answer was stopped before its end."))
    elif state is MessageState.INTERRUPTED:
        found.append(_("Commun was stopped while it wrote this answer. What it had written is kept."))
    elif state is MessageState.COMPLETE and content.get("finish_reason") == FinishReason.LENGTH:
        found.append(_("The answer reached its greatest length and was cut here."))
    return tuple(found)


def dropped_notice(dropped: int, language: str) -> str:
    _ = translator(language)
    return _(
        "The conversation is longer than what the model can read: "
        "its %(n)s oldest messages were left out of this answer."
    ) % {"n": dropped}


def problem_of(content: Mapping[str, Any], state: MessageState, language: str, error: CommunError | None) -> str:
    """Why the answer failed. A stored failure has only its code: sentences with figures are then left out."""
    if state is not MessageState.FAILED:
        return ""
    translate = translator(language)
    if error is not None:
        return error.text(translate)
    kind = _error_kinds().get(str(content.get("error")), CommunError)
    sentences = [kind.problem if "%(" not in kind.problem else CommunError.problem]
    if "%(" not in kind.cure:
        sentences.append(kind.cure)
    return " ".join(translate(sentence) for sentence in sentences)


def _error_kinds() -> dict[str, type[CommunError]]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CommunError)]
    return {kind.code: kind for kind in kinds}


def prompt_messages(path: Sequence[StoredMessage]) -> tuple[Message, ...]:
    """The branch as the model reads it: without its own earlier reasoning, without answers that never began."""
    return tuple(
        message for stored in path if (message := prompt_message(stored.role, str(stored.content["text"]))) is not None
    )


def prompt_message(role: str, text: str) -> Message | None:
    if role != "assistant":
        return Message("user", text)
    _thought, answer = split_reasoning(text)
    return Message("assistant", answer) if answer.strip() else None
