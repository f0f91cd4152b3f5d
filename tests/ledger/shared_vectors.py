"""Other people's vectors: in COMMUN_VECTORS, or beside the checkout. Missing, a test skips; where CI is true it fails."""

import os
from pathlib import Path

import pytest


def vectors(name: str) -> Path:
    folder = Path(os.environ.get("COMMUN_VECTORS", Path(__file__).parents[3] / "shared" / "vectors")) / name
    if not folder.exists():
        reason = f"other people's vectors are not here: COMMUN_VECTORS names the folder that has {name}"
        if os.environ.get("CI", "").lower() in {"1", "true"} or os.environ.get("COMMUN_VECTORS"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
