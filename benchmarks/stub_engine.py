"""Commun with an engine that answers at once, as a child of gateway.py: everything but the model is the real thing.

Argument: the port. The data folder comes from COMMUN_HOME. With ``profile`` as second argument the event loop's thread
is profiled and the report printed on standard error when the server is stopped.
"""

import contextlib
import cProfile
import pstats
import signal
import sys
from collections.abc import AsyncGenerator, Sequence

from commun.app import create_app
from commun.config import load_settings
from commun.engine.base import Delta, EngineInfo, EngineState, Finish, FinishReason, Message, Prompt, Sampling, Score
from commun.logs import configure_logs
from commun.server import serve_until_stopped
from stub import WORDS

DELTAS = [Delta((number,), word, (-0.5,)) for number, word in enumerate(WORDS)]
END = Finish(FinishReason.STOP, prompt_tokens=10, completion_tokens=len(WORDS), first_token_s=0.0, total_s=0.0)
PROMPT = Prompt(token_ids=tuple(range(10)))


class StubEngine:
    """20 canned tokens, one by one, each with its log-probability."""

    state = EngineState.READY
    refusal = None
    info = EngineInfo("stub", "1", "exact", "stub", "0" * 64, 8192)

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def render(self, _messages: Sequence[Message]) -> Prompt:
        return PROMPT

    async def encode(self, _text: str) -> Prompt:
        return PROMPT

    async def count(self, prompt: Prompt) -> int:
        return len(prompt.token_ids or ())

    async def generate(self, _prompt: Prompt, _sampling: Sampling) -> AsyncGenerator[Delta | Finish, None]:
        for delta in DELTAS:
            yield delta
        yield END

    async def score(self, _token_ids: Sequence[int]) -> list[Score]:
        return []

    def token_bytes(self, token_id: int) -> bytes:
        return WORDS[token_id].encode()


async def quiet(_url: str) -> None:
    """Nobody needs the link."""


def main() -> None:
    settings = load_settings(port=int(sys.argv[1]))
    configure_logs(settings)
    app = create_app(settings, engine=StubEngine())
    if sys.argv[2:] != ["profile"]:
        serve_until_stopped(app, settings, quiet)
        return
    profile = cProfile.Profile()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # uvicorn raises the signal again when it has stopped
    with contextlib.suppress(SystemExit):
        profile.runcall(serve_until_stopped, app, settings, quiet)
    stats = pstats.Stats(profile, stream=sys.stderr)
    stats.sort_stats("tottime").print_stats(45)
    stats.sort_stats("cumulative").print_stats(60)


if __name__ == "__main__":
    main()
