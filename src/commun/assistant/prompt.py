"""From a question to the exact prompt, within the context, by the charter's clauses ``prompts``, ``personas``,
``sampling`` and ``context``.

Context policy "oldest-turns-first": when the conversation does not fit, its oldest messages are left out first, a
user message always together with the answer to it; the system prompt and the last question always stay. What was left
out is counted and told. A last question that alone does not fit is an error, never a cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from commun.assistant.question import Question
from commun.charter.clauses import CONTEXT_POLICIES, Charter
from commun.engine.base import Engine, Message, Prompt, Sampling
from commun.errors import MessageTooLong

__all__ = ["PreparedPrompt", "Question", "prepare", "sampling_for"]

(OLDEST_TURNS_FIRST,) = CONTEXT_POLICIES  # a second policy must be written here before a charter may name it


@dataclass(frozen=True, slots=True)
class PreparedPrompt:
    """``room``: how many tokens the answer may have before the context is full."""

    prompt: Prompt
    tokens: int
    room: int
    dropped_messages: int


def persona_of(charter: Charter, question: Question) -> str:
    """Who answers: an id, or "" for nobody in particular."""
    return charter.prompts.persona if question.persona is None else question.persona


def language_of(charter: Charter, question: Question) -> str:
    """The language of the system prompt."""
    return charter.prompts.language if question.language is None else question.language


async def prepare(engine: Engine, charter: Charter, question: Question) -> PreparedPrompt:
    """The prompt that fits. Raises MessageTooLong when the last question alone does not."""
    limit = min(engine.info.context_length, charter.context.most_tokens)
    if question.prompt is not None:
        tokens = await engine.count(question.prompt)
        if tokens >= limit:
            raise MessageTooLong(tokens=tokens, limit=limit - 1)
        return PreparedPrompt(question.prompt, tokens, limit - tokens, 0)
    system, turns = _split(charter, question)
    least_room = charter.context.answer_reserve
    reserve = min(question.max_tokens or least_room, least_room, limit // 4)

    async def without(first: int) -> PreparedPrompt:
        """The prompt without the ``first`` turns, which may be too long."""
        prompt = await engine.render([system, *(message for turn in turns[first:] for message in turn)])
        tokens = await engine.count(prompt)
        return PreparedPrompt(prompt, tokens, limit - tokens, sum(map(len, turns[:first])))

    best = await without(0)
    if best.room >= reserve:
        return best
    too_few, enough = 0, len(turns) - 1
    if enough > 0:
        best = await without(enough)
    if best.room < reserve:
        raise MessageTooLong(tokens=best.tokens, limit=limit - reserve)
    while enough - too_few > 1:  # bisected: every rendering costs the engine, and fewer turns are never more tokens
        middle = (too_few + enough) // 2
        tried = await without(middle)
        if tried.room >= reserve:
            best, enough = tried, middle
        else:
            too_few = middle
    return best


def _split(charter: Charter, question: Question) -> tuple[Message, list[list[Message]]]:
    """One system message (the charter's text, then the caller's) and the turns; each begins with a user message."""
    messages: Sequence[Message] = question.messages
    adopted = charter.system_prompt(language_of(charter, question), persona_of(charter, question))
    system_texts = [adopted, *(m.content for m in messages if m.role == "system")]
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "system":
            continue
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return Message("system", "\n\n".join(text for text in system_texts if text)), turns


def sampling_for(charter: Charter, question: Question, room: int, seed: int) -> Sampling:
    """The sampling that is used: the question's wishes (``bounds.py`` has granted them) over the charter's defaults,
    the answer within ``room``. ``seed``: drawn by the server, for whoever names none.
    """
    clauses = charter.sampling
    wished = question.max_tokens if question.max_tokens is not None else int(clauses.max_tokens.default)
    seeds = (question.seed, question.drawn_seed, seed)
    return Sampling(
        seed=next(each for each in seeds if each is not None),
        max_tokens=max(1, min(wished, room)),
        temperature=float(clauses.temperature.default) if question.temperature is None else question.temperature,
        top_p=float(clauses.top_p.default) if question.top_p is None else question.top_p,
        stop=question.stop,
        json_schema=question.json_schema,
        ignore_eos=question.ignore_eos,
    )
