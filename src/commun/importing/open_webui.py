"""A chat of Open WebUI's export: ``chat.history.messages`` (by id, with ``parentId``), ``currentId``.

Reasoning and calls of tools stand in its texts as ``<details>``: the first is left out, the second is named. Images and
files are named in their place. Which chats lie in one folder is told, and not what that is called.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from commun.importing.outline import Node, Outline, moment
from commun.importing.reading import CALL, FILE, IMAGE, MAX_NAME, Reading, Translate, list_of, short_name, table_of

SOURCE: Final = "open-webui"
DETAILS_END: Final = "</details>"
_DETAILS: Final = re.compile(r'<details type="(\w+)"')
_SPACE: Final = re.compile(r"\s*")
_CALLED: Final = re.compile(r'\bname="([^"]{1,200})"')


def is_open_webui(value: Mapping[str, Any]) -> bool:
    return isinstance(_history(value).get("messages"), dict)


def _history(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return table_of(table_of(value.get("chat") or value).get("history"))


def outline(value: Mapping[str, Any], translate: Translate) -> Outline:
    """Raises NotAConversation."""
    chat, history = table_of(value.get("chat") or value), _history(value)
    reading = _Reading(translate)
    nodes = reading.nodes(history["messages"])
    current = history.get("currentId")
    return Outline(
        SOURCE,
        str(value.get("id") or chat.get("id") or ""),
        str(value.get("title") or chat.get("title") or ""),
        moment(value.get("created_at") or chat.get("timestamp")),
        moment(value.get("updated_at")),
        nodes,
        current if isinstance(current, str) else None,
        left_out=reading.left_out,
        folder_id=folder[:MAX_NAME] if isinstance(folder := value.get("folder_id"), str) else "",
    )


class _Reading(Reading):
    def node(self, message: Mapping[str, Any]) -> Node:
        parent, role = message.get("parentId"), message.get("role")
        made = Node(parent if isinstance(parent, str) else None, created=moment(message.get("timestamp")))
        if role not in ("user", "assistant"):
            return made
        text = "\n\n".join(part for part in self._parts(message) if part.strip())
        if text:
            made.role, made.text = role, text
            made.model = short_name(message.get("model") or " ").strip("?") if role == "assistant" else ""
        return made

    def _parts(self, message: Mapping[str, Any]) -> Iterator[str]:
        content = message.get("content")
        for part in [content] if isinstance(content, str) else list_of(content):
            text = part if isinstance(part, str) else str(table_of(part).get("text") or "")
            yield "".join(self._without_details(text))
        for file in map(table_of, list_of(message.get("files"))):
            is_image = file.get("type") == "image" or str(file.get("content_type") or "").startswith("image/")
            name = file.get("name") or table_of(file.get("file")).get("filename") or file.get("id") or file.get("type")
            yield self.named(IMAGE, "images", name) if is_image else self.named(FILE, "files", name)

    def _without_details(self, text: str) -> Iterator[str]:
        """Each character is looked at once: where no end follows, none is looked for behind."""
        at = 0
        while (found := _DETAILS.search(text, at)) is not None:
            opened = text.find(">", found.end())
            end = text.find(DETAILS_END, opened) if opened >= 0 else -1
            if end < 0:
                break
            yield text[at : found.start()]
            yield self._detail(found[1], text[found.end() : opened])
            after = _SPACE.match(text, end + len(DETAILS_END))
            at = after.end() if after else end
        yield text[at:]

    def _detail(self, kind: str, said: str) -> str:
        if kind == "reasoning":
            self.count("reasoning")
            return ""
        called = _CALLED.search(said)
        return self.named(CALL, "tools", called[1] if called else kind) + "\n\n"
