"""Receipts as they are stored: each in the transaction that stores its answer, sealed with it, erased with it.

Rules:

- an answer that is kept: receipt, salts and what the model was told are sealed under the conversation's key, bound to
  the receipt's row, its message and its conversation. What the message holds already (the text, its tokens, their
  log-probabilities) is not stored again;
- an answer that nobody keeps leaves its envelope alone: it holds nothing that was written, and the salts are with
  whoever asked. Whoever has its id may read it;
- a receipt goes with its conversation, and its salts with it: what is left in the ledger can be neither opened nor
  guessed. Rows of nobody's answers are purged by their age, once they are in the ledger;
- ``caller_sealed``: the receipt with all that it commits to, once more, under the API key that had the answer kept. The
  same API key opens it by the receipt's id; another one, also of the same account, does not. It opens nothing else: not
  the conversation's key, so nothing that was added later. Revoking the API key removes it from every row
  (``clear_callers``), and no row gets one for a key that is gone. A copy made before opens it still.

What belongs to another account, was deleted, or does not exist is NotFound. Raises VaultLocked, VaultError.
"""

import json
import struct
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, or_, select, update

from commun.errors import NotFound
from commun.ledger.keys import from_base64, to_base64
from commun.receipts.commitments import FIELDS, Values, value_from_json, value_to_json, whole_logprobs
from commun.receipts.dsse import envelope_digest
from commun.receipts.issue import Receipt
from commun.store import rows
from commun.store.database import Database
from commun.store.people import Caller, Viewer
from commun.store.schema import api_keys, receipts
from commun.store.vault import ConversationKey, VaultError, bind, open_under, seal_under

COMPRESSION: Final = 1  # of 9: numbers and texts halve at once
MAX_OPENED_BYTES: Final = 64 << 20  # what is unpacked was sealed here; the bound is for a mistake, not for an enemy

MAX_ASKED: Final = 1024  # digests in one question to SQLite

_IDS: Final = ("prompt_token_ids", "answer_token_ids")
_LENGTH: Final = struct.Struct(">I")
_PLACE: Final = update(receipts).where(receipts.c.id == bindparam("one")).values(position=bindparam("at"))


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """``entry_sha256``: of the envelope, as its entry in the ledger has it. ``created``: seconds since 1970. ``key``: a
    receipt key's text. ``salts`` and ``values`` None: not kept here.
    """

    id: str
    entry_sha256: str
    position: int | None
    created: float
    key: str
    envelope: bytes = field(repr=False)
    conversation_id: str | None
    message_id: str | None
    salts: Mapping[str, bytes] | None = field(repr=False)
    values: Values | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kept answer's receipt belongs. ``token``: the API key that asked, or ""; ``key_id``: the key's id."""

    account_id: str
    conversation_id: str
    message_id: str
    key_id: str = ""
    token: str = field(default="", repr=False)


def add(
    connection: Connection,
    key: ConversationKey,
    receipt: Receipt,
    *,
    place: Place,
    content: Mapping[str, Any],
    now: float,
) -> None:
    """The row of an answer that is kept; ``content``: its message's. In the transaction that stores the message."""
    name = receipt.statement.receipt
    inner = zlib.compress(_packed(receipt, _in_message(content)), COMPRESSION)
    row = _row(receipt, now) | {
        "account_id": place.account_id,
        "conversation_id": place.conversation_id,
        "message_id": place.message_id,
        "sealed": key.seal(inner, _sealed_context(name, place.message_id, place.conversation_id)),
    }
    if place.token and _is_api_key(connection, place):
        whole = zlib.compress(_packed(receipt, {}), COMPRESSION)
        row["caller_key_id"] = place.key_id
        row["caller_sealed"] = seal_under(place.token, whole, _caller_context(name, place))
    connection.execute(insert(receipts), row)


def _is_api_key(connection: Connection, place: Place) -> bool:
    """Not if it was revoked while it was answered."""
    mine = api_keys.c.id == place.key_id, api_keys.c.account_id == place.account_id
    return connection.execute(select(api_keys.c.id).where(*mine)).first() is not None


def clear_callers(connection: Connection, key_id: str) -> None:
    """From now on this API key opens no receipt. In the transaction that revokes it; ``Database.forget`` after it."""
    mine = update(receipts).where(receipts.c.caller_key_id == key_id)
    connection.execute(mine.values(caller_key_id=None, caller_sealed=None))


