"""What a stored conversation is: a tree of messages, of which one branch is shown.

Edits, regenerated answers and branches are siblings: messages with the same parent. The *leaf* is the last message of
the branch that is shown; the *path* leads from a first message to it.
"""

import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class MessageState(StrEnum):
    """What became of a message. Everything but an answer is always COMPLETE."""

    COMPLETE = "complete"
    RUNNING = "running"  # being written; after a restart there is none of these left
    STOPPED = "stopped"  # by its reader
    FAILED = "failed"  # by an error
    INTERRUPTED = "interrupted"  # by the end of the process


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """``created``: seconds since 1970. ``content["text"]`` is always there."""

    id: str
    parent_id: str | None
    role: str
    state: MessageState
    created: float
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Summary:
    """A line of the sidebar. ``running``: an answer is being written. ``folder_id``: None for those in no folder.
    ``imported``: when it was brought in, None for one that was held here.
    """

    id: str
    title: str
    created: float
    updated: float
    running: bool
    folder_id: str | None = None
    imported: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found: a message, or the conversation's title (``message_id`` None). ``folder_id``: in which
    folder that lies, None for none.
    """

    conversation_id: str
    message_id: str | None
    title: str
    role: str
    excerpt: str
    created: float
    folder_id: str | None = None


@dataclass(slots=True)
class Conversation:
    """``messages``: by id, oldest first. ``leaf_id``: the end of the branch that was shown last. ``imported``: when it
    was brought in from another assistant, or None. ``folder_id``: of its owner's, None for none.
    """

    id: str
    title: str
    created: float
    updated: float
    messages: dict[str, StoredMessage]
    leaf_id: str
    imported: float | None = None
    folder_id: str | None = None
    _children: dict[str | None, list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        children: dict[str | None, list[str]] = defaultdict(list)
        for message in self.messages.values():
            children[message.parent_id].append(message.id)
        self._children = dict(children)

    def path(self, leaf_id: str | None = None) -> list[StoredMessage]:
        """From the first message to ``leaf_id`` (the shown leaf if None). KeyError if it is not here."""
        message: StoredMessage | None = self.messages[leaf_id or self.leaf_id]
        found: list[StoredMessage] = []
        while message is not None and len(found) <= len(self.messages):
            found.append(message)
            message = self.messages.get(message.parent_id) if message.parent_id else None
        return found[::-1]

    def siblings(self, message_id: str) -> list[str]:
        """The message and what stands beside it, oldest first. KeyError if it is not here."""
        return list(self._children[self.messages[message_id].parent_id])

    def leaf_under(self, message_id: str) -> str:
        """The end of the branch through ``message_id`` that was written last. KeyError if it is not here."""
        leaf = self.messages[message_id].id
        for _ in self.messages:
            if leaf not in self._children:
                break
            leaf = self._children[leaf][-1]
        return leaf


def new_id() -> str:
    """96 random bits; begins with a letter, so that it can be an HTML id and a command-line argument."""
    return "c" + secrets.token_hex(12)
