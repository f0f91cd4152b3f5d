"""Generating an answer again: GenAI's own pipeline, as the server runs it, in this process and with nobody beside it.

Nobody else is served here, so the pipeline needs no process of its own (``worker.py`` says what that is for). The cache
holds the longest of the conversations that will be asked for.
"""

from collections.abc import Generator
from itertools import count
from pathlib import Path

from commun.audit.case import Case
from commun.engine.cache_size import enough_gb
from commun.engine.runtime import Runtime


class Replayer:
    """``folder``: a model's, verified by the caller. ``longest``: tokens of a conversation. Not thread-safe."""

    def __init__(self, folder: Path, *, profile: str, longest: int) -> None:
        cache_gb = max(1, enough_gb(folder, profile, longest))
        self._runtime = Runtime(folder, {"profile": profile, "threads": 0, "cache_gb": cache_gb, "max_running": 1})
        self._numbers = count(1)

    def tokens(self, case: Case, context_length: int) -> Generator[int]:
        """Drawn one after the other; closing the iterator ends the generation. ``context_length``: the model's. Raises
        InvalidParameter for a schema that cannot be compiled here.
        """
        wish = {
            "seed": case.seed or 0,
            "temperature": case.temperature,
            "top_p": case.top_p,
            "max_tokens": max(1, case.room(context_length)),
            "ignore_eos": case.statement.sampler.ignore_eos,
            "json_schema": case.schema,
        }
        handle = self._runtime.add(next(self._numbers), [*case.prompt], wish)
        finish = ""
        try:
            while not finish:
                self._runtime.step()
                token_ids, _, finish = self._runtime.read(handle) or ([], [], "")
                yield from token_ids
        finally:
            if not finish:
                handle.cancel()
                self._runtime.step()  # the pipeline frees what was cancelled at its next step
