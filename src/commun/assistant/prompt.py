"""From a question to the exact prompt, within the context.

Context policy "oldest-turns-first": when the conversation does not fit, its oldest messages are left out first, a
user message always together with the answer to it; the system prompt and the last question always stay. What was left
out is counted and told. A last question that alone does not fit is an error, never a cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from commun.assistant.rules import Rules
from commun.engine.base import Engine, Message, Prompt, Sampling
from commun.errors import MessageTooLong


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. Either ``messages`` (a chat, oldest first, the last one is the question) or ``prompt`` (a plain
    completion: exact text or token ids). Fields that are None take the rules' value; ``seed`` None draws one.
    """

    messages: tuple[Message, ...] = ()
    prompt: Prompt | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    json_schema: str | None = None
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True)
class PreparedPrompt:
    """``room``: how many tokens the answer may have before the context is full."""

    prompt: Prompt
    tokens: int
    room: int
    dropped_messages: int


async def prepare(engine: Engine, rules: Rules, question: Question) -> PreparedPrompt:
    """The prompt that fits. Raises MessageTooLong when the last question alone does not."""
    limit = engine.info.context_length
    if question.prompt is not None:
        tokens = await engine.count(question.prompt)
        if tokens >= limit:
            raise MessageTooLong(tokens=tokens, limit=limit - 1)
        return PreparedPrompt(question.prompt, tokens, limit - tokens, 0)
    system, turns = _split(rules, question.messages)
    reserve = min(question.max_tokens or rules.answer_reserve, rules.answer_reserve, limit // 4)
    dropped = 0
    while True:
        prompt = await engine.render([system, *(message for turn in turns for message in turn)])
        tokens = await engine.count(prompt)
        if tokens + reserve <= limit:
            return PreparedPrompt(prompt, tokens, limit - tokens, dropped)
        if len(turns) == 1:
            raise MessageTooLong(tokens=tokens, limit=limit - reserve)
        dropped += len(turns.pop(0))


def _split(rules: Rules, messages: Sequence[Message]) -> tuple[Message, list[list[Message]]]:
    """One system message (the rules' text, then the caller's) and the turns; each turn begins with a user message."""
    system_texts = [rules.system_prompt, *(m.content for m in messages if m.role == "system")]
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "system":
            continue
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return Message("system", "\n\n".join(text for text in system_texts if text)), turns


def sampling_for(rules: Rules, question: Question, room: int, seed: int) -> Sampling:
    """The sampling that is used: the question's wishes over the rules' values, the answer within ``room``."""
    wished = question.max_tokens if question.max_tokens is not None else rules.max_tokens
    return Sampling(
        seed=question.seed if question.seed is not None else seed,
        max_tokens=max(1, min(wished, room)),
        temperature=rules.temperature if question.temperature is None else question.temperature,
        top_p=rules.top_p if question.top_p is None else question.top_p,
        stop=question.stop,
        json_schema=question.json_schema,
        ignore_eos=question.ignore_eos,
    )
