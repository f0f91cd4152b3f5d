"""A long conversation of an export, read in a process of its own: ``python -m commun.importing.apart``.

Reading the JSON of one takes Python seconds in which no other thread of it does anything: nobody's page would come. So
the server hands it out, and takes back what was read message by message, each of them short.

- on its standard input: a line that says how to read, then the conversation as it stands in the export. On its standard
  output: a line with what is said of it all, then one for each message; or a line that says why not. All are JSON;
- nothing is written to a disk, and nothing is told but that;
- it has the lowest priority, so whoever asks goes first, and no more memory and processor than an honest conversation
  takes: what is made to grow ends the process, and counts as unreadable.
"""

import json
import os
import resource
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import IO, Any, Final

from commun.errors import N_
from commun.importing.formats import conversation_of
from commun.importing.outline import PLAIN, ImportedConversation, ImportedMessage, Kept, NotAConversation
from commun.importing.reading import WORDS, Translate
from commun.importing.spool import BadImport

MAX_MEMORY_BYTES: Final = 1 << 30
MAX_PROCESSOR_S: Final = 60
NICE: Final = 10
_NOT_JSON: Final = "it is not JSON"
_NOT_READ: Final = "it cannot be read, or takes more to read than an honest one"
_ABOUT: Final = tuple(one.name for one in fields(ImportedConversation) if one.name != "messages")
_OF_EACH: Final = tuple(one.name for one in fields(ImportedMessage) if one.name != "kept")


def question(data: bytes, translate: Translate, *, now: float) -> Iterator[bytes]:
    """What the process is told."""
    yield _line({"now": now, "words": {words: translate(words) for words in WORDS}})
    yield data


def understood(answer: Iterable[bytes]) -> ImportedConversation:
    """What it told. Raises NotAConversation; BadImport where it is not JSON, which ends the import."""
    lines = iter(answer)
    try:
        about = json.loads(next(lines, b"{}"))
        if about.get("refused") != _NOT_JSON:
            return _conversation(about, lines)
    except (ValueError, KeyError, TypeError):  # it was ended in the middle
        raise NotAConversation(_NOT_READ) from None
    raise BadImport(reason=N_("a conversation in it is not JSON"))


def _conversation(about: dict[str, Any], lines: Iterator[bytes]) -> ImportedConversation:
    messages = tuple(_message(json.loads(line)) for line in lines)
    if not messages or about.pop("count", None) != len(messages):
        raise NotAConversation(_NOT_READ)
    return ImportedConversation(messages=messages, **about)


def _message(told: dict[str, Any]) -> ImportedMessage:
    kept = told.pop("kept", None)
    return ImportedMessage(kept=PLAIN if kept is None else Kept(**kept), **told)


def main() -> None:
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_PROCESSOR_S, MAX_PROCESSOR_S))
    for line in _answer(sys.stdin.buffer):
        sys.stdout.buffer.write(line)


def _answer(asked: IO[bytes]) -> Iterator[bytes]:
    how = json.loads(asked.readline())
    try:
        value = json.loads(asked.read())
    except ValueError:
        yield _line({"refused": _NOT_JSON})
        return
    except (RecursionError, MemoryError):
        yield _line({"refused": "it is too deep, or too much"})
        return
    try:
        found = _read(value, how["words"], now=how["now"])
    except (NotAConversation, MemoryError):
        yield _line({"refused": "it is no conversation"})
        return
    yield _line({name: getattr(found, name) for name in _ABOUT} | {"count": len(found.messages)})
    for one in found.messages:
        told = {name: getattr(one, name) for name in _OF_EACH}
        yield _line(told if one.kept is PLAIN else told | {"kept": asdict(one.kept)})


def _read(value: Any, words: Mapping[str, str], *, now: float) -> ImportedConversation:
    """Raises NotAConversation."""
    if not isinstance(value, dict):
        raise NotAConversation("it is no object")
    return conversation_of(value, lambda text: words.get(text, text), now=now)


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


if __name__ == "__main__":
    main()
