"""How much memory and disk this machine has, and whether a model fits."""

import os
import shutil
from pathlib import Path

from commun.errors import ModelTooLarge

GB = 1e9
MEMORY_FACTOR = 2.2  # of the loaded files: their pages, and the engine's own repacked copy
DISK_SPARE_BYTES = 200_000_000


def memory_bytes() -> int | None:
    """All memory of this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def free_memory_bytes() -> int | None:
    """What can be taken without swapping; None where the system does not say."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None


def check_memory(model: str, loaded_bytes: int) -> None:
    """``loaded_bytes``: of the files that the engine loads. Raises ModelTooLarge."""
    memory = memory_bytes()
    needed = int(loaded_bytes * MEMORY_FACTOR)
    if memory is not None and needed > memory:
        raise ModelTooLarge(model=model, needed=f"{needed / GB:.1f} GB of memory", free=f"{memory / GB:.1f} GB")


def has_free_memory(loaded_bytes: int, cache_gb: int) -> bool:
    """Whether a model fits beside what runs already; True where the system does not say."""
    free = free_memory_bytes()
    return free is None or loaded_bytes * MEMORY_FACTOR + cache_gb * GB < free


def check_disk(model: str, folder: Path, needed_bytes: int) -> None:
    """Raises ModelTooLarge unless ``needed_bytes`` and a little more are free where ``folder`` lies."""
    free = shutil.disk_usage(folder).free
    if needed_bytes + DISK_SPARE_BYTES > free:
        needed = f"{needed_bytes / GB:.1f} GB of disk"
        raise ModelTooLarge(model=model, needed=needed, free=f"{free / GB:.1f} GB")
