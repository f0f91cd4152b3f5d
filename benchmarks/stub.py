"""A server that answers at once: OpenAI's chat, 20 canned tokens, streamed or whole. What stands before it is measured.

``python benchmarks/stub.py PORT``: raw asyncio, no JSON is parsed.
"""

import asyncio
import json
import sys

WORDS = [f" word{number}" for number in range(20)]
CREATED = 1_700_000_000


def _chunk(delta: dict[str, str], finish: str | None = None) -> dict[str, object]:
    return {
        "id": "chatcmpl-stub",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": "stub",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


USAGE = {"prompt_tokens": 10, "completion_tokens": len(WORDS), "total_tokens": 10 + len(WORDS)}
EVENTS = [
    _chunk({"role": "assistant", "content": ""}),
    *(_chunk({"content": word}) for word in WORDS),
    _chunk({}, "stop"),
    {**_chunk({}), "choices": [], "usage": USAGE},
]
EVENT_BYTES = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in EVENTS) + b"data: [DONE]\n\n"
STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + f"{len(EVENT_BYTES):x}\r\n".encode()
    + EVENT_BYTES
    + b"\r\n0\r\n\r\n"
)


def _whole(value: object) -> bytes:
    data = json.dumps(value).encode()
    return f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data


MESSAGE = {"role": "assistant", "content": "".join(WORDS)}
WHOLE = _whole(
    {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": CREATED,
        "model": "stub",
        "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
        "usage": USAGE,
    }
)
MODEL = {"id": "stub", "object": "model", "created": CREATED, "owned_by": "stub", "max_model_len": 8192}
MODELS = _whole({"object": "list", "data": [MODEL]})


class Stub(asyncio.Protocol):
    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            _, _, after = head.partition(b"content-length:")
            size = end + 4 + int(after.split(b"\r\n")[0] or 0) if after else end + 4
            if len(self._data) < size:
                return
            body, self._data = self._data[end + 4 : size], self._data[size:]
            if b"/models" in head.split(b"\r\n")[0]:
                answer = MODELS
            else:
                answer = STREAM if b'"stream":true' in body.replace(b" ", b"") else WHOLE
            self._transport.write(answer)  # type: ignore[attr-defined]


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
