"""Issuing a receipt: what the server does once for each turn, whatever ended it.

- the caller hands in a statement without its commitments and the values; salts are drawn, commitments made, tokens
  counted where their ids are there, the statement checked as a reader checks it, and signed;
- a statement that no reader would accept is not signed: ReceiptError, which is a fault of the caller's;
- names that come from outside (a remote engine's) are made to fit first (``engine_used``): no server can keep a receipt
  from being issued by what it calls itself.

The commit point is not here: the caller writes envelope and sealed salts in the transaction that keeps the answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from commun.receipts.bundle import Bundle, Disclosed, Logged
from commun.receipts.commitments import Values, commit, make_salts
from commun.receipts.dsse import ReceiptSigner, entry_of
from commun.receipts.fields import MAX_NOTE, MAX_NOTES, MAX_TEXT
from commun.receipts.statement import EngineUsed, Statement

NOT_LOGGED: Final = Logged()
UNNAMED: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Receipt:
    """``envelope``: what is signed, logged and shown. ``entry``: for the ledger. ``salts``: by field, for nobody but
    the conversation's owner. ``sample_rate``: which share of answers the charter that it ran under draws for audits.
    """

    statement: Statement
    envelope: bytes
    entry: bytes
    key: str
    salts: Mapping[str, bytes] = field(repr=False)
    values: Values = field(repr=False)
    sample_rate: Decimal = Decimal(0)

    def bundle(self, *, charter: Mapping[str, bytes] | None = None, ledger: Logged = NOT_LOGGED) -> Bundle:
        return make_bundle(
            self.envelope, key=self.key, values=self.values, salts=self.salts, charter=charter, ledger=ledger
        )


def issue(
    statement: Statement, values: Values, signer: ReceiptSigner, *, salts: Mapping[str, bytes] | None = None
) -> Receipt:
    """``statement``: with any commitments, which are replaced. ``salts``: for tests; drawn otherwise."""
    salts = make_salts() if salts is None else salts
    values = _encodable_values(values)
    prompt, answer = values.prompt_token_ids, values.answer_token_ids
    whole = replace(
        statement,
        commitments=commit(values, salts),
        prompt_tokens=statement.prompt_tokens if prompt is None else len(prompt),
        answer_tokens=statement.answer_tokens if answer is None else len(answer),
    )
    envelope = signer.sign(whole.payload())
    return Receipt(whole, envelope, entry_of(envelope), signer.key.text(), salts, values)


def make_bundle(
    envelope: bytes,
    *,
    key: str,
    values: Values,
    salts: Mapping[str, bytes],
    charter: Mapping[str, bytes] | None = None,
    ledger: Logged = NOT_LOGGED,
) -> Bundle:
    """From what was stored. A field without its salt is withheld."""
    disclosed = {
        name: Disclosed(salts[name], value)
        for name, value in values.by_field().items()
        if value is not None and name in salts
    }
    return Bundle(envelope, key, disclosed, charter, ledger)


def engine_used(name: str, version: str, profile: str, notes: Mapping[str, str]) -> EngineUsed:
    """Cut and cleaned to what a statement can hold. Never without a name: that is for turns that no engine had."""
    kept = {_fit(key): note[:MAX_NOTE] for key, note in sorted(notes.items())[:MAX_NOTES] if _fit(key)}
    return EngineUsed(
        _fit(name) or UNNAMED, _fit(version), profile, {key: _encodable(note) for key, note in kept.items()}
    )


def _fit(text: str) -> str:
    return "".join(character for character in text[:MAX_TEXT] if character.isprintable())


def _encodable_values(values: Values) -> Values:
    """The texts as UTF-8 has them: half a surrogate pair, which JSON can smuggle in, is a question mark."""
    messages, stop, schema = values.prompt_messages, values.stop, values.schema
    return replace(
        values,
        prompt_messages=messages and tuple((_encodable(role), _encodable(content)) for role, content in messages),
        answer_text=_encodable(values.answer_text),
        stop=stop and tuple(map(_encodable, stop)),
        schema=schema and _encodable(schema),
    )


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
