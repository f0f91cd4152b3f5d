"""The chat in the terminal: one turn after another with the assistant, nothing stored.

Standard output carries the answers alone, so that `echo question | commun chat` can be piped on; everything else goes
to standard error. Each answer has its receipt; what was said stands only here, so its proof can be kept only here, too
(``Proofs``).
"""

import asyncio
import contextlib
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

from commun.assistant.question import Question
from commun.assistant.turn import Assistant, Began, Done, Failed, Queued, Turn
from commun.engine.base import Delta, Message
from commun.errors import N_, CommunError, InternalError
from commun.receipts.bundle import Bundle
from commun.receipts.issue import Receipt
from commun.secret_file import write_secret

Translate = Callable[[str], str]
NONCE_BYTES = 32  # drawn here for each question, so that who answers cannot choose the seed
NAME_DIGITS = 8  # of the receipt's id, as the page names the file


class ProofNotKept(CommunError):
    """``file``, ``reason``."""

    code = "proof_not_kept"
    problem = N_("The proof could not be written to %(file)s: %(reason)s.")
    cure = N_("Name a folder in which you may write.")


class Proofs:
    """The whole bundle of each answer, as a file in ``folder``. ``fresh``: ``recording.bundles.Bundles``'s."""

    def __init__(self, folder: Path, fresh: Callable[[Receipt], Awaitable[Bundle]]) -> None:
        self._folder = folder
        self._fresh = fresh

    async def keep(self, receipt: Receipt) -> Path:
        """Readable for its owner alone: it has the salts and every word. Raises ProofNotKept."""
        path = self._folder / f"answer-{receipt.statement.receipt[:NAME_DIGITS]}.bundle.json"
        data = (await self._fresh(receipt)).data()
        try:
            await asyncio.to_thread(write_secret, path, data)
        except OSError as error:
            raise ProofNotKept(file=str(path), reason=error.strerror or "") from error
        return path


async def converse(
    assistant: Assistant, translate: Translate, wishes: Question, *, proofs: Proofs | None = None
) -> None:
    """Asks until the input ends, each question with the same ``wishes``. With piped input the whole input is one."""
    messages: list[Message] = []
    async for question in questions(translate):
        messages.append(Message("user", question))
        nonce = None if wishes.seed is not None else secrets.token_bytes(NONCE_BYTES)
        await assistant.check_nonce(nonce)
        turn = assistant.begin(replace(wishes, messages=tuple(messages), nonce=nonce))
        done = await show(turn, translate)
        if proofs is not None:
            note(translate("Proof: %(file)s") % {"file": await proofs.keep(done.receipt)})
        messages.append(Message("assistant", done.answer.text))


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


async def show(turn: Turn, translate: Translate) -> Done:
    """Prints the answer as it comes and returns it, whole. Ctrl+C stops the answer, not the program."""
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
                case Done(answer=answer) as done:
                    sys.stdout.write("\n")
                    sys.stdout.flush()
                    if sys.stdout.isatty():
                        speed = answer.completion_tokens / answer.total_s if answer.total_s else 0.0
                        note(f"{answer.completion_tokens} tokens · {speed:.0f} tokens/s · seed {answer.sampling.seed}")
                        note(translate("Receipt: %(receipt)s") % {"receipt": turn.receipt_id})
                    return done
                case Failed(error=error):
                    raise error
    raise InternalError  # a turn ends with one of the two


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
