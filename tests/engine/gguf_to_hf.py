"""Run in vLLM's own environment: a GGUF file to a folder that vLLM reads. Arguments: the file, the folder."""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

source, folder = Path(sys.argv[1]), sys.argv[2]
tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
model = AutoModelForCausalLM.from_pretrained(
    source.parent,
    gguf_file=source.name,
    quantization_config=GgufConfig(dequantize=True),
    dtype=torch.bfloat16,
)
for holder in (model, model.config):  # what is saved is no longer a GGUF
    if hasattr(holder, "quantization_config"):
        delattr(holder, "quantization_config")
model.hf_quantizer = None
tokenizer.save_pretrained(folder)
model.save_pretrained(folder)
