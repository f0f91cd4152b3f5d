"""What keeps the server from starting is told, wherever in the start it happens."""

import errno
from pathlib import Path

import anyio
import pytest

from commun.app import create_app
from commun.config import Settings
from commun.errors import CommunError, DataFolderUnusable, InternalError
from commun.store.conversations import Conversations
from fake_engine import FakeEngine
from founded import found_for_tests


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DataFolderUnusable),
        (RuntimeError("unforeseen"), InternalError),
    ],
    ids=["a full disk", "what nobody foresaw"],
)
def test_what_fails_after_the_ledger_is_open_is_told(
    failure: Exception, said: type[CommunError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(_self: Conversations) -> int:
        raise failure

    async def start() -> None:
        async with app.router.lifespan_context(app):
            raise AssertionError("it started")

    found_for_tests(tmp_path)
    app = create_app(Settings(home=tmp_path), engine=FakeEngine())
    monkeypatch.setattr(Conversations, "recover", refused)
    with pytest.raises(type(failure)):
        anyio.run(start)
    assert type(app.state.startup_error) is said
    monkeypatch.undo()
    again = create_app(Settings(home=tmp_path), engine=FakeEngine())

    async def start_again() -> None:
        async with again.router.lifespan_context(again):
            pass

    anyio.run(start_again)  # the folder was let go
