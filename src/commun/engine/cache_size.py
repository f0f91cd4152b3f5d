"""How much memory the key-value cache takes, so that one conversation as long as the charter allows fits in it.

Nothing of the configuration may decide what is dropped from a conversation: ``kv_cache_gb`` is a wish, and the cache is
larger where one whole context needs more. The engine only reserves it; its pages become memory as they are first used
(measured: 1 GB and 3 GB start with the same memory), so a larger one costs an idle machine nothing. It is used up in
time, though, by what is kept of past prompts, so a machine without that much free memory is refused at the load.
"""

import re
from math import ceil
from pathlib import Path
from typing import Final

from commun.engine.room import MEMORY_FACTOR, free_memory_bytes
from commun.errors import N_, ModelError

GIB: Final = 1 << 30  # the engine's unit for a cache
GB: Final = 1e9
BLOCK: Final = 32  # tokens in a block of the key-value cache, on processors
SPARE_BLOCKS: Final = 3  # a context ends within a block, and the pipeline rounds
# Bytes for one number, with the scales that go with 8 bits: measured 4 and 1.19.
BYTES: Final = {"exact": 4.0, "fast": 1.25}
GRAPH: Final = "openvino_model.xml"
MAX_GRAPH_BYTES: Final = 1 << 28
# What the graph keeps from one token to the next: of each layer keys and values, [batch, heads, tokens, numbers].
STATE = re.compile(rb'variable_id="([^"]{1,200})"[^>]{0,200}? variable_shape="\?,(\d{1,6}),\?,(\d{1,6})"')


class ContextTooLarge(ModelError):
    """``details``: ``model``, ``tokens``, ``needed``, ``free`` (the last two in words, such as “3.1 GB”)."""

    code = "context_too_large"
    problem = N_(
        "A conversation with the model “%(model)s” may have %(tokens)s tokens: that needs %(needed)s of memory, and "
        "only %(free)s are free."
    )
    cure = N_("Lower “most_tokens” under [context] in the charter, by an amendment, or use a machine with more memory.")


def bytes_per_token(folder: Path, profile: str) -> int:
    """Of the cache, for the model in ``folder``; 0 where its graph does not tell."""
    with (folder / GRAPH).open("rb") as file:
        graph = file.read(MAX_GRAPH_BYTES)
    states = {name: int(heads) * int(numbers) for name, heads, numbers in STATE.findall(graph)}
    return ceil(sum(states.values()) * BYTES[profile])


def enough_gb(folder: Path, profile: str, tokens: int) -> int:
    """GiB that hold one conversation; 0 where that is not known."""
    held = (ceil(tokens / BLOCK) + SPARE_BLOCKS) * BLOCK
    try:
        return ceil(held * bytes_per_token(folder, profile) / GIB)
    except OSError:
        return 0  # the load will say what is wrong


def check_free(model: str, folder: Path, tokens: int, cache_gb: int) -> None:
    """Raises ContextTooLarge unless the model and its cache fit in what is free now."""
    loaded = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    needed = loaded * MEMORY_FACTOR + cache_gb * GIB
    free = free_memory_bytes()
    if free is not None and needed > free:
        raise ContextTooLarge(model=model, tokens=tokens, needed=f"{needed / GB:.1f} GB", free=f"{free / GB:.1f} GB")
