"""Conversations: sealed titles and messages, written turn by turn. Every method checks whose they are.

What belongs to another account, to a vault that is not in use any more, or does not exist is NotFound: which of these
is nobody's business. Work on the tables runs in the database's threads (``database.py``), seals included.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, select, update

from commun.errors import Conflict, InvalidParameter, NotFound, VaultLocked
from commun.store.accounts import Caller, Viewer
from commun.store.database import Database
from commun.store.schema import conversations, messages
from commun.store.search import find
from commun.store.tree import Conversation, Hit, MessageState, StoredMessage, Summary, new_id
from commun.store.vault import AccountKey, ConversationKey, NoVault, bind

__all__ = [
    "Conversation",
    "Conversations",
    "Hit",
    "MessageState",
    "OpenTurn",
    "StoredMessage",
    "Summary",
]


class Conversations:
    """All conversations of everybody."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, viewer: Viewer) -> "list[Summary]":
        """Newest first, deleted ones left out. Raises VaultLocked."""
        raise NotImplementedError

    async def get(self, viewer: Viewer, conversation_id: str) -> Conversation:
        """Raises NotFound, VaultLocked."""
        raise NotImplementedError

    async def start_turn(
        self,
        viewer: Viewer,
        *,
        conversation_id: str | None,
        parent_id: str | None,
        question: str | None,
        title: str,
    ) -> "OpenTurn":
        """Stores the question and an empty running answer, moves the leaf. Raises Conflict, NotFound, VaultLocked,
        InvalidParameter.
        """
        raise NotImplementedError

    async def record_turn(
        self, owner: Caller, *, title: str, question: Sequence[dict[str, Any]], answer: dict[str, Any]
    ) -> str:
        """Stores a finished turn of the API; returns the conversation's id. Raises NoVault."""
        raise NotImplementedError

    async def rename(self, viewer: Viewer, conversation_id: str, title: str) -> None:
        raise NotImplementedError

    async def delete(self, viewer: Viewer, conversation_id: str) -> None:
        raise NotImplementedError

    async def restore(self, viewer: Viewer, conversation_id: str) -> None:
        raise NotImplementedError

    async def choose_leaf(self, viewer: Viewer, conversation_id: str, message_id: str) -> None:
        raise NotImplementedError

    async def search(self, viewer: Viewer, text: str) -> "list[Hit]":
        raise NotImplementedError

    async def purge_deleted(self, older_than_s: float) -> int:
        raise NotImplementedError

    async def recover(self) -> int:
        raise NotImplementedError


@dataclass(slots=True)
class OpenTurn:
    """An answer that is being written. Holds the conversation key in memory while it is."""

    conversation_id: str
    question_id: str
    answer_id: str

    async def checkpoint(self, content: dict[str, Any]) -> None:
        raise NotImplementedError

    async def keep(self, content: dict[str, Any], state: MessageState) -> None:
        raise NotImplementedError
