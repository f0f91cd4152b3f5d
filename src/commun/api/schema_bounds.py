"""How large a JSON Schema may be: what nobody needs is refused before anything is done with it.

An engine compiles a schema into a grammar over all words of the model; that takes more time the more places the grammar
has. These bounds are those that a caller can read off the schema. None of them is complete: what keeps within all of
them, and still takes too long, is found by trying (``engine/grammar_check.py``).

| bound | why |
|---|---|
| MAX_BYTES | each letter of a name or a value is a place of the grammar |
| MAX_DEPTH | a level is a rule within a rule; a person's schema has ten |
| MAX_NODES | each object, list and value is looked at, however small |
| MAX_ENUM | each value is a branch of its own, all of them at one place |
| MAX_BRANCHES | as for values; and branches within branches multiply |
| MAX_COUNT | a repetition may be written out, once for each time |
| MAX_PATTERN_LETTERS | a pattern is compiled into an automaton of its own |
| MAX_PATTERN_PLACES | ``((x{9}){9}){9}`` has a few letters and 729 places: counts within counts multiply |
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from commun.errors import N_, InvalidParameter

MAX_BYTES: Final = 1 << 16
MAX_DEPTH: Final = 64
MAX_NODES: Final = 10_000
MAX_ENUM: Final = 1_000
MAX_BRANCHES: Final = 200
MAX_COUNT: Final = 10_000
MAX_PATTERN_LETTERS: Final = 1_000
MAX_PATTERN_PLACES: Final = 10_000

_BRANCHING: Final = ("anyOf", "oneOf", "allOf")
_COUNTS: Final = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_REPEATED: Final = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_CLASS: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)


class SchemaTooLarge(InvalidParameter):
    """``details``: ``parameter``, ``reason``, ``limit``."""

    problem = N_("The JSON Schema of “%(parameter)s” is larger than is compiled here: %(reason)s, more than %(limit)s.")
    cure = N_("Make it smaller and send the request again.")


def check_bounds(schema: dict[str, Any]) -> None:
    """Raises SchemaTooLarge for the first bound that is passed."""
    for reason, count, limit in _counted(schema):
        if count > limit:
            raise SchemaTooLarge(parameter="response_format", reason=reason, limit=limit)


def _counted(schema: dict[str, Any]) -> Iterator[tuple[str, float, int]]:
    """What is counted, how much of it there is, and how much there may be; the cheapest first."""
    yield N_("bytes of JSON"), len(json.dumps(schema)), MAX_BYTES
    level: list[Any] = [schema]
    nodes = depth = 0
    while level:
        depth, nodes = depth + 1, nodes + len(level)
        yield N_("levels of nesting"), depth, MAX_DEPTH
        yield N_("objects, lists and values in all"), nodes, MAX_NODES
        for node in level:
            if isinstance(node, dict):
                yield from _of_one(node)
        level = [child for node in level for child in _children(node)]


def _children(node: Any) -> list[Any]:
    return list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []


def _of_one(node: dict[str, Any]) -> Iterator[tuple[str, float, int]]:
    if isinstance(values := node.get("enum"), list):
        yield N_("values of one enum"), len(values), MAX_ENUM
    for name in _BRANCHING:
        if isinstance(branches := node.get(name), list):
            yield N_("branches in one place"), len(branches), MAX_BRANCHES
    for name in _COUNTS:
        if isinstance(count := node.get(name), (int, float)):
            yield N_("a least or largest number of letters, items or properties"), count, MAX_COUNT
    patterns = [node.get("pattern"), *(each if isinstance(each := node.get("patternProperties"), dict) else ())]
    for pattern in patterns:
        if isinstance(pattern, str):
            yield N_("letters of a pattern"), len(pattern), MAX_PATTERN_LETTERS
            yield N_("places of a pattern whose repetitions are written out"), places_of(pattern), MAX_PATTERN_PLACES


def places_of(pattern: str) -> int:
    """How long a regular expression is with each ``{m,n}`` written out n times (``{m,}`` m times). What is no regular
    expression has some length, too.
    """
    groups: list[int] = []
    at = whole = last = 0  # ``whole``: of the group so far; ``last``: of what a repetition would repeat
    while at < len(pattern):
        letter, step = pattern[at], 1
        if letter == "(":
            groups.append(whole)
            whole = last = 0
        elif letter == ")" and groups:
            last, whole = whole, groups.pop() + whole
        elif found := _REPEATED.match(pattern, at):
            step = found.end() - at
            times = max(1, *(int(each) for each in found.groups() if each))
            last, whole = last * times, whole + last * (times - 1)
        elif letter not in "*+?|^$":
            step = 2 if letter == "\\" else len(_class_at(pattern, at))
            last, whole = 1, whole + 1
        at += step
    return whole + sum(groups)


def _class_at(pattern: str, at: int) -> str:
    """``[a-z]``, or the one letter that stands there."""
    found = _CLASS.match(pattern, at) if pattern[at] == "[" else None
    return found[0] if found else pattern[at]
