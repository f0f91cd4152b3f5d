"""A conversation of ChatGPT's export: ``mapping`` (nodes by id), ``current_node``.

What is brought along: what people wrote and what the assistant answered, transcripts of what was spoken, code and what
it gave. What is not is named in its place, in brackets: images, files, sounds, pages that were looked up, calls of
tools. Instructions that the page hid, empty nodes and the reasoning's summaries are left out. All of it is counted.

Which conversations belong to one project is told, and not what that is called (``g-p-…``; other names that begin with
``g-`` are of assistants that somebody made).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from commun.importing.outline import Node, Outline, moment
from commun.importing.reading import CALL, FILE, IMAGE, SOUND, TOOL, Reading, Translate, list_of, short_name, table_of

SOURCE: Final = "chatgpt"
MAX_TOOL_CHARACTERS: Final = 20_000
CITED, CITED_END = "\ue200", "\ue201"  # around a citation of its own page
_MARKS: Final = re.compile("[\ue000-\uf8ff]")
_ABOUT_ME: Final = "user_editable_context"
_HIDDEN: Final = frozenset({_ABOUT_ME, "model_editable_context"})
_PROJECT: Final = re.compile(r"g-p-\w{1,100}")
_REASONING: Final = frozenset({"thoughts", "reasoning_recap"})


def is_chatgpt(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("mapping"), dict)


def outline(value: Mapping[str, Any], translate: Translate) -> Outline:
    """Raises NotAConversation."""
    reading = _Reading(translate)
    nodes = reading.nodes(value["mapping"])
    current = value.get("current_node")
    return Outline(
        SOURCE,
        str(value.get("conversation_id") or value.get("id") or ""),
        str(value.get("title") or ""),
        moment(value.get("create_time")),
        moment(value.get("update_time")),
        nodes,
        current if isinstance(current, str) else None,
        left_out=reading.left_out,
        folder_id=_project(value),
    )


def _project(value: Mapping[str, Any]) -> str:
    for name in ("conversation_template_id", "gizmo_id"):
        told = value.get(name)
        if isinstance(told, str) and _PROJECT.fullmatch(told):
            return told
    return ""


class _Reading(Reading):
    def node(self, node: Mapping[str, Any]) -> Node:
        parent = node.get("parent")
        made = Node(parent if isinstance(parent, str) else None)
        message = node.get("message")
        if not isinstance(message, dict):
            return made
        metadata, role = table_of(message.get("metadata")), table_of(message.get("author")).get("role")
        hidden = metadata.get("is_visually_hidden_from_conversation") or metadata.get("is_user_system_message")
        if metadata.get("is_user_system_message") or table_of(message.get("content")).get("content_type") == _ABOUT_ME:
            self.left_out["instructions"] = 1  # the same ones, however often they are told
        if hidden or role not in ("user", "assistant", "tool") or message.get("weight") == 0:
            return made
        text = "\n\n".join(part for part in self._parts(message, metadata, role) if part.strip())
        if text:
            made.role = "user" if role == "user" else "assistant"
            made.text = _without_marks(text)
        made.created = moment(message.get("create_time"))
        made.model = "" if role == "user" else short_name(metadata.get("model_slug") or " ").strip("?")
        return made

    def _parts(self, message: Mapping[str, Any], metadata: Mapping[str, Any], role: str) -> Iterator[str]:
        content = table_of(message.get("content"))
        kind = str(content.get("content_type") or "")
        if kind in _HIDDEN:
            return
        if kind in _REASONING:
            self.count("reasoning")
            return
        tool = table_of(message.get("author")).get("name") if role == "tool" else None
        recipient = message.get("recipient")
        if role == "assistant" and recipient not in (None, "", "all"):
            yield self.named(CALL, "tools", recipient)
        yield from self._content(kind, content, metadata, tool)

    def _content(self, kind: str, content: Mapping[str, Any], metadata: Mapping[str, Any], tool: Any) -> Iterator[str]:
        if kind in ("text", "multimodal_text"):
            if tool and kind == "text":
                yield self.named(TOOL, "tools", tool)
                return
            files = {str(one.get("id")): one.get("name") for one in map(table_of, list_of(metadata.get("attachments")))}
            for part in list_of(content.get("parts")):
                yield self._part(part, files)
            for name in files.values():
                yield self.named(FILE, "files", name)
        elif kind in ("code", "execution_output"):
            yield _fenced(str(content.get("text") or ""), str(content.get("language") or ""))
        else:
            yield self.named(TOOL, "tools", tool or kind or "?")

    def _part(self, part: Any, files: dict[str, Any]) -> str:
        if isinstance(part, str):
            return part
        part = table_of(part)
        kind = str(part.get("content_type") or "")
        if kind == "audio_transcription":
            return str(part.get("text") or "")
        if kind == "image_asset_pointer":
            pointer = str(part.get("asset_pointer") or "").rpartition("/")[2]
            return self.named(IMAGE, "images", files.pop(pointer, None) or pointer)
        if "audio" in kind or "video" in kind:
            return self.named(SOUND, "sounds")
        return self.named(FILE, "files", kind)


def _without_marks(text: str) -> str:
    """Each character is looked at once: where no end follows, none is looked for behind."""
    kept, at = [], 0
    while (begin := text.find(CITED, at)) >= 0 and (end := text.find(CITED_END, begin)) >= 0:
        kept.append(text[at:begin])
        at = end + 1
    return _MARKS.sub("", "".join(kept) + text[at:])


def _fenced(text: str, language: str) -> str:
    """Code, whatever fences are in it."""
    if not text.strip():
        return ""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    name = language if re.fullmatch(r"[a-z0-9+#-]{1,20}", language) and language != "unknown" else ""
    return f"{fence}{name}\n{text[:MAX_TOOL_CHARACTERS]}\n{fence}"
