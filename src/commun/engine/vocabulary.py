"""The bytes of each token, read from a tokenizer and checked against how that tokenizer decodes."""

from typing import Any

from commun.engine.detokenizer import TokenTable

ANCHOR_TEXT = "a"


def table_of(tokenizer: Any) -> TokenTable:
    """The table of an OpenVINO GenAI tokenizer. Byte-level vocabularies and sentencepiece ones (▁, <0x0A>)."""
    vocabulary: dict[bytes, int] = tokenizer.get_vocab()
    size = max(vocabulary.values()) + 1
    raw = [b""] * size
    for piece, token in vocabulary.items():
        raw[token] = piece
    every = [[token] for token in range(size)]
    shown = tokenizer.decode(every, skip_special_tokens=False)
    plain = tokenizer.decode(every, skip_special_tokens=True)
    special = frozenset(token for token in range(size) if shown[token] != plain[token] and not plain[token])
    if any("▁".encode() in piece for piece in raw) and not any(piece.startswith(b" ") for piece in raw):
        return TokenTable(tuple(map(sentencepiece_bytes, raw)), special, strip_first=True)
    return TokenTable(tuple(raw), special)


def sentencepiece_bytes(piece: bytes) -> bytes:
    """``<0x0A>`` is the byte 10; ``▁`` is a space."""
    if len(piece) == len("<0x00>") and piece.startswith(b"<0x") and piece.endswith(b">"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace("▁".encode(), b" ")
