"""Our own vectors, in tests/vectors/ledger."""

import json
from pathlib import Path
from typing import Any

from commun.ledger.keys import SignerKey

FOLDER = Path(__file__).parents[1] / "vectors" / "ledger"
NOTES: dict[str, Any] = json.loads((FOLDER / "notes.json").read_text())
TILES: dict[str, Any] = json.loads((FOLDER / "tiles.json").read_text())
KEYS: dict[str, dict[str, str]] = json.loads((FOLDER / "keys.json").read_text())
PROOF = (FOLDER / "entry-123.tlog-proof").read_bytes()
POLICY = (FOLDER / "policy.txt").read_bytes()

LOG, LOG_PQ, WITNESS_A, WITNESS_B, WITNESS_C = (SignerKey.from_text(key["private"]) for key in KEYS.values())
