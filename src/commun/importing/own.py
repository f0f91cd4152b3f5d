"""A conversation of Commun's own export (``commun-conversation/1``), of this Commun or another, and its account's.

The tree is taken as it is, with how each answer ended and what its owner said of it. Receipts stay behind: they are
another account's, or of rows that are gone; the proofs of the export verify without them. An answer says that it was
brought in, and which model wrote it; one that had come from another assistant says that, as before.

A folder comes along by its name. What it told its answers, and what its owner told all of them, is in ``account.json``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from commun.importing.outline import MAX_NODES, Kept, Node, NotAConversation, Outline, moment
from commun.importing.reading import MAX_NAME, list_of, table_of

SOURCE: Final = "commun"
FORMAT: Final = "commun-conversation/1"
ACCOUNT_FORMAT: Final = "commun-account/1"
ROLES: Final = ("user", "assistant", "system")
FACTS: Final = ("error", "finish_reason")
ORIGINS: Final = frozenset({"chatgpt", "open-webui"})
MAX_FOLDERS: Final = 1000
_WORD: Final = re.compile(r"[a-z_-]{1,40}")


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
        folder=_name(value.get("folder")),
    )


def _node(message: Mapping[str, Any], content: Mapping[str, Any]) -> Node:
    parent, role, text = message.get("parent"), message.get("role"), content.get("text")
    made = Node(parent if isinstance(parent, str) else None, created=moment(message.get("created")))
    if role in ROLES and isinstance(text, str):
        made.role, made.text = role, text
    before = table_of(content.get("imported"))
    origin = origin if (origin := _word(before.get("from"))) in ORIGINS else ""
    named = (_text(before.get("conversation"))[:MAX_NAME], _text(before.get("message"))[:MAX_NAME])
    conversation, name = named if origin else ("", "")
    if made.role == "assistant":
        made.model = str(content.get("model") or before.get("model") or "")[:200]
        made.kept = Kept(
            state=_word(message.get("state")),
            facts={fact: word for fact in FACTS if (word := _word(content.get(fact)))},
            said=message.get("feedback"),
            origin=origin,
            conversation=conversation,
            message=name,
            missing="missing" in before,
        )
    elif origin:
        made.kept = Kept(origin=origin, conversation=conversation, message=name)
    return made


def _word(value: Any) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


@dataclass(frozen=True, slots=True)
class Account:
    """What goes with the conversations. ``instructions``: its owner's own. ``folders``: what each tells its answers."""

    instructions: str = ""
    folders: Mapping[str, str] = field(default_factory=dict)


def account(value: Mapping[str, Any]) -> Account:
    """As much of it as is there."""
    if value.get("format") != ACCOUNT_FORMAT:
        return Account()
    told = map(table_of, list_of(value.get("folders"))[:MAX_FOLDERS])
    folders = {_name(one.get("name")): _text(one.get("instructions")) for one in told}
    return Account(_text(table_of(value.get("instructions")).get("text")), folders)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _name(value: Any) -> str:
    return " ".join(_text(value).split())
