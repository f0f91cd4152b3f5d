"""``store: true``: the finished turn is kept, sealed, in the account that the API key belongs to."""

from typing import TYPE_CHECKING, Any

from commun.api.requests import ChatRequest
from commun.errors import InvalidParameter, Refused
from commun.receipts.issue import Receipt
from commun.store.accounts import Caller
from commun.store.tree import MessageState, new_id

if TYPE_CHECKING:
    from commun.services import Services

TITLE_LENGTH = 60  # characters


class NoAccountKey(Refused):
    """``store`` was asked for, and there is nobody yet to whom the answer could be sealed."""

    code = "no_account_key"
    problem = "The key's owner has no vault yet, so nothing can be stored for them."
    cure = "Open the link that “commun serve” prints once, or leave “store” out."


class KeptForCaller:
    """What a turn gives its answer to (``turn.Record``): one transaction at the end, nothing before. ``token``: the API
    key's own text, under which the same key can have the whole receipt later.
    """

    def __init__(self, services: "Services", caller: Caller, token: str, asked: ChatRequest) -> None:
        self._services = services
        self._caller = caller
        self._token = token
        self._asked = asked
        self.answer_id = new_id()  # the turn's, too: a receipt's id follows from it

    async def checkpoint(self, content: dict[str, Any]) -> None:
        """A program that loses the connection asks again: unfinished answers are not kept."""

    async def keep(self, content: dict[str, Any], state: MessageState, receipt: Receipt | None) -> None:
        """The commit point. An answer that ended before its first word leaves nothing but its receipt."""
        if state is not MessageState.COMPLETE and not content["text"]:
            if receipt is not None:
                await self._services.receipts.keep(receipt)
            return
        asked = [{"role": message.role, "text": message.text()} for message in self._asked.messages]
        if self._asked.metadata:
            content = content | {"metadata": self._asked.metadata}
        await self._services.conversations.record_turn(
            self._caller,
            title=title_of(asked),
            question=asked,
            answer=content,
            state=state,
            receipt=receipt,
            answer_id=self.answer_id,
            token=self._token,
        )


def title_of(asked: list[dict[str, str]]) -> str:
    """The beginning of the last question, on one line."""
    words = " ".join(next((each["text"] for each in reversed(asked) if each["role"] == "user"), "").split())
    return words if len(words) <= TITLE_LENGTH else words[: TITLE_LENGTH - 1].rstrip() + "…"


def record_for(services: "Services", caller: Caller, token: str, asked: ChatRequest) -> KeptForCaller | None:
    """Where the answer is kept, if it is to be. Raises NoAccountKey; InvalidParameter for metadata without store."""
    if not asked.store:
        if asked.metadata:
            raise InvalidParameter(parameter="metadata", reason="it is only for store: true")
        return None
    if caller.public_key is None:
        raise NoAccountKey
    return KeptForCaller(services, caller, token, asked)
