"""An outline of a conversation as another assistant exported it, and the tree that is made of it.

Others keep more nodes than questions and answers: hidden instructions, calls of tools and what they gave. The tree here
has questions and answers, one after the other:

- nodes without a role are left out; what hung on them hangs on the node before;
- nodes of one side that follow each other become one message, the text of each as a paragraph of its own. Where such a
  run forks in the middle, each branch begins with what came before the fork;
- a question that nobody answered gets an empty answer, marked as missing, so that it can be asked here;
- every branch is kept, in its order; the shown one ends where the export says.

An outline is a stranger's: parents may be missing, or be their own children, and a fork at every node would multiply
the text. What cannot be reached from a beginning is left out; a tree of MAX_GROWTH times its outline is refused.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_NODES: Final = 50_000
MAX_GROWTH: Final = 4
FREE_CHARACTERS: Final = 1_000_000
LATEST: Final = 4_102_444_800.0  # the year 2100
MILLISECONDS: Final = 1e11  # larger times are in these


class NotAConversation(ValueError):
    """It is none, or none that is believed."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a Commun keeps of a message beside its text, as its export tells it. ``facts``: single words of how it
    ended. ``said``: what its owner says of it, in whatever form. ``origin``: where it had been brought in from before,
    ``conversation`` and ``message``: its names there; ``missing``: as a question that nobody had answered.
    """

    state: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    said: Any = None
    origin: str = ""
    conversation: str = ""
    message: str = ""
    missing: bool = False


PLAIN: Final = Kept()


@dataclass(slots=True)
class Node:
    """``role`` "": left out. ``created``: seconds since 1970, None where nobody says. ``model``: what wrote it."""

    parent: str | None
    role: str = ""
    text: str = ""
    created: float | None = None
    model: str = ""
    kept: Kept = PLAIN


@dataclass(slots=True)
class Outline:
    """``source``: chatgpt, open-webui, commun. ``id``: its name there. ``current``: the node that was shown last.
    ``merges``: several nodes make one message. ``left_out``: how many of what could not be brought along, by kind.
    ``folder``: what the folder is called in which it lay, "" for none or where the export does not say; ``folder_id``:
    its name there, where that is all that the export says.
    """

    source: str
    id: str
    title: str
    created: float | None
    updated: float | None
    nodes: dict[str, Node]
    current: str | None
    merges: bool = True
    left_out: dict[str, int] = field(default_factory=dict)
    folder: str = ""
    folder_id: str = ""


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """``parent``: the place of one of the messages before, or None. ``id``: in the export. ``missing``: not there."""

    parent: int | None
    role: str
    text: str
    created: float
    id: str
    model: str = ""
    missing: bool = False
    kept: Kept = PLAIN


@dataclass(frozen=True, slots=True)
class ImportedConversation:
    """``messages``: parents before their children. ``leaf``: the place of the one that ends the shown branch."""

    source: str
    id: str
    title: str
    created: float
    updated: float
    messages: tuple[ImportedMessage, ...]
    leaf: int
    left_out: dict[str, int]
    folder: str = ""
    folder_id: str = ""


def moment(value: object) -> float | None:
    """Seconds since 1970, as some export writes them; None for whatever is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    seconds = value / 1000 if value > MILLISECONDS else float(value)
    return seconds if 0 < seconds < LATEST else None


def shape(outline: Outline, *, now: float) -> ImportedConversation:
    """Raises NotAConversation."""
    if len(outline.nodes) > MAX_NODES:
        raise NotAConversation("it has more messages than are believed")
    messages = _Shaping(outline, now=now)
    messages.all()
    if not messages.made:
        raise NotAConversation("nobody says anything in it")
    leaf = messages.leaf()
    created = outline.created or messages.made[0].created
    updated = max(created, outline.updated or max(one.created for one in messages.made))
    return ImportedConversation(
        outline.source,
        outline.id,
        outline.title,
        min(created, now),
        min(updated, now),
        tuple(messages.made),
        leaf,
        dict(outline.left_out),
        outline.folder,
        outline.folder_id,
    )


@dataclass(slots=True, eq=False)
class _Run:
    """Nodes of one side that follow each other. ``before``: the run up to the node before; ``parent``: the message that
    the whole run hangs on. ``place``: of the message that it became, once it did.
    """

    parent: int | None
    name: str = ""
    node: Node | None = None
    before: "_Run | None" = None
    place: int | None = None


class _Shaping:
    def __init__(self, outline: Outline, *, now: float) -> None:
        self._outline = outline
        self._now = now
        self.made: list[ImportedMessage] = []
        self._place: dict[str, int] = {}  # the message that a node became part of; the last one where there are several
        self._left = MAX_GROWTH * sum(len(node.text) for node in outline.nodes.values()) + FREE_CHARACTERS

    def all(self) -> None:
        nodes = self._outline.nodes
        children: dict[str | None, list[str]] = {}
        for name, node in nodes.items():
            children.setdefault(node.parent if node.parent in nodes else None, []).append(name)
        waiting = [(name, _Run(None)) for name in reversed(children.get(None, []))]
        while waiting:
            name, before = waiting.pop()
            run = self._with(before, name)
            below = children.get(name, [])
            if not below:
                self._close(run)
            waiting += [(child, run) for child in reversed(below)]

    def _with(self, run: _Run, name: str) -> _Run:
        node = self._outline.nodes[name]
        if not node.role:
            return run
        if self._outline.merges and run.node is not None and run.node.role == node.role:
            return _Run(run.parent, name, node, run)
        return _Run(self._close(run), name, node)

    def _close(self, run: _Run) -> int | None:
        """The run as a message, made once; its place, or that of the one before where there is nothing in it."""
        if run.node is None:
            return run.parent
        if run.place is None:
            run.place = self._add(run)
        return run.place

    def _add(self, run: _Run) -> int:
        parts: list[_Run] = []
        part: _Run | None = run
        while part is not None:
            parts.append(part)
            part = part.before
        nodes = [one.node for one in reversed(parts) if one.node is not None]
        text = "\n\n".join(node.text for node in nodes if node.text.strip())
        self._left -= len(text) + len(nodes)
        if self._left < 0:
            raise NotAConversation("its branches multiply it")
        created = next((node.created for node in nodes if node.created is not None), self._outline.created or self._now)
        model = next((node.model for node in reversed(nodes) if node.model), "")
        role, kept = nodes[0].role, nodes[-1].kept
        missing = kept.missing and not text
        made = ImportedMessage(run.parent, role, text, min(created, self._now), run.name, model, missing, kept)
        self.made.append(made)
        for one in parts:
            self._place[one.name] = len(self.made) - 1
        return len(self.made) - 1

    def leaf(self) -> int:
        """Answers questions that nobody answered, then finds the end of the shown branch."""
        asked = {one.parent for one in self.made}
        for place, one in enumerate(tuple(self.made)):
            if one.role == "user" and place not in asked:
                self.made.append(ImportedMessage(place, "assistant", "", one.created, one.id, missing=True))
        return self._down(self._shown())

    def _shown(self) -> int:
        name, nodes = self._outline.current, self._outline.nodes
        for _ in range(len(nodes)):
            if name is None or name not in nodes:
                break
            if name in self._place:
                return self._place[name]
            name = nodes[name].parent
        return len(self.made) - 1

    def _down(self, place: int) -> int:
        """An answer ends a branch: below a question, its newest answer."""
        if self.made[place].role != "user":
            return place
        below = [at for at, one in enumerate(self.made) if one.parent == place and one.role != "user"]
        return below[-1] if below else place