def place_rows(connection: Connection, found: Sequence[tuple[str, int]]) -> None:
    """Where the ledger has them: (receipt's id, position)."""
    if found:
        connection.execute(_PLACE, [{"one": one, "at": at} for one, at in found])


class Receipts:
    """``now``: seconds since 1970."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    async def keep(self, receipt: Receipt) -> None:
        """Of an answer that nobody keeps. On the disk when this returns."""
        row = _row(receipt, self._now()) | {"envelope": receipt.envelope}
        await self._database.write(lambda connection: connection.execute(insert(receipts), row))

    async def get(self, viewer: Viewer | None, receipt_id: str) -> StoredReceipt:
        """The owner's, opened; nobody's, to whoever has its id."""

        def work(connection: Connection) -> StoredReceipt:
            row = _get(connection, receipt_id)
            if row.conversation_id is None:
                return _of_nobody(row)
            if viewer is None:
                raise NotFound
            owned = rows.get_owned(connection, viewer, row.conversation_id)
            rows.unlocked(viewer)
            return _open(connection, rows.open_conversation_key(viewer, owned), row)

        return await self._database.read(work)

    async def get_for_caller(self, caller: Caller, token: str, receipt_id: str) -> StoredReceipt:
        """``token``: the caller's API key itself. Opens what was kept for that key; nobody's as ``get`` does."""

        def work(connection: Connection) -> StoredReceipt:
            row = _get(connection, receipt_id)
            if row.conversation_id is None:
                return _of_nobody(row)
            if row.caller_sealed is None or row.caller_key_id != caller.key_id:
                raise NotFound  # kept from a page, for another key of the same account, or for one that was revoked
            rows.get_owned(connection, caller, row.conversation_id)
            place = Place(caller.account_id, row.conversation_id, row.message_id, caller.key_id)
            try:
                sealed = open_under(token, row.caller_sealed, _caller_context(row.id, place))
            except VaultError:
                raise NotFound from None
            return _opened(row, sealed, {})

        return await self._database.read(work)

    async def find_position(self, digest: str) -> int | None:
        """``digest``: the envelope's, or the receipt's id. None: unknown, or not in the ledger yet."""
        which = or_(receipts.c.entry_sha256 == digest, receipts.c.id == digest)
        query = select(receipts.c.position).where(which)
        return await self._database.read(lambda connection: connection.execute(query).scalar())

    async def unlogged(self, limit: int) -> list[tuple[str, str]]:
        """(id, entry_sha256) of those whose position is not known, oldest first."""
        query = (
            select(receipts.c.id, receipts.c.entry_sha256)
            .where(receipts.c.position.is_(None))
            .order_by(receipts.c.created)
            .limit(limit)
        )
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return [(row.id, row.entry_sha256) for row in found]

    async def find_unlogged(self, digests: Sequence[str]) -> dict[str, str]:
        """Ids by ``entry_sha256``, of those among them that are here and whose position is not known."""

        def work(connection: Connection) -> dict[str, str]:
            found: dict[str, str] = {}
            for start in range(0, len(digests), MAX_ASKED):
                some = receipts.c.entry_sha256.in_(digests[start : start + MAX_ASKED])
                query = select(receipts.c.entry_sha256, receipts.c.id).where(some, receipts.c.position.is_(None))
                found |= {row.entry_sha256: row.id for row in connection.execute(query)}
            return found

        return await self._database.read(work) if digests else {}

    async def purge_nobodys(self, older_than_s: float) -> int:
        """Removes for good the rows of answers that nobody keeps; returns how many. None that the ledger lacks."""
        old = delete(receipts).where(
            receipts.c.conversation_id.is_(None),
            receipts.c.position.is_not(None),
            receipts.c.created <= self._now() - older_than_s,
        )
        purged = await self._database.write(lambda connection: connection.execute(old).rowcount)
        if purged:
            await self._database.forget()
        return purged


def _row(receipt: Receipt, now: float) -> dict[str, Any]:
    return {
        "id": receipt.statement.receipt,
        "entry_sha256": envelope_digest(receipt.envelope),
        "created": now,
        "key": receipt.key,
    }


def _get(connection: Connection, receipt_id: str) -> Row[Any]:
    row = connection.execute(select(receipts).where(receipts.c.id == receipt_id)).first()
    if row is None:
        raise NotFound
    return row


def get_of_conversation(
    connection: Connection, key: ConversationKey, conversation_id: str, receipt_id: str
) -> StoredReceipt:
    """``key``: the conversation's. Raises NotFound for a receipt that is not one of its answers'; VaultError."""
    row = _get(connection, receipt_id)
    if row.conversation_id != conversation_id:
        raise NotFound
    return _open(connection, key, row)


def _open(connection: Connection, key: ConversationKey, row: Row[Any]) -> StoredReceipt:
    sealed = key.open(row.sealed, _sealed_context(row.id, row.message_id, row.conversation_id))
    message = rows.open_message(key, rows.get_message(connection, row.conversation_id, row.message_id))
    return _opened(row, sealed, _in_message(message.content))


def _of_nobody(row: Row[Any]) -> StoredReceipt:
    return StoredReceipt(
        row.id, row.entry_sha256, row.position, row.created, row.key, row.envelope, None, None, salts=None, values=None
    )


def _opened(row: Row[Any], packed: bytes, there: Mapping[str, Any]) -> StoredReceipt:
    """``packed``: as ``add`` sealed it. ``there``: what the message holds."""
    inner = _unpacked(zlib.decompressobj().decompress(packed, MAX_OPENED_BYTES))
    salts = {name: from_base64(salt) or b"" for name, salt in inner["salts"].items()}
    return StoredReceipt(
        row.id,
        row.entry_sha256,
        row.position,
        row.created,
        row.key,
        inner["envelope"].encode(),
        row.conversation_id,
        row.message_id,
        salts=salts,
        values=_values(inner, there),
    )


def _packed(receipt: Receipt, there: Mapping[str, Any]) -> bytes:
    """Four bytes of length, so many of JSON, then ids. The JSON: ``envelope``, ``salts`` (base64), ``values`` by field,
    ``in_message`` (the fields that the message has), ``ids`` (fields whose ids follow, four bytes each, and how many).
    As numbers in JSON, the ids of a long prompt would be the dearest part of an answer. ``there``: what a message has.
    """
    given = receipt.values.by_field()
    in_message = sorted(name for name, value in there.items() if value is not None and given[name] == value)
    rest: dict[str, Any] = {
        name: value for name, value in given.items() if value is not None and name not in in_message
    }
    ids = {name: rest.pop(name) for name in _IDS if name in rest}
    inner = {
        "envelope": receipt.envelope.decode(),
        "salts": {name: to_base64(salt) for name, salt in receipt.salts.items()},
        "values": {name: value_to_json(value) for name, value in rest.items()},
        "in_message": in_message,
        "ids": {name: len(value) for name, value in ids.items()},
    }
    written = json.dumps(inner, ensure_ascii=False, separators=(",", ":")).encode()
    packed = (struct.pack(f">{len(value)}I", *value) for value in ids.values())
    return b"".join((_LENGTH.pack(len(written)), written, *packed))


def _unpacked(data: bytes) -> dict[str, Any]:
    """What ``_packed`` wrote, ``ids`` read."""
    at = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    inner: dict[str, Any] = json.loads(data[_LENGTH.size : at])
    for name, count in inner["ids"].items():
        inner["ids"][name] = struct.unpack_from(f">{count}I", data, at)
        at += count * _LENGTH.size
    return inner


def _values(inner: dict[str, Any], there: Mapping[str, Any]) -> Values:
    found: dict[str, Any] = dict.fromkeys(FIELDS)
    found |= {name: there[name] for name in inner["in_message"]}
    found |= {name: value_from_json(name, value) for name, value in inner["values"].items()}
    return Values(**(found | inner["ids"]))


def _in_message(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a message holds, as it is committed to. The text: as UTF-8 has it, in which the message is stored."""
    ids, logprobs = content.get("token_ids"), content.get("logprobs")
    return {
        "answer_text": content["text"].encode(errors="replace").decode(),
        "answer_token_ids": None if ids is None else tuple(ids),
        "logprobs": None if logprobs is None else whole_logprobs(logprobs),
    }


def _sealed_context(receipt_id: str, message_id: str, conversation_id: str) -> bytes:
    return bind("receipts", "sealed", receipt_id, message_id, conversation_id)


def _caller_context(receipt_id: str, place: Place) -> bytes:
    facts = (receipt_id, place.message_id, place.conversation_id, place.account_id, place.key_id)
    return bind("receipts", "caller_sealed", *facts)
