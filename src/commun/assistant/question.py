"""What is asked, in the words of whoever asks."""

from dataclasses import dataclass

from commun.engine.base import Message, Prompt


@dataclass(frozen=True, slots=True)
class Question:
    """Either ``messages`` (a chat, oldest first, the last one is the question) or ``prompt`` (a plain completion: exact
    text or token ids).

    Fields that are None take the charter's value; all others are wishes, granted or refused in ``bounds.py``.
    ``persona``: an id of the charter's, "" for none. ``language``: of the prompt. ``drawn_seed``: not a wish but a seed
    that the server drew itself, once for several questions of one request. ``nonce``: what the caller drew, so that
    nobody else can choose the seed; it is used where none is given in one of the two ways.
    """

    messages: tuple[Message, ...] = ()
    prompt: Prompt | None = None
    persona: str | None = None
    language: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    drawn_seed: int | None = None
    nonce: bytes | None = None
    stop: tuple[str, ...] = ()
    json_schema: str | None = None
    ignore_eos: bool = False
