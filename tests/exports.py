"""Exports as other assistants write them, made small."""

import io
import json
import zipfile
from typing import Any


def node(name: str, parent: str | None, role: str = "", *parts: Any, **message: Any) -> dict[str, Any]:
    """A node of ChatGPT's mapping; without a role: one without a message."""
    made: dict[str, Any] = {"id": name, "parent": parent, "children": [], "message": None}
    if role:
        kind = "text" if all(isinstance(part, str) for part in parts) else "multimodal_text"
        content = message.pop("content", {"content_type": kind, "parts": list(parts)})
        metadata = message.pop("metadata", {"model_slug": "gpt-4o"} if role == "assistant" else {})
        author = {"role": role, "name": message.pop("tool", None), "metadata": {}}
        made["message"] = {
            "id": name,
            "author": author,
            "create_time": 1_700_000_000.5,
            "content": content,
            "status": "finished_successfully",
            "weight": message.pop("weight", 1.0),
            "metadata": metadata,
            "recipient": message.pop("recipient", "all"),
            **message,
        }
    return made


def conversation(*nodes: dict[str, Any], name: str = "conv-1", title: str = "A title", **more: Any) -> dict[str, Any]:
    """One conversation of ChatGPT's export; what is shown ends at the last node."""
    mapping = {one["id"]: one for one in nodes}
    for one in nodes:
        if one["parent"] in mapping:
            mapping[one["parent"]]["children"].append(one["id"])
    return {
        "title": title,
        "create_time": 1_700_000_000.0,
        "update_time": 1_700_000_100.0,
        "mapping": mapping,
        "current_node": nodes[-1]["id"],
        "conversation_id": name,
        "id": name,
        **more,
    }


def two_branches(name: str = "conv-1", title: str = "Weather") -> dict[str, Any]:
    """A question, two answers to it, and a question after the second."""
    return conversation(
        node("root", None),
        node("sys", "root", "system", "", metadata={"is_visually_hidden_from_conversation": True}),
        node("q1", "sys", "user", "What is weather?"),
        node("a1", "q1", "assistant", "First answer."),
        node("a2", "q1", "assistant", "Second answer."),
        node("q2", "a2", "user", "And climate?"),
        node("a3", "q2", "assistant", "Third answer."),
        name=name,
        title=title,
    )


def chatgpt_zip(*shards: list[dict[str, Any]], stored: bool = False) -> bytes:
    """As it comes: one ``conversations.json``, or shards, among other files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("chat.html", "<html>…</html>")
        archive.writestr("user.json", "{}")
        archive.writestr("message_feedback.json", "[]")
        if len(shards) == 1:
            archive.writestr("conversations.json", json.dumps(shards[0]))
        else:
            archive.writestr("export_manifest.json", "{}")
            for number, shard in enumerate(shards):
                archive.writestr(f"conversations-{number:03}.json", json.dumps(shard))
        archive.writestr("file-abc-photo.png", b"\x89PNG")
    return made.getvalue()


def open_webui_chat(name: str = "owui-1") -> dict[str, Any]:
    """A question with two answers; the first is shown."""
    messages = {
        "m1": {
            "id": "m1",
            "parentId": None,
            "childrenIds": ["m2", "m3"],
            "role": "user",
            "timestamp": 1_700_000_000,
            "content": "What is a quorum?",
            "files": [{"type": "image", "name": "board.png", "url": "data:…"}],
        },
        "m2": {
            "id": "m2",
            "parentId": "m1",
            "childrenIds": [],
            "role": "assistant",
            "timestamp": 1_700_000_001,
            "model": "llama3:8b",
            "done": True,
            "content": '<details type="reasoning" done="true" duration="3">\n<summary>Thought</summary>\n> hm\n</details>\n'
            "Enough members.",
        },
        "m3": {
            "id": "m3",
            "parentId": "m1",
            "childrenIds": [],
            "role": "assistant",
            "timestamp": 1_700_000_002,
            "content": "A number.",
            "model": "qwen3:4b",
            "done": True,
        },
    }
    chat = {"title": "Quorum", "models": ["llama3:8b"], "history": {"messages": messages, "currentId": "m2"}}
    return {
        "id": name,
        "user_id": "u",
        "title": "Quorum",
        "chat": chat,
        "archived": False,
        "pinned": False,
        "created_at": 1_700_000_000,
        "updated_at": 1_700_000_050,
        "share_id": None,
        "meta": {},
        "folder_id": None,
    }
