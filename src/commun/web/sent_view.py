"""What is in a sent answer, and what its page shows: the same to its sender before it is sent, and to who gets it.

- always: the question, the answer and what its sender says of it. What the model read before the question (earlier
  turns, instructions) only if the sender wants that, and in it what the sender's own instructions added to the
  charter's stands apart, as in a published answer;
- the receipt, if the sender wants that: it proves the answer, and with what the model read before, the question too.
  Its number stands beside its owner's account in the database: left out, nothing of what is sent leads there;
- the conversation's title, and who sends it, are in none of it;
- rendered as a published answer is (``share_view.py``): a question is text, an answer is sanitised.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from commun.receipts.bundle import Bundle
from commun.store.feedback import Opinion
from commun.store.receipts import StoredReceipt
from commun.web.render import render_markdown, split_reasoning
from commun.web.share_view import Spoken, apart, bundle_to_share, spoken_view

FORMAT: Final = "commun-sent/1"


@dataclass(frozen=True, slots=True)
class Letter:
    """``before``: (role, text), oldest first, own instructions ``apart``. ``bundle``: a bundle's text, or None."""

    question: str
    answer: str
    opinion: Opinion
    before: tuple[tuple[str, str], ...] = ()
    bundle: str | None = None

    def data(self) -> bytes:
        return json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "question": self.question,
            "answer": self.answer,
            "opinion": self.opinion.to_json(),
            "before": [{"role": role, "text": text} for role, text in self.before],
            "bundle": self.bundle,
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> "Letter":
        """What ``data`` gave."""
        value = json.loads(data)
        before = tuple((each["role"], each["text"]) for each in value["before"])
        opinion = Opinion.from_json(value["opinion"])
        return cls(value["question"], value["answer"], opinion, before, value["bundle"])

    @property
    def proof(self) -> Bundle | None:
        """Raises ReceiptError."""
        return None if self.bundle is None else Bundle.from_bytes(self.bundle.encode())


@dataclass(frozen=True, slots=True)
class LetterView:
    """``before``: what the model read before the question."""

    question: Spoken
    html: Markup
    thought: Markup
    before: tuple[Spoken, ...]
    opinion: Opinion


def whole_letter(stored: StoredReceipt, question: str, opinion: Opinion, added: str) -> Letter:
    """With all that could go along but the receipt. ``stored``: can be shared (``share_view.can_be_shared``).
    ``added``: what the model was told beside the charter's words (``instructions.added_in``).
    """
    if stored.values is None:
        raise ValueError("this answer is not kept here")
    read = apart(stored.values.prompt_messages or (), added)
    return Letter(question, stored.values.answer_text, opinion, tuple(read[:-1]))


def letter_to_send(
    stored: StoredReceipt, question: str, opinion: Opinion, added: str, *, with_before: bool, with_receipt: bool
) -> Letter:
    whole = whole_letter(stored, question, opinion, added)
    bundle = bundle_to_share(stored, conversation=with_before).data().decode() if with_receipt else None
    return Letter(question, whole.answer, opinion, whole.before if with_before else (), bundle)


def letter_view(letter: Letter) -> LetterView:
    thought, answer = split_reasoning(letter.answer)
    return LetterView(
        question=spoken_view("user", letter.question),
        html=Markup(render_markdown(answer)),  # noqa: S704  (sanitised by render_markdown)
        thought=Markup(render_markdown(thought)) if thought else Markup(""),  # noqa: S704  (the same)
        before=tuple(spoken_view(role, text) for role, text in letter.before),
        opinion=letter.opinion,
    )
