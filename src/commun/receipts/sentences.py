"""What a verification says: message ids, and what goes into their places."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sentence:
    """``text``: a message id, whose places ``details`` fill."""

    text: str
    details: Mapping[str, str | int] = field(default_factory=dict)


def filled(sentence: Sentence) -> str:
    return sentence.text % sentence.details if sentence.details else sentence.text
