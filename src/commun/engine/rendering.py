"""Prompts and texts by the model's own tokenizer, without the model: half a second, and no memory for weights.

An auditor builds the prompt again from the messages, and the text from the tokens. Both as the engine's process does it
(``runtime.py``): what people wrote never becomes a special token, and the text ends before the first stop string.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commun.engine.detokenizer import TextStream
from commun.engine.runtime import unused_mark
from commun.engine.vocabulary import table_of
from commun.errors import N_, CommunError


class UnknownToken(CommunError):
    code = "unknown_token"
    status = 422
    problem = N_("A token of this conversation is none of the model’s: %(token)s.")
    cure = N_("Is this the model that the receipt names?")


class Renderer:
    """``folder``: a model's, verified by the caller."""

    def __init__(self, folder: Path) -> None:
        import openvino_genai as genai

        self._tokenizer = genai.Tokenizer(str(folder))
        self._table = table_of(self._tokenizer)
        self._special_names = [
            self._table.pieces[token].decode("utf-8", "replace") for token in sorted(self._table.special)
        ]
        defaults = genai.GenerationConfig(str(folder / "generation_config.json"))
        self.ends: frozenset[int] = frozenset({*defaults.stop_token_ids, defaults.eos_token_id})

    def render(self, messages: Sequence[tuple[str, str]]) -> tuple[int, ...]:
        """``messages``: (role, text). The prompt that asks for the next message of the assistant."""
        mark = unused_mark("".join(content for _, content in messages))
        history = [{"role": role, "content": self._broken(content, mark)} for role, content in messages]
        text = self._tokenizer.apply_chat_template(history, add_generation_prompt=True)
        return tuple(token for part in text.split(mark) for token in self._ids(part, add_special_tokens=False))

    def encode(self, text: str) -> tuple[int, ...]:
        """A plain text that is continued."""
        return tuple(self._ids(text, add_special_tokens=True))

    def check_known(self, token_ids: Sequence[int]) -> None:
        """Raises UnknownToken."""
        largest = max(token_ids, default=0)
        if largest >= len(self._table.pieces):
            raise UnknownToken(token=largest)

    def text_of(self, token_ids: Sequence[int], stop: Sequence[str]) -> tuple[str, str, int | None]:
        """The answer's text; the same without what is held back until more comes; after how many tokens the first stop
        string was met, or None.
        """
        stream = TextStream(self._table.text_pieces(), stop, strip_first=self._table.strip_first)
        text, stopped = "", None
        for count, token in enumerate(token_ids, 1):
            text += stream.push((token,))
            if stream.stopped and stopped is None:
                stopped = count
        return text + stream.finish(), text, stopped

    def _broken(self, content: str, mark: str) -> str:
        for name in self._special_names:
            if name in content:
                half = len(name) // 2 or 1
                content = content.replace(name, name[:half] + mark + name[half:])
        return content

    def _ids(self, text: str, *, add_special_tokens: bool) -> list[int]:
        if not text:
            return []
        encoded: Any = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        ids: list[int] = encoded.input_ids.data[0].tolist()
        return ids
