"""A conversation of Commun's own export (``commun-conversation/1``), of this Commun or another.

The tree is taken as it is. Receipts stay behind: they are another account's, or of rows that are gone; the proofs of
the export verify without them. An answer says that it was brought in, and which model wrote it. A folder comes along by
its name; what it told its answers does not: that is in the export's ``account.json``, for its owner to read.
"""

from collections.abc import Mapping
from typing import Any, Final

from commun.importing.outline import MAX_NODES, Node, NotAConversation, Outline, moment

SOURCE: Final = "commun"
FORMAT: Final = "commun-conversation/1"
ROLES: Final = ("user", "assistant", "system")


def is_own(value: Mapping[str, Any]) -> bool:
    return value.get("format") == FORMAT


def outline(value: Mapping[str, Any]) -> Outline:
    """Raises NotAConversation."""
    messages = value.get("messages")
    if not isinstance(messages, list) or len(messages) > MAX_NODES:
        raise NotAConversation("it has no messages, or more than are believed")
    nodes: dict[str, Node] = {}
    for message in messages:
        if isinstance(message, dict) and isinstance(message.get("content"), dict):
            nodes[str(message.get("id"))] = _node(message, message["content"])
    leaf = value.get("leaf")
    return Outline(
        SOURCE,
        str(value.get("id") or ""),
        str(value.get("title") or ""),
        moment(value.get("created")),
        moment(value.get("updated")),
        nodes,
        leaf if isinstance(leaf, str) else None,
        merges=False,
        folder=" ".join(folder.split()) if isinstance(folder := value.get("folder"), str) else "",
    )


def _node(message: Mapping[str, Any], content: Mapping[str, Any]) -> Node:
    parent, role, text = message.get("parent"), message.get("role"), content.get("text")
    made = Node(parent if isinstance(parent, str) else None, created=moment(message.get("created")))
    if role in ROLES and isinstance(text, str):
        made.role, made.text = role, text
        made.model = str(content.get("model") or "")[:200] if role == "assistant" else ""
    return made
