"""Reading another assistant's conversation: what is left out is counted, and named in its place, in brackets."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final

from commun.errors import N_
from commun.importing.outline import MAX_NODES, Node, NotAConversation

MAX_NAME: Final = 200
IMAGE: Final = N_("[Image left out: %(name)s]")
FILE: Final = N_("[File left out: %(name)s]")
SOUND: Final = N_("[Sound left out]")
TOOL: Final = N_("[What the tool “%(name)s” gave was left out]")
CALL: Final = N_("[Asked the tool “%(name)s”]")
WORDS: Final = (IMAGE, FILE, SOUND, TOOL, CALL)

Translate = Callable[[str], str]


class Reading(ABC):
    """The nodes of one conversation, of which each assistant has its own form."""

    def __init__(self, translate: Translate) -> None:
        self._translate = translate
        self.left_out: dict[str, int] = {}

    @abstractmethod
    def node(self, node: Mapping[str, Any], /) -> Node: ...

    def nodes(self, told: Mapping[str, Any]) -> dict[str, Node]:
        """By their ids. Raises NotAConversation."""
        if len(told) > MAX_NODES:
            raise NotAConversation("it has more messages than are believed")
        return {str(name): self.node(node) for name, node in told.items() if isinstance(node, dict)}

    def count(self, kind: str) -> None:
        self.left_out[kind] = self.left_out.get(kind, 0) + 1

    def named(self, words: str, kind: str, name: Any = "") -> str:
        self.count(kind)
        words = self._translate(words)
        return words % {"name": short_name(name)} if "%(" in words else words


def table_of(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def short_name(value: Any) -> str:
    """One short line."""
    return " ".join(str(value or "?").split())[:MAX_NAME].replace("[", "(").replace("]", ")")
