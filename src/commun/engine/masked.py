"""Which tokens the engine's own sampler picks under a grammar, given logits that somebody else computed.

Which words a JSON Schema forbids at a place is known inside OpenVINO GenAI only. So an answer under a schema is drawn
again by that sampler itself, over the recomputed logits, with the answer's seed and schema:

- the logits are put into a graph that is no model: at place n it gives row n of a table, whatever it reads. A pipeline
  runs it as if it were one, so the grammar, the sampler and its draws are the engine's own;
- CHUNK rows at a time: the places before are given logits that leave only the answer's own token, and take one draw
  each, as they did. A grammar that forbids such a token picks another: that is a difference, too;
- where the pick is another token than the answer's, the row is tried again with its logits moved by SHIFT_BOUND, so as
  to bring the draw to the answer's token from either side. If that does, rounding explains it. Otherwise nothing is
  said of how far it is, and the next places go on from the answer's own token;
- GIVE_UP such differences are enough: what somebody made up would take minutes, and no verdict needs the rest.

How likely the allowed words were is not known here, so such an answer's evidence is not counted.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from commun.audit.case import CannotAudit, Case, Why
from commun.audit.facts import SHIFT_LIMIT, Fact
from commun.audit.verdict import SHIFT_BOUND
from commun.engine.grammar import named
from commun.engine.paged import CHUNK
from commun.engine.runtime import ANY_OBJECT, DEVICE, PROFILES
from commun.engine.sampling import Floats, logprob_of

GIVE_UP: Final = 8
SURE: Final = 1e4  # the logit of the only word that is left; the others have 0

Rows = npt.NDArray[np.float32]


class MaskedSampler:
    """``tokenizer``: OpenVINO GenAI's, of the model. ``ends``: tokens that end answers."""

    def __init__(self, tokenizer: Any, ends: frozenset[int], case: Case) -> None:
        self._tokenizer = tokenizer
        self._answer = case.answer
        self._config = _config_of(case, ends)
        self._is_sorted = case.temperature > 0 and np.float32(case.top_p) != 1

    def facts(self, rows: Iterator[Floats]) -> Iterator[Fact]:
        """Raises CannotAudit for a schema that cannot be compiled here."""
        different = 0
        for fact in self._every(rows):
            yield fact
            different += fact.shift >= SHIFT_LIMIT
            if different == GIVE_UP:
                return

    def _every(self, rows: Iterator[Floats]) -> Iterator[Fact]:
        held: list[Floats] = []
        start = 0
        for place, row in enumerate(rows, 1):
            held.append(np.array(row))
            if len(held) == CHUNK or place == len(self._answer):
                yield from self._judged(start, np.stack(held))
                start, held = place, []

    def _judged(self, start: int, table: Rows) -> Iterator[Fact]:
        at = 0
        while at < len(table):
            picks = self._picks(start + at, table[at:])
            for pick in picks:
                place = start + at
                token = self._answer[place]
                shift = 0.0 if pick == token else self._shift(place, table[at])
                yield _fact(table[at], token, is_drawn=pick == token, shift=shift)
                at += 1
                if pick != token:
                    break  # what came after it came after another token

    def _shift(self, place: int, row: Floats) -> float:
        token = self._answer[place]
        before = row > row[token] if self._is_sorted else np.arange(len(row)) < token
        for sign in (1, -1):
            moved = row + np.where(before, sign * SHIFT_BOUND, -sign * SHIFT_BOUND).astype(np.float32)
            moved[token] = row[token] + np.float32(SHIFT_BOUND)
            if self._picks(place, moved[None])[0] == token:
                return SHIFT_BOUND
        return SHIFT_LIMIT

    def _picks(self, start: int, table: Rows) -> Sequence[int | None]:
        """At the places from ``start`` on; None where the sampler had ended the answer before."""
        import openvino_genai as genai

        self._config.max_new_tokens = start + len(table)
        with tempfile.TemporaryDirectory() as folder:
            _write_table(Path(folder) / "openvino_model.xml", self._answer[:start], table)
            properties = {**PROFILES["exact"], "ATTENTION_BACKEND": "SDPA"}
            pipeline = genai.LLMPipeline(folder, self._tokenizer, DEVICE, **properties)
            try:
                found = pipeline.generate(_one_token(), self._config).tokens[0]
            except RuntimeError as error:
                raise CannotAudit(Why.STRUCTURED) from error
        picks: list[int | None] = [*found[start:]]
        return picks + [None] * (len(table) - len(picks))


def _config_of(case: Case, ends: frozenset[int]) -> Any:
    """As ``runtime.py`` asks for the answer."""
    import openvino_genai as genai

    schema = case.schema if case.schema is not None and case.schema.strip() != "{}" else ANY_OBJECT
    config = genai.GenerationConfig(ignore_eos=case.statement.sampler.ignore_eos, logprobs=1)
    config.rng_seed = case.seed or 0
    config.eos_token_id = min(ends)
    if not config.ignore_eos:
        config.stop_token_ids = set(ends)
    if case.temperature > 0:
        config.do_sample = True
        config.temperature = case.temperature
        config.top_p = case.top_p
    config.structured_output_config = genai.StructuredOutputConfig(json_schema=schema)
    return config


def _fact(row: Floats, token: int, *, is_drawn: bool, shift: float) -> Fact:
    high = 1.0 if is_drawn else 0.0
    return Fact(token, 0.0, high, is_drawn, shift, logprob_of(row, token), 0.0, 0.0)


def _one_token() -> Any:
    import openvino
    import openvino_genai as genai

    ids, mask = np.zeros((1, 1), dtype=np.int64), np.ones((1, 1), dtype=np.int64)
    return genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(mask))


def _write_table(path: Path, before: Sequence[int], table: Rows) -> None:
    """A language model that has its answers from a table: after one token of prompt, ``before`` for sure, then as the
    rows of ``table`` say.
    """
    import openvino
    from openvino import opset13 as op

    token_ids = named(op.parameter([-1, -1], np.int64), "input_ids")
    mask = named(op.parameter([-1, -1], np.int64), "attention_mask")
    positions = named(op.parameter([-1, -1], np.int64), "position_ids")
    beams = named(op.parameter([-1], np.int32), "beam_idx")
    start, words = np.int64(len(before)), table.shape[1]
    first, axis = op.constant(np.int64(0)), op.constant(np.int64(0))
    last = op.constant(np.int64(len(table) - 1))
    place = op.minimum(op.maximum(op.subtract(positions, op.constant(start)), first), last)
    rows = op.gather(op.constant(table), place, axis)
    forced = op.constant(np.array([*before, 0], dtype=np.int64))
    chosen = op.gather(forced, op.minimum(positions, op.constant(start)), axis)
    sure = op.one_hot(
        chosen, op.constant(np.int64(words)), op.constant(np.float32(SURE)), op.constant(np.float32(0)), -1
    )
    is_table = op.unsqueeze(op.greater_equal(positions, op.constant(start)), op.constant(np.int64(-1)))
    logits = named(op.result(op.select(is_table, rows, sure)), "logits")
    model = openvino.Model([logits], [token_ids, mask, positions, beams], "table")
    openvino.save_model(model, path, compress_to_fp16=False)
