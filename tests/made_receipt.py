"""Receipts of answers that nobody gave, really signed: for tests of what keeps, records and shows them."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from commun import __version__
from commun.receipts.commitments import Values, whole_logprobs
from commun.receipts.dsse import ReceiptSigner
from commun.receipts.issue import Receipt, issue
from commun.receipts.statement import (
    OPENVINO_SAMPLER,
    CharterUsed,
    ContextUsed,
    EngineUsed,
    Sampler,
    Scheme,
    Seed,
    State,
    Statement,
    receipt_id,
)

SIGNER = ReceiptSigner(hashlib.sha256(b"commun test key, not a secret").digest())
CONTENT: dict[str, Any] = {"text": "Because.", "token_ids": [5, 6, 7], "logprobs": [-0.5, -1.25, -1e-9]}
VALUES = Values(
    prompt_token_ids=(1, 2, 3, 4),
    prompt_messages=(("system", "You answer briefly."), ("user", "Why?")),
    answer_token_ids=(5, 6, 7),
    answer_text="Because.",
    logprobs=whole_logprobs((-0.5, -1.25, -1e-9)),
    stop=("END",),
)


def made_receipt(turn_id: str, values: Values = VALUES, *, signer: ReceiptSigner = SIGNER, **changes: Any) -> Receipt:
    """``changes``: fields of the statement."""
    now = datetime.now(UTC).replace(microsecond=0)
    statement = Statement(
        receipt=receipt_id(turn_id),
        state=State.COMPLETE,
        error="",
        finish="stop",
        began=now,
        ended=now,
        charter=CharterUsed(1, "ab" * 32, "cd" * 32, stale=False),
        model_id="small",
        model_digest="ef" * 32,
        engine=EngineUsed("openvino-genai", "2026.4.1.0", "exact", {"threads": "2"}),
        software=__version__,
        sampler=Sampler(OPENVINO_SAMPLER, "0.7", "0.95", 1024, ignore_eos=False),
        seed=Seed(Scheme.DRAWN, 7),
        context=ContextUsed("chat", "oldest-turns-first", kept=1, dropped=0),
        persona="",
        language="en",
        sources=(),
        tools=(),
        prompt_tokens=0,
        answer_tokens=0,
        commitments={},
        ledger="ledger.example.org",
    )
    return issue(replace(statement, **changes), values, signer)
