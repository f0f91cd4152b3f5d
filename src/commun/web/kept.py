"""Views that cost work, each made once: what an amendment or an edition changes, word by word.

- a view is kept by what it depends on, which its key names whole: the digest of a document's text, and a language. So
  no reading of the desk, no signature and no other visitor makes it again;
- one is made at a time, in a thread: the event loop answers others meanwhile, and whoever asks for a view that is being
  made waits for that one. It is finished even where its asker has gone;
- the least recently used go first. How much one of them may be is bounded where it is made (``charter/comparison.py``).

Owned by the event loop.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar, cast

from starlette.requests import Request

from commun.drafting.desk import MAX_DOCUMENTS
from commun.web.i18n import LANGUAGES

MOST_KEPT: Final = 2 * MAX_DOCUMENTS * len(LANGUAGES)  # a full desk, and as many editions

T = TypeVar("T")


class KeptViews:
    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._made: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = asyncio.Lock()

    async def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Raises what ``make`` raises; then nothing is kept."""
        if key in self._made:
            self._made.move_to_end(key)
            return cast("T", self._made[key])
        return cast("T", await asyncio.shield(asyncio.ensure_future(self._make(key, make))))

    async def _make(self, key: Hashable, make: Callable[[], Any]) -> Any:
        async with self._lock:
            if key not in self._made:
                self._made[key] = await asyncio.to_thread(make)
            made = self._made[key]
            self._made.move_to_end(key)
            while len(self._made) > self._most:
                self._made.popitem(last=False)
        return made


def kept_views(request: Request) -> KeptViews:
    """The server's one KeptViews, made at its first use."""
    made = getattr(request.app.state, "kept_views", None)
    if made is None:
        made = request.app.state.kept_views = KeptViews()
    return cast("KeptViews", made)
