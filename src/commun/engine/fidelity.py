"""Is a converted model still the published one? Two measurements, both against the file itself.

- **weights**: every weight that the graph will compute, read back from the disk, against the file's own formula;
  the figure is the largest difference over the largest weight of its tensor, of all tensors. This covers the bytes,
  the order of the rows and the arithmetic of the formats, and costs seconds;
- **log-probabilities**: fixed prompts through the converted graph, and through a twin of it whose weights are plain
  f32 numbers; the figure is the mean |difference| per token. This covers the engine's compressed kernels. It needs
  10 bytes of memory per weight, and is left out, and said to be left out, where they are not there.

Neither needs another implementation. That the graph itself is right is shown for the default model by numbers made
once with transformers (tests/engine/data/reference.json, tools/make_reference.py, docs/fidelity.md).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from commun.errors import UnfaithfulModel

WEIGHTS_BOUND = 1e-5  # what f32 arithmetic explains is below 1e-6; half a step of a 4-bit code is 3e-2
LOG_PROBABILITIES_BOUND = 0.02  # mean per token; F16 weights read by the stock reader give 0.007
TWIN_BYTES_PER_WEIGHT = 10  # f32 constants, the plugin's own copy of them, and room
SPARE_BYTES = 1 << 30
ARITHMETIC = {"Subtract": np.subtract, "Multiply": np.multiply}
EXACT_HINTS = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}

PROMPTS = (
    "The town council meets on the first Tuesday of each month. Anyone may attend, and the minutes are published.",
    "To make a vegetable soup, chop two carrots, an onion and a leek, and let them simmer for half an hour.",
    "def mean(values):\n    total = 0\n    for value in values:\n        total += value\n    return total / len(values)",  # noqa: E501
    "The library lends books for three weeks. If nobody is waiting for the book, you can keep it three weeks longer.",
    "Water boils at 100 °C at sea level; on a mountain of 3,000 m it boils at about 90 °C, so cooking takes longer.",
    "Le conseil municipal se réunit le premier mardi de chaque mois. La séance est ouverte à tous les habitants.",
    "Pour faire une soupe de légumes, coupez deux carottes, un oignon et un poireau, puis laissez mijoter.",
    "L’école ouvre ses portes à huit heures et demie ; les élèves déjeunent à midi et rentrent à seize heures.",
    "La bibliothèque prête les livres pendant trois semaines. On peut les garder plus longtemps si personne n’attend.",
    "Bonjour, je voudrais savoir quels papiers il faut apporter pour inscrire mon enfant à la cantine. Merci beaucoup.",
)


def check_bounds(model: str, figures: dict[str, float | str]) -> None:
    """Raises UnfaithfulModel naming the figure that is out of its bound."""
    for name, bound in (("weights", WEIGHTS_BOUND), ("log_probabilities", LOG_PROBABILITIES_BOUND)):
        figure = figures.get(name)
        if isinstance(figure, float) and not figure <= bound:  # a NaN is out of bounds
            raise UnfaithfulModel(model=model, reason=f"{name} differ by {figure:.2g}, and {bound:.2g} is allowed")


def values_of(node: Any) -> npt.NDArray[Any]:
    """What a graph of constants computes, in NumPy f32: Constant, Convert, Subtract, Multiply, Reshape."""
    kind = node.get_type_name()
    if kind == "Constant":
        return _constant(node)
    inputs = [values_of(source.get_node()) for source in node.input_values()]
    if kind == "Convert":
        return inputs[0].astype(np.float32)
    if kind in ARITHMETIC:
        result: npt.NDArray[Any] = ARITHMETIC[kind](inputs[0], inputs[1])
        return result
    if kind == "Reshape":
        return inputs[0].reshape(inputs[1])
    raise UnfaithfulModel(model=node.get_friendly_name(), reason=f"{kind} stands among its weights")


def _constant(node: Any) -> npt.NDArray[Any]:
    if node.get_element_type().get_type_name() != "u4":
        return np.asarray(node.data)
    packed = node.data.reshape(-1)
    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(list(node.get_output_shape(0)))


def weights_error(found: npt.NDArray[np.float32], meant: npt.NDArray[np.float32]) -> float:
    """The largest |difference| over the largest |weight|. A NaN on either side gives a NaN."""
    largest = float(np.abs(meant).max(initial=0)) or 1.0
    return float(np.abs(found - meant).max(initial=0)) / largest


def log_probabilities(model: Any, prompts: Sequence[Sequence[int]]) -> list[npt.NDArray[np.float64]]:
    """``model``: a graph or its path. For each prompt (token ids), of each id after the first given those before it."""
    import openvino as ov

    compiled = ov.Core().compile_model(model, "CPU", EXACT_HINTS)
    return [_score(compiled, ids) for ids in prompts]


def _score(compiled: Any, ids: Sequence[int]) -> npt.NDArray[np.float64]:
    request = compiled.create_infer_request()
    count = len(ids)
    inputs = {
        "input_ids": np.array([ids], dtype=np.int64),
        "attention_mask": np.ones((1, count), dtype=np.int64),
        "position_ids": np.arange(count, dtype=np.int64)[None],
        "beam_idx": np.zeros(1, dtype=np.int32),
    }
    logits = request.infer(inputs)["logits"][0, :-1].astype(np.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    scores: npt.NDArray[np.float64] = logits[np.arange(count - 1), np.array(ids[1:])]
    return scores


def mean_difference(first: Sequence[npt.NDArray[np.float64]], second: Sequence[npt.NDArray[np.float64]]) -> float:
    """Mean |difference| per token over all prompts."""
    return float(np.abs(np.concatenate(first) - np.concatenate(second)).mean())


def encode_prompts(folder: Path) -> list[list[int]]:
    """PROMPTS by the model's own tokenizer."""
    import openvino_genai

    tokenizer = openvino_genai.Tokenizer(folder)
    return [tokenizer.encode(prompt).input_ids.data[0].tolist() for prompt in PROMPTS]


def compare_with_twin(folder: Path, graph: Path, twin: Callable[[], Any]) -> float:
    """The log-probabilities figure. ``twin`` builds the graph with plain weights, after the other has been let go."""
    prompts = encode_prompts(folder)
    converted = log_probabilities(graph, prompts)
    return mean_difference(converted, log_probabilities(twin(), prompts))
