"""OpenVINO GenAI called directly, as a child of serve.py: the peer that Commun's API is measured against.

Arguments: the IR folder, the profile, "logprobs" or "plain". Says {"ready": …} when loaded; then reads one JSON
object a line ({"prompts": [text, …], "max_tokens": n, "seed": n}), runs all prompts at once and prints
{"first_s": […], "total_s": […], "prompt_tokens": […], "completion_tokens": […], "elapsed_s": …}. Nothing is decoded
to text and nothing else is done: an upper bound of what any server on this engine can reach.
"""

import json
import sys
import time

from commun.engine.runtime import DEVICE, PROFILES  # first: it keeps OpenVINO's telemetry out

# isort: split
import numpy as np
import openvino
import openvino_genai as genai


def load(folder: str, profile: str, cache_gb: int = 1, at_once: int = 32) -> genai.ContinuousBatchingPipeline:
    scheduler = genai.SchedulerConfig()
    scheduler.enable_prefix_caching = True
    scheduler.max_num_seqs = at_once
    scheduler.cache_size = cache_gb
    return genai.ContinuousBatchingPipeline(folder, scheduler, DEVICE, PROFILES[profile])


def run(pipeline: genai.ContinuousBatchingPipeline, order: dict, logprobs: int, numbers: list[int]) -> dict:
    tokenizer = pipeline.get_tokenizer()
    started = time.perf_counter()
    handles, prompt_tokens = [], []
    for prompt in order["prompts"]:
        ids = tokenizer.encode(prompt).input_ids.data
        config = genai.GenerationConfig(
            max_new_tokens=order["max_tokens"], ignore_eos=True, rng_seed=order["seed"], logprobs=logprobs
        )
        numbers[0] += 1
        tensor = openvino.Tensor(np.array(ids, dtype=np.int64))
        handles.append(pipeline.add_request(numbers[0], tensor, config))
        prompt_tokens.append(int(ids.shape[1]))
    first, total = [0.0] * len(handles), [0.0] * len(handles)
    tokens = [0] * len(handles)
    while pipeline.has_non_finished_requests():
        pipeline.step()
        now = time.perf_counter() - started
        for index, handle in enumerate(handles):
            while handle.can_read():
                tokens[index] += len(handle.read()[0].generated_ids)
                first[index] = first[index] or now
                total[index] = now
    return {
        "first_s": first,
        "total_s": total,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": tokens,
        "elapsed_s": time.perf_counter() - started,
    }


def main() -> None:
    folder, profile, logprobs = sys.argv[1:4]
    pipeline = load(folder, profile)
    print(json.dumps({"ready": genai.get_version()}), flush=True)
    numbers = [0]
    for line in sys.stdin:
        print(json.dumps(run(pipeline, json.loads(line), int(logprobs == "logprobs"), numbers)), flush=True)


if __name__ == "__main__":
    main()
