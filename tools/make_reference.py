"""Makes tests/engine/data/reference.json: what the default model answers by another implementation.

Run by hand, once, outside the project's environment (torch is no need of Commun):

    python -m venv /somewhere/reference
    /somewhere/reference/bin/pip install torch==2.13.0 transformers==5.23.0 gguf==0.19.0 accelerate
    PYTHONPATH=src /somewhere/reference/bin/python tools/make_reference.py MODEL.gguf

transformers dequantises the file by the ``gguf`` package's own formulas and computes in f32; token ids come from the
tokenizer that transformers builds from the same file, with the step that its reader of GGUF leaves out (SmolLM's own
tokenizer.json first splits off each digit). Nothing of Commun is used but its ten prompts.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "tests" / "engine" / "data"
WINDOW = 512  # tokens of the perplexity text that are read at once, each window from nothing
DIGITS = 6
SPLIT = (
    "Le 14 juillet 1789, à l’Hôtel de Ville : « Vive la Nation ! » — œuvre, cœur, Noël, ça, où ?",
    "def f(x: int) -> dict[str, list[int]]:\n\treturn {'a': [1, 2, 3], \"b\": []}  # 100 %\n",
    "Emoji 😀👩\u200d👩\u200d👧🇫🇷 and 日本語, العربية, ελληνικά, 한국어 \U0001d54f",
    "  two  spaces,\ttabs\t\t, lines\n\n\n3 and \r\n an end \n",
    "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    "I'll, you're, WE'VE, don't; a_b-c/d@e.org https://example.org/?q=1&r=%20#x",
)


def main() -> None:
    import tokenizers
    import torch
    import transformers

    from commun.engine.fidelity import PROMPTS

    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit(__doc__)
    path = Path(sys.argv[1])
    names: dict[str, Any] = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(**names, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(**names)

    split = tokenizers.pre_tokenizers
    tokenizer.backend_tokenizer.pre_tokenizer = split.Sequence(
        [split.Digits(individual_digits=True), split.ByteLevel(add_prefix_space=False, use_regex=True)]
    )

    def score(ids: list[int]) -> list[float]:
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, :-1].double()
        scores = torch.log_softmax(logits, dim=-1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
        return [round(float(value), DIGITS) for value in scores]

    text = (DATA / "perplexity.txt").read_text(encoding="utf-8")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    windows = [ids[start : start + WINDOW] for start in range(0, len(ids), WINDOW)]
    prompts = []
    for prompt in PROMPTS:
        prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        prompts.append({"text": prompt, "ids": prompt_ids, "log_probabilities": score(prompt_ids)})
    reference = {
        "made_with": {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "precision": "f32",
            "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        },
        "window": WINDOW,
        "split": [{"text": text, "ids": tokenizer(text, add_special_tokens=False)["input_ids"]} for text in SPLIT],
        "prompts": prompts,
        "text_ids": ids,
        "text_log_probability": round(sum(sum(score(window)) for window in windows if len(window) > 1), DIGITS),
    }
    (DATA / "reference.json").write_text(json.dumps(reference, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
