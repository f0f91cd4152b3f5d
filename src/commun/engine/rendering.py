"""Prompts and texts by the model's own tokenizer, without the model: half a second, and no memory for weights.

An auditor builds the prompt again from the messages (``prompt_ids.py``), and the text from the tokens, which ends
before the first stop string: both as the engine does it.
"""

from collections.abc import Sequence
from pathlib import Path

from commun.engine.detokenizer import TextStream
from commun.engine.prompt_ids import PromptIds
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

        self.folder = folder
        self.tokenizer = genai.Tokenizer(str(folder))
        self._table = table_of(self.tokenizer)
        self._prompts = PromptIds(self.tokenizer, self._table)
        defaults = genai.GenerationConfig(str(folder / "generation_config.json"))
        self.ends: frozenset[int] = frozenset({*defaults.stop_token_ids, defaults.eos_token_id})

    def render(self, messages: Sequence[tuple[str, str]]) -> tuple[int, ...]:
        """``messages``: (role, text). The prompt that asks for the next message of the assistant."""
        return tuple(self._prompts.of_messages(messages))

    def encode(self, text: str) -> tuple[int, ...]:
        """A plain text that is continued."""
        return tuple(self._prompts.of_text(text))

    def check_known(self, token_ids: Sequence[int]) -> None:
        """Raises UnknownToken."""
        largest = max(token_ids, default=0)
        if largest >= len(self._table.pieces):
            raise UnknownToken(token=largest)

    def piece_of(self, token: int) -> str:
        """What one token stands for: of a special one its name, of an unfinished character a replacement."""
        return self._table.pieces[token].decode("utf-8", "replace")

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
