"""Asking the model again: one prefill over prompt and answer, reduced to one ``Fact`` a token as it comes.

- the exported graph of a verified model on the plain OpenVINO runtime (``paged.PagedModel``), with the profile's own
  precisions: without the pipeline that answered, its scheduler and its sampler;
- a part of the positions at a time: memory is bounded by 25 MB of logits, whatever the answer's length, beside the
  model and its cache;
- what was read is what was hashed: whoever calls looks at the model's marks afterwards (``ReadyModel.check``).

Token ids come from a stranger's file: those that the model has not are refused before it sees them (UnknownToken).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, Final

from commun.audit.calibration import Machine
from commun.audit.case import CannotAudit, Case, Why
from commun.audit.comparing import build_of, processor_of
from commun.audit.draws import draws, share_of
from commun.audit.facts import Fact
from commun.audit.verdict import Recomputed
from commun.engine.grammar_check import check_compiles
from commun.engine.masked import MaskedSampler
from commun.engine.paged import PagedModel
from commun.engine.processor import processor_class
from commun.engine.rendering import Renderer
from commun.engine.runtime import DEVICE, PROFILES
from commun.engine.sampling import fact_of
from commun.receipts.commitments import TEXT_ROLE

UNPINNED: Final = {"ENABLE_CPU_PINNING": "NO"}  # a thread that is bound to a core waits where that core is another's

Progress = Callable[[int, int], None]


class LogitReader:
    """``folder``: a model's, verified by the caller. ``threads``: 0 means every core. Not thread-safe."""

    def __init__(self, folder: Path, *, profile: str, threads: int = 0) -> None:
        properties = {**PROFILES[profile], **UNPINNED}
        if threads:
            properties["INFERENCE_NUM_THREADS"] = str(threads)
        self._threads = threads or len(os.sched_getaffinity(0))
        self._model = PagedModel(folder, DEVICE, properties)
        self._machine = machine_here(profile, threads)

    @property
    def machine(self) -> Machine:
        """What recomputes, as a receipt names what answers."""
        return self._machine

    def rows(self, prompt: tuple[int, ...], answer: tuple[int, ...]) -> Iterator[Any]:
        """The logits (float32, one for each word) that each token of the answer was chosen from, in order. A row is
        valid until the next one is asked for.
        """
        for part in self._parts(prompt, answer):
            yield from part

    def shift_at(self, case: Case, before: int, token: int) -> float:
        """How far the draw is from ``token`` after the first ``before`` tokens of the answer, or after all of them."""
        (row,) = self.rows((*case.prompt, *case.answer[:before]), (token,))
        share = None if case.seed is None else share_of(draws(case.seed, before + 1)[-1])
        return fact_of(row, token, temperature=case.temperature, top_p=case.top_p, share=share).shift

    def facts(self, case: Case) -> Iterator[Fact]:
        """Of an answer that no grammar bound."""
        return self.facts_of(case.prompt, case.answer, case.shares(), temperature=case.temperature, top_p=case.top_p)

    def facts_of(
        self,
        prompt: tuple[int, ...],
        answer: tuple[int, ...],
        shares: Sequence[float | None],
        *,
        temperature: float,
        top_p: float,
    ) -> Iterator[Fact]:
        """``shares``: of the draws, one for each token of the answer, as ``fact_of`` takes it.

        A part of the rows is reduced whole before its first fact is told: rows are the model's own memory, which no
        thread reads while whoever asked has the turn. Raises ValueError unless each token has its row and its share.
        """

        def reduced(places: tuple[Any, Sequence[int], Sequence[float | None]]) -> list[Fact]:
            every = zip(*places, strict=True)
            return [
                fact_of(row, token, temperature=temperature, top_p=top_p, share=share) for row, token, share in every
            ]

        done = 0
        with ThreadPoolExecutor(self._threads) as pool:  # NumPy lets go of the interpreter's lock
            for part in self._parts(prompt, answer):
                each = -(-len(part) // self._threads)
                cuts = [slice(start, start + each) for start in range(0, len(part), each)]
                tokens, drawn = answer[done : done + len(part)], shares[done : done + len(part)]
                done += len(part)
                facts = list(pool.map(reduced, [(part[cut], tokens[cut], drawn[cut]) for cut in cuts]))
                yield from chain.from_iterable(facts)
        if not done == len(answer) == len(shares):
            raise ValueError(f"{len(answer)} tokens, {done} rows, {len(shares)} shares")

    def _parts(self, prompt: tuple[int, ...], answer: tuple[int, ...]) -> Iterator[Any]:
        return self._model.parts([*prompt, *answer[:-1]], len(prompt) - 1)  # after the last token nothing was chosen


def machine_here(profile: str, threads: int) -> Machine:
    import openvino
    import openvino_genai

    core = openvino.Core()
    features = " ".join(sorted(core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")))
    return Machine(
        engine=build_of(openvino_genai.get_version(), openvino.get_version()),
        profile=profile,
        threads=str(threads),
        processor=processor_of(core.get_property(DEVICE, "FULL_DEVICE_NAME"), features),
        processor_class=processor_class(DEVICE, PROFILES[profile]),
    )


def prompt_of(case: Case, renderer: Renderer) -> tuple[int, ...] | None:
    """The disclosed messages' tokens, by the model's own template; None where none are disclosed."""
    if case.messages is None:
        return None
    is_text = [role for role, _ in case.messages] == [TEXT_ROLE]
    return renderer.encode(case.messages[0][1]) if is_text else renderer.render(case.messages)


def recompute(
    case: Case, reader: LogitReader, renderer: Renderer, *, context_length: int, progress: Progress
) -> Recomputed:
    """All that the model has to say on one answer. ``context_length``: the model's, in tokens. ``progress``: tokens of
    the answer that are done, and all of them. Raises UnknownToken, and CannotAudit for what the model could never have
    read.
    """
    if len(case.prompt) + len(case.answer) > context_length:
        raise CannotAudit(Why.TOO_LONG)
    renderer.check_known((*case.prompt, *case.answer))
    prompt = prompt_of(case, renderer)
    if case.schema is None:
        facts = reader.facts(case)
    else:
        check_compiles(renderer.folder, case.schema)
        sampler = MaskedSampler(renderer.tokenizer, renderer.ends, case)
        facts = sampler.facts(reader.rows(case.prompt, case.answer))
    found: list[Fact] = []
    for fact in facts:
        found.append(fact)
        progress(len(found), len(case.answer))
    whole, shown, stopped = renderer.text_of(case.answer, case.stop)
    return Recomputed(
        prompt=prompt,
        texts=(whole, shown),
        stopped=stopped,
        ends=renderer.ends,
        facts=tuple(found),
        context_length=context_length,
    )
