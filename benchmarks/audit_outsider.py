"""An auditor who trusts no OpenVINO: transformers and torch, in an environment of their own (peers.py).

    PYTHONPATH=src PEERS/transformers/bin/python benchmarks/audit_outsider.py MODEL.gguf < CASES > FACTS

One JSON object a line comes in: prompt, answer, temperature, top_p, seed; one list of facts a line goes out. The
weights are the file's, dequantised by the ``gguf`` package; nothing of Commun is used but the specification of the
sampler (engine/sampling.py, audit/draws.py).
"""

import json
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from commun.audit.draws import draws, share_of
from commun.engine.sampling import fact_of


def facts(model: Any, case: dict[str, Any]) -> list[tuple[Any, ...]]:
    prompt, answer = case["prompt"], case["answer"]
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1].float().numpy()
    shares = map(share_of, draws(case["seed"], len(answer)))
    return [
        astuple(fact_of(row, token, temperature=case["temperature"], top_p=case["top_p"], share=share))
        for row, token, share in zip(logits, answer, shares, strict=True)
    ]


def main() -> None:
    path = Path(sys.argv[1])
    model = AutoModelForCausalLM.from_pretrained(
        str(path.parent), gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    for line in sys.stdin:
        print(json.dumps(facts(model, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
