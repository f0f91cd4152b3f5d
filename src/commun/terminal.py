"""The chat in the terminal: one turn after another with the assistant, nothing stored.

Standard output carries the answers alone, so that `echo question | commun chat` can be piped on; everything else goes
to standard error.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

from commun.assistant.question import Question
from commun.assistant.turn import Assistant, Began, Done, Failed, Queued, Turn
from commun.engine.base import Delta, Message

Translate = Callable[[str], str]


async def converse(assistant: Assistant, translate: Translate, wishes: Question) -> None:
    """Asks until the input ends, each question with the same ``wishes``. With piped input the whole input is one."""
    messages: list[Message] = []
    async for question in questions(translate):
        messages.append(Message("user", question))
        turn = assistant.begin(replace(wishes, messages=tuple(messages)))
        answer = await show(turn, translate)
        messages.append(Message("assistant", answer))


async def questions(translate: Translate) -> AsyncIterator[str]:
    if not sys.stdin.isatty():
        text = (await asyncio.to_thread(sys.stdin.read)).strip()
        if text:
            yield text
        return
    note(translate("Write your question, then Enter. Ctrl+C stops an answer, Ctrl+D ends."))
    while True:
        try:
            text = (await asyncio.to_thread(input, "\n› ")).strip()
        except EOFError:
            return
        if text:
            yield text


async def show(turn: Turn, translate: Translate) -> str:
    """Prints the answer as it comes and returns it. Ctrl+C stops the answer, not the program."""
    with stop_on_interrupt(turn):
        async for _number, event in turn.follow():
            match event:
                case Queued(place=place):
                    note(translate("Waiting: place %(place)s") % {"place": place})
                case Began(dropped_messages=dropped) if dropped:
                    note(
                        translate("The %(count)s oldest messages no longer fit and were left out.") % {"count": dropped}
                    )
                case Delta(text=text):
                    sys.stdout.write(text)
                    sys.stdout.flush()
                case Done(answer=answer):
                    sys.stdout.write("\n")
                    sys.stdout.flush()
                    if sys.stdout.isatty():
                        speed = answer.completion_tokens / answer.total_s if answer.total_s else 0.0
                        note(f"{answer.completion_tokens} tokens · {speed:.0f} tokens/s · seed {answer.sampling.seed}")
                    return answer.text
                case Failed(error=error):
                    raise error
    return ""


@contextlib.contextmanager
def stop_on_interrupt(turn: Turn) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in the loop
        loop.add_signal_handler(signal.SIGINT, turn.stop)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)


def note(text: str) -> None:
    sys.stderr.write(f"\x1b[2m{text}\x1b[0m\n" if sys.stderr.isatty() else f"{text}\n")
    sys.stderr.flush()
