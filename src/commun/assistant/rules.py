"""What shapes an answer besides the question: until the charter is there, these constants.

Everything in ``Rules`` becomes a clause of the charter; nothing of it may be a setting of operation.
"""

from dataclasses import dataclass

SYSTEM_PROMPT = (
    "You are Commun, an open AI assistant. You answer in the language of the question. "
    "You are honest about what you do not know."
)


@dataclass(frozen=True, slots=True)
class Rules:
    """``max_tokens``: of one answer where the caller names none. ``context_policy``: what is dropped when a
    conversation no longer fits; there is one policy, the oldest turns first, the system prompt and the last question
    never. ``answer_reserve``: tokens kept free for the answer when the prompt is cut to fit.
    """

    system_prompt: str = SYSTEM_PROMPT
    temperature: float = 0.3
    top_p: float = 0.95
    max_tokens: int = 1024
    answer_reserve: int = 512
    context_policy: str = "oldest-turns-first"
