"""OpenVINO GenAI's pipeline as the engine's process uses it. The only place that generates with OpenVINO.

Profiles (docs/performance.md): ``exact`` keeps every number in 32 bits, so that an answer does not depend on what else
runs; ``fast`` leaves the precision to OpenVINO: bfloat16 where the processor has it, and a smaller cache.
"""

from pathlib import Path
from typing import Any

from commun.audit.draws import LEAST_TEMPERATURE
from commun.engine.cache_size import BLOCK
from commun.engine.grammar import SchemaTrial
from commun.engine.processor import processor_class
from commun.engine.prompt_ids import PromptIds
from commun.engine.scoring import Scorer
from commun.engine.vocabulary import table_of
from commun.errors import InvalidParameter

PROFILES: dict[str, dict[str, str]] = {
    "exact": {
        "INFERENCE_PRECISION_HINT": "f32",
        "KV_CACHE_PRECISION": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    },
    "fast": {},
}
DEVICE = "CPU"
ANY_OBJECT = '{"type": "object"}'


class Runtime:
    """One loaded model. Not thread-safe: the worker's loop owns it."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        import openvino_genai as genai

        self._genai = genai
        self._path = path
        self._properties = dict(PROFILES[settings["profile"]])
        if settings["threads"]:
            self._properties["INFERENCE_NUM_THREADS"] = str(settings["threads"])
        scheduler = genai.SchedulerConfig()
        scheduler.enable_prefix_caching = True
        scheduler.max_num_seqs = settings["max_running"]
        scheduler.cache_size = settings["cache_gb"]
        for name, value in settings.get("scheduler", {}).items():
            setattr(scheduler, name, value)
        self._pipeline = genai.ContinuousBatchingPipeline(str(path), scheduler, DEVICE, self._properties)
        self._tokenizer = self._pipeline.get_tokenizer()
        self._defaults = self._pipeline.get_config()
        self._table = table_of(self._tokenizer)
        self._prompts = PromptIds(self._tokenizer, self._table)
        self._cache_tokens = self._warm_up()
        self._trial: SchemaTrial | None = None
        self._scorer: Scorer | None = None

    @classmethod
    def load(cls, settings: dict[str, Any]) -> "Runtime":
        return cls(Path(settings["path"]), settings)

    def about(self) -> dict[str, Any]:
        import openvino

        table = self._table
        return {
            "version": self._genai.get_version(),
            "notes": {"openvino": openvino.get_version(), **self._computing(openvino.Core())},
            "pieces": [piece.decode("latin-1") for piece in table.pieces],
            "special": sorted(table.special),
            "strip_first": table.strip_first,
            "cache_tokens": self._cache_tokens,
        }

    def _computing(self, core: Any) -> dict[str, str]:
        """In which numbers, on what: precisions as the profile asks for them, or as OpenVINO chooses them here; the
        processor, its class under this profile, and what of it OpenVINO uses.
        """

        def precision(name: str) -> str:
            return self._properties.get(name) or core.get_property(DEVICE, name).get_type_name()

        groups = "DYNAMIC_QUANTIZATION_GROUP_SIZE"
        return {
            "inference_precision": precision("INFERENCE_PRECISION_HINT"),
            "kv_cache_precision": precision("KV_CACHE_PRECISION"),
            "dynamic_quantization_group_size": self._properties.get(groups) or str(core.get_property(DEVICE, groups)),
            "processor": core.get_property(DEVICE, "FULL_DEVICE_NAME"),
            "processor_class": processor_class(DEVICE, self._properties),
            "processor_features": " ".join(sorted(core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES"))),
        }

    def _warm_up(self) -> int:
        """One short answer, so that the first person does not wait for the kernels to be compiled; what it takes of
        the cache tells how many tokens the cache holds. One block is left over for the pipeline's own rounding.
        """
        prompt = [self._defaults.eos_token_id] * (BLOCK + 1)
        config = self._genai.GenerationConfig(max_new_tokens=2, ignore_eos=True, logprobs=1)
        handle = self._pipeline.add_request(0, self._tensor(prompt), config)
        share = 0.0
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
            share = max(share, self._pipeline.get_metrics().cache_usage)
        self.read(handle)
        blocks = round(2 * 100 / share)
        return (blocks - 1) * BLOCK

    def add(self, number: int, token_ids: list[int], sampling: dict[str, Any]) -> Any:
        """Raises InvalidParameter; any other exception means that the pipeline is broken."""
        return self._pipeline.add_request(number, self._tensor(token_ids), self._config(sampling))

    def step(self) -> None:
        self._pipeline.step()

    def read(self, handle: Any) -> list[Any] | None:
        """[token ids, log-probabilities, finish] since the last read, or None."""
        token_ids: list[int] = []
        logprobs: list[float] = []
        finish = ""
        while handle.can_read():
            output = handle.read()[0]
            token_ids += output.generated_ids
            logprobs += output.generated_log_probs
            reasons = self._genai.GenerationFinishReason
            if output.finish_reason != reasons.NONE:
                finish = "length" if output.finish_reason == reasons.LENGTH else "stop"
        return [token_ids, logprobs, finish] if token_ids or finish else None

    def encode(self, text: str) -> list[int]:
        return self._prompts.of_text(text)

    def render(self, messages: list[list[str]]) -> list[int]:
        return self._prompts.of_messages((role, content) for role, content in messages)

    def score(self, token_ids: list[int]) -> list[list[float]]:
        """See ``Scorer.score``."""
        if self._scorer is None:
            self._scorer = Scorer(self._path, DEVICE, self._properties)
        return self._scorer.score(token_ids)

    def _tensor(self, token_ids: list[int]) -> Any:
        import numpy as np
        import openvino

        return openvino.Tensor(np.array([token_ids], dtype=np.int64))

    def _config(self, sampling: dict[str, Any]) -> Any:
        if 0 < sampling["temperature"] < LEAST_TEMPERATURE:  # with it the pipeline's own step would fail
            raise InvalidParameter(parameter="temperature", reason="it is 0, or 0.000001 at least")
        config = self._genai.GenerationConfig(
            max_new_tokens=sampling["max_tokens"],
            ignore_eos=sampling["ignore_eos"],
            rng_seed=sampling["seed"],
            logprobs=1,
        )
        if not sampling["ignore_eos"]:
            config.stop_token_ids = self._defaults.stop_token_ids
        config.eos_token_id = self._defaults.eos_token_id
        if sampling["temperature"] > 0:
            config.do_sample = True
            config.temperature = sampling["temperature"]
            config.top_p = sampling["top_p"]
        if sampling["json_schema"] is not None:
            config.structured_output_config = self._structure(sampling["json_schema"])
        return config

    def _structure(self, schema: str) -> Any:
        if schema.strip() == "{}":
            schema = ANY_OBJECT
        if self._trial is None:
            self._trial = SchemaTrial(self._tokenizer, len(self._table.pieces), DEVICE)
        self._trial.check(schema)
        return self._genai.StructuredOutputConfig(json_schema=schema)
