"""The answer while it is being written, and what there is of it whenever somebody asks.

Rules:

- the turn's task owns it and writes it step by step; nothing else does;
- ``answer`` can be asked at any time: a checkpoint, a stop and a failure have as much as was written, and figures that
  the engine had not told by then are counted and timed here;
- it keeps, signs and sends nothing: ``turn.py`` does, when writing has ended.
"""

import time
from dataclasses import dataclass, field

from commun.assistant.answer import Answer, joined
from commun.assistant.bounds import has_system_message
from commun.assistant.issuing import Beginning, Ending
from commun.assistant.prompt import PreparedPrompt, language_of, persona_of
from commun.engine.base import Delta, EngineInfo, Finish, FinishReason, Sampling
from commun.errors import CommunError
from commun.receipts.statement import State


@dataclass(slots=True)
class Draft:
    """``prepared``: None until the prompt is rendered. ``reached``: whether the engine has been given it. ``finish``:
    what the engine told at its end, None if it did not come to that. ``asked``: a monotonic clock's.
    """

    beginning: Beginning
    sampling: Sampling
    energy_method: str
    prepared: PreparedPrompt | None = None
    deltas: list[Delta] = field(default_factory=list)
    finish: Finish | None = None
    asked: float = field(default_factory=time.monotonic)
    queued_s: float = 0.0
    energy_wh: float = 0.0
    reached: bool = False

    def answer(self) -> Answer:
        """As it is now."""
        question, terms = self.beginning.question, self.beginning.terms
        edition, prepared, finish = terms.in_force.edition, self.prepared, self.finish
        whole = joined(self.deltas) if self.deltas else Delta((), "", ())
        reason = finish.reason if finish else FinishReason.CANCELLED
        prompt_tokens = prepared.tokens if prepared else 0
        return Answer(
            text=whole.text,
            token_ids=whole.token_ids,
            logprobs=whole.logprobs,
            finish_reason=reason.value,
            prompt_tokens=finish.prompt_tokens if finish else prompt_tokens,
            completion_tokens=finish.completion_tokens if finish else len(whole.token_ids),
            dropped_messages=prepared.dropped_messages if prepared else 0,
            queued_s=self.queued_s,
            first_token_s=finish.first_token_s if finish else 0.0,
            total_s=finish.total_s if finish else time.monotonic() - self.asked - self.queued_s,
            energy_wh=self.energy_wh,
            energy_method=self.energy_method,
            sampling=self.sampling,
            engine=self._engine(),
            edition=edition.number,
            charter=edition.digest,
            persona=persona_of(edition.charter, question),
            language=language_of(edition.charter, question),
            stale=terms.in_force.stale_since is not None,
            instructed=has_system_message(question),
        )

    def ending(self, answer: Answer, state: State, error: CommunError | None) -> Ending:
        """For the receipt of ``answer``, which is this one's, at its end."""
        prompt = self.prepared.prompt if self.prepared else None
        return Ending(answer, prompt, state, error.code if error else "", reached=self.reached)

    def _engine(self) -> EngineInfo | None:
        try:
            return self.beginning.terms.info
        except CommunError:  # it never told, or no longer does
            return None
