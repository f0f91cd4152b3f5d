"""Rows of conversations and messages: sealed, opened, owned. Functions for the database's threads.

Every seal is bound to its row (``vault.bind``): a message's content to its id, conversation, parent and role; a title
to its conversation; a conversation's key to its conversation, owner and the owner's key pair.
"""

import json
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, select, update

from commun.errors import NotFound, VaultLocked
from commun.store.people import Caller, Viewer
from commun.store.schema import conversations, messages
from commun.store.tree import Conversation, MessageState, StoredMessage
from commun.store.vault import AccountKey, ConversationKey, NoVault, bind

MAX_TITLE: Final = 200
_as_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def unlocked(viewer: Viewer) -> AccountKey:
    """Raises VaultLocked."""
    if viewer.key is None:
        raise VaultLocked
    return viewer.key


def owned(viewer: Viewer | Caller, *, deleted: bool = False) -> ColumnElement[bool]:
    """The conversations that the viewer may see (or, with ``deleted``, has deleted and may restore)."""
    gone = conversations.c.deleted
    return and_(
        conversations.c.account_id == viewer.account_id,
        conversations.c.vault_id == viewer.vault_id,
        gone.is_not(None) if deleted else gone.is_(None),
    )


def get_owned(
    connection: Connection, viewer: Viewer | Caller, conversation_id: str, *, deleted: bool = False
) -> Row[Any]:
    """The conversation's row. Raises NotFound."""
    query = select(conversations).where(conversations.c.id == conversation_id, owned(viewer, deleted=deleted))
    row = connection.execute(query).first()
    if row is None:
        raise NotFound
    return row


def get_message(connection: Connection, conversation_id: str, message_id: str) -> Row[Any]:
    """The message's row, if it is one of this conversation. Raises NotFound."""
    query = select(messages).where(messages.c.id == message_id, messages.c.conversation_id == conversation_id)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound
    return row


def change(connection: Connection, conversation_id: str, **values: Any) -> None:
    connection.execute(update(conversations).where(conversations.c.id == conversation_id).values(values))


def key_context(conversation_id: str, account_id: str, vault_id: str) -> bytes:
    return bind("conversations", "sealed_key", conversation_id, account_id, vault_id)


def reader_context(reader_id: str, conversation_id: str, account_id: str, vault_id: str) -> bytes:
    """Of a conversation's key that is sealed to somebody who reads it."""
    return bind("readers", "sealed_key", reader_id, conversation_id, account_id, vault_id)


def title_context(conversation_id: str) -> bytes:
    return bind("conversations", "title", conversation_id)


def content_context(message_id: str, conversation_id: str, parent_id: str | None, role: str) -> bytes:
    return bind("messages", "content", message_id, conversation_id, parent_id or "", role)


def open_conversation_key(viewer: Viewer, row: Row[Any]) -> ConversationKey:
    """Raises VaultLocked, VaultError."""
    context = key_context(row.id, row.account_id, row.vault_id)
    return ConversationKey.from_bytes(unlocked(viewer).open(row.sealed_key, context))


def reseal_by_owner(viewer: Viewer, row: Row[Any], key: ConversationKey) -> bytes:
    """The conversation's key as its owner seals it, so that it opens in a microsecond next time."""
    return unlocked(viewer).seal(key.to_bytes(), key_context(row.id, row.account_id, row.vault_id))


def seal_title(key: ConversationKey, conversation_id: str, title: str) -> bytes:
    """``title``: cut after ``MAX_TITLE`` characters."""
    return key.seal(title[:MAX_TITLE].encode(errors="replace"), title_context(conversation_id))


def open_title(key: ConversationKey, row: Row[Any]) -> str:
    return key.open(row.title, title_context(row.id)).decode()


def open_message(key: ConversationKey, row: Row[Any]) -> StoredMessage:
    """Raises VaultError."""
    context = content_context(row.id, row.conversation_id, row.parent_id, row.role)
    content = json.loads(key.open(row.content, context))
    return StoredMessage(row.id, row.parent_id, row.role, MessageState(row.state), row.created, content)


def open_conversation(connection: Connection, key: ConversationKey, row: Row[Any]) -> Conversation:
    """The whole tree. ``row``: the conversation's. Raises VaultError."""
    query = select(messages).where(messages.c.conversation_id == row.id).order_by(messages.c.number)
    return Conversation(
        id=row.id,
        title=open_title(key, row),
        created=row.created,
        updated=row.updated,
        messages={one.id: open_message(key, one) for one in connection.execute(query)},
        leaf_id=row.leaf_id,
        imported=row.imported,
    )


def as_bytes(content: dict[str, Any]) -> bytes:
    """The plaintext of a message: JSON, UTF-8, no spaces. Half a character (a lone surrogate) becomes “?”."""
    return _as_json(content).encode(errors="replace")


def add_conversation(
    connection: Connection,
    owner: Viewer | Caller,
    *,
    conversation_id: str,
    title: str,
    leaf_id: str,
    now: float,
    folder_id: str | None = None,
) -> ConversationKey:
    """As ``new_conversation`` makes it, written. Raises NoVault."""
    key, row = new_conversation(
        owner, conversation_id=conversation_id, title=title, leaf_id=leaf_id, now=now, folder_id=folder_id
    )
    connection.execute(insert(conversations), row)
    return key


def new_conversation(
    owner: Viewer | Caller, *, conversation_id: str, title: str, leaf_id: str, now: float, folder_id: str | None = None
) -> tuple[ConversationKey, dict[str, Any]]:
    """The row of a new conversation with a key of its own, sealed by the owner who is here, or else to the public key.
    ``folder_id``: the owner's own. Raises NoVault.
    """
    seals_to = owner.key if isinstance(owner, Viewer) else owner.public_key
    if seals_to is None:
        raise VaultLocked if isinstance(owner, Viewer) else NoVault
    key = ConversationKey.generate()
    context = key_context(conversation_id, owner.account_id, owner.vault_id)
    return key, {
        "id": conversation_id,
        "account_id": owner.account_id,
        "vault_id": owner.vault_id,
        "sealed_key": seals_to.seal(key.to_bytes(), context),
        "title": seal_title(key, conversation_id, title),
        "created": now,
        "updated": now,
        "leaf_id": leaf_id,
        "folder_id": folder_id,
    }


def message_row(
    key: ConversationKey,
    *,
    message_id: str,
    conversation_id: str,
    parent_id: str | None,
    role: str,
    content: dict[str, Any],
    now: float,
    state: MessageState = MessageState.COMPLETE,
) -> dict[str, Any]:
    """The row of a new message, sealed."""
    context = content_context(message_id, conversation_id, parent_id, role)
    return {
        "id": message_id,
        "conversation_id": conversation_id,
        "parent_id": parent_id,
        "role": role,
        "state": state.value,
        "created": now,
        "content": key.seal(as_bytes(content), context),
    }


def add_messages(connection: Connection, rows: list[dict[str, Any]]) -> None:
    connection.execute(insert(messages), rows)
