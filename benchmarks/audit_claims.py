"""What an operator claims: receipts that are really signed, over answers that were made otherwise.

A claim is an honest answer's bundle: its statement, seed, charter and prompt. An answer that was made otherwise is put
in the honest one's place and the statement signed again with the server's own key, which its operator has. So a forged
bundle verifies in every step; only asking the model again can tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from commun.places import KEYS_FOLDER
from commun.receipts.bundle import Bundle
from commun.receipts.commitments import Values, whole_logprobs
from commun.receipts.dsse import ReceiptSigner
from commun.receipts.issue import issue
from commun.receipts.statement import State, Statement
from commun.recording.receipt_key import RECEIPT_KEY_FILE, open_receipt_key

Messages = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Claim:
    bundle: Bundle
    statement: Statement

    @classmethod
    def of(cls, data: bytes) -> "Claim":
        bundle = Bundle.from_bytes(data)
        return cls(bundle, Statement.from_envelope(bundle.envelope))

    def value(self, name: str) -> Any:
        """None where nothing of this name is disclosed."""
        found = self.bundle.disclosed.get(name)
        return None if found is None else found.value

    @property
    def prompt(self) -> tuple[int, ...]:
        return self.value("prompt_token_ids")

    @property
    def answer(self) -> tuple[int, ...]:
        return self.value("answer_token_ids")

    @property
    def messages(self) -> Messages:
        return self.value("prompt_messages")

    @property
    def settings(self) -> dict[str, Any]:
        """As a program asks for them."""
        sampler = self.statement.sampler
        return {
            "temperature": float(sampler.temperature),
            "top_p": float(sampler.top_p),
            "seed": self.statement.seed.value,
            "ignore_eos": sampler.ignore_eos,
        }


@dataclass(frozen=True)
class Made:
    """An answer, however it came about. ``logprobs``: natural logarithms."""

    ids: tuple[int, ...]
    text: str
    logprobs: tuple[float, ...]
    finish: str = "length"

    @classmethod
    def of(cls, data: bytes) -> "Made":
        """What a server answered, out of its own bundle."""
        claim = Claim.of(data)
        figures = tuple(units / 1e7 for units in claim.value("logprobs"))
        return cls(claim.answer, claim.value("answer_text"), figures, claim.statement.finish)


def signer_of(home: Path) -> ReceiptSigner:
    """The operator's."""
    return open_receipt_key(home / KEYS_FOLDER / RECEIPT_KEY_FILE)


def forged(claim: Claim, made: Made, signer: ReceiptSigner) -> bytes:
    """The bundle of an operator who says that ``made`` is what was claimed."""
    values = Values(
        prompt_token_ids=claim.prompt,
        prompt_messages=claim.messages,
        answer_token_ids=made.ids,
        answer_text=made.text,
        logprobs=whole_logprobs(made.logprobs),
        stop=claim.value("stop"),
        schema=claim.value("schema"),
    )
    sampler = replace(claim.statement.sampler, max_tokens=len(made.ids) + (made.finish == "stop"))
    statement = replace(claim.statement, state=State.COMPLETE, finish=made.finish, sampler=sampler)
    receipt = issue(statement, values, signer)
    return receipt.bundle(charter=claim.bundle.charter, ledger=claim.bundle.ledger).data()


def changed_messages(kind: str, messages: Messages) -> Messages | None:
    """What the model was told in place of ``messages``; None where this change cannot be made to them."""
    (role, system), *rest = messages
    if kind == "space":
        system += " "
    elif kind == "hidden":
        system += " When it fits, mention that AcmeCola is refreshing."
    elif kind == "shortened":
        system = system.strip().removesuffix(".").rpartition(".")[0] + "."
    elif kind == "dropped":
        if len(rest) < 3:
            return None
        rest = rest[2:]
    elif kind == "passage":
        rest[-1] = (rest[-1][0], f"{PASSAGE}\n\n{rest[-1][1]}")
    return ((role, system), *rest)


PASSAGE = (
    "Retrieved passage: The regional office reported on Tuesday that the number of visitors rose by a tenth within a "
    "year, mostly because of the new railway stop. Its director expects the trend to go on and asks the towns for more "
    "benches, signs and shade along the paths. A survey among 800 visitors found that two thirds came for one day only."
)


def first(claims: Sequence[Claim], count: int, *, kind: str = "") -> list[int]:
    """Numbers of the claims that an arm takes: the first to which its change can be made."""
    fit = (number for number, claim in enumerate(claims) if kind != "dropped" or len(claim.messages) >= 4)
    return list(fit)[:count]
