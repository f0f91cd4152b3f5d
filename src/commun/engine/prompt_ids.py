"""From messages, or a plain text, to the ids that the model reads: by its own tokenizer and chat template.

What people wrote never becomes a special token: where a text holds such a token's name, it is broken in two by a mark
that the text does not have, and the parts are encoded apart. The engine and an auditor both come here, so that a prompt
that is built again is the same.
"""

import re
from collections.abc import Iterable
from typing import Any

from commun.engine.detokenizer import TokenTable

PRIVATE_USE = [chr(code) for code in range(0xE000, 0xF900)]


class PromptIds:
    """``tokenizer``: OpenVINO GenAI's; ``table``: the pieces of its vocabulary."""

    def __init__(self, tokenizer: Any, table: TokenTable) -> None:
        self._tokenizer = tokenizer
        self._special_names = [table.pieces[token].decode("utf-8", "replace") for token in sorted(table.special)]

    def of_messages(self, messages: Iterable[tuple[str, str]]) -> list[int]:
        """``messages``: (role, text). The prompt that asks for the assistant's next message."""
        pairs = list(messages)
        mark = unused_mark("".join(content for _, content in pairs))
        history = [{"role": role, "content": self._broken(content, mark)} for role, content in pairs]
        text = self._tokenizer.apply_chat_template(history, add_generation_prompt=True)
        return [token for part in text.split(mark) for token in self._encoded(part, add_special_tokens=False)]

    def of_text(self, text: str) -> list[int]:
        """With what the model wants before a text (its BOS), if anything."""
        return self._encoded(text, add_special_tokens=True)

    def _broken(self, content: str, mark: str) -> str:
        for name in self._special_names:
            if name in content:
                half = len(name) // 2 or 1
                content = content.replace(name, name[:half] + mark + name[half:])
        return content

    def _encoded(self, text: str, *, add_special_tokens: bool) -> list[int]:
        if not text:
            return []
        encoded = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        ids: list[int] = encoded.input_ids.data[0].tolist()
        return ids


def unused_mark(text: str) -> str:
    """A character of the private use area that ``text`` does not hold; where it holds them all, more of one of them in
    a row than it does, with another at the end.
    """
    held = set(text)
    first, last = PRIVATE_USE[0], PRIVATE_USE[-1]
    longest = max(map(len, re.findall(f"{first}+", text)), default=0)
    return next((mark for mark in PRIVATE_USE if mark not in held), first * (longest + 1) + last)
