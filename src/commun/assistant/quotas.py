"""What each person may use: tokens in a day, answers at once; an API key may have less than its owner.

Rules:

- a question is refused once the day's tokens are used up: when it is asked, and again when its turn comes after it has
  waited, so that a queue that was filled beforehand is not answered. One that has begun is answered whole: nobody's
  answer breaks off at a number, and so a day can end above it by what was running;
- the numbers of an account are its own where an administrator has set them, else everybody's; a key's are besides;
- a class has one number for all its guests, and nobody counts what a single one of them used. Each of their questions
  counts LEAST_OF_A_GUEST at least, one that was stopped in the queue, too: it leaves a receipt and an entry in the
  ledger, and whoever has a code could ask without end;
- nobody's questions (the terminal, on the machine itself) are neither counted nor bounded.
"""

import math
from typing import Final

from commun.assistant.admission import NOBODY, Share
from commun.errors import N_, DailyTokensUsed
from commun.store.usage import Allowance, Usage

NO_BOUND: Final = 0
HOUR_S: Final = 3600
LEAST_OF_A_GUEST: Final = 50  # tokens that a question counts for a class, whatever its end


class ClassTokensUsed(DailyTokensUsed):
    """``details``: as those of DailyTokensUsed."""

    code = "class_tokens_used"
    problem = N_("The %(limit)s tokens that your class may use in a day are used up.")


class Quotas:
    """``daily_tokens``: everybody's; 0: no bound."""

    def __init__(self, usage: Usage, *, daily_tokens: int = NO_BOUND) -> None:
        self._usage = usage
        self._daily_tokens = daily_tokens

    async def share_of(self, account: str, key: str = "") -> Share:
        """Before each question. Raises DailyTokensUsed."""
        if not account:
            return NOBODY
        own, of_key = await self._usage.allowances(account, key)
        if own.daily_tokens is None and self._daily_tokens != NO_BOUND:
            own = Allowance(self._daily_tokens, own.at_once, own.used)
        bounds = []
        for name, allowance in ((account, own), (key, of_key)):
            if allowance is None:
                continue
            self._check(allowance, DailyTokensUsed)
            if allowance.at_once is not None:
                bounds.append((name, allowance.at_once))
        return Share(account, tuple(bounds), key)

    async def share_of_guest(self, guest: str, class_id: str) -> Share:
        """Before each question. Raises ClassTokensUsed."""
        self._check(await self._usage.allowance_of_class(class_id), ClassTokensUsed)
        return Share(guest, class_id=class_id)

    async def check_again(self, share: Share) -> None:
        """When the turn of a question has come that waited: what was counted meanwhile, to the last answer. Raises
        DailyTokensUsed, ClassTokensUsed.
        """
        await self._usage.settle()
        if share.class_id:
            await self.share_of_guest(share.owner, share.class_id)
        else:
            await self.share_of(share.owner, share.key)

    def count(self, share: Share, *, read: int, written: int) -> None:
        """Once for each question that began, whatever its end."""
        if share.class_id:
            self._usage.add_to_class(share.class_id, max(LEAST_OF_A_GUEST, read + written))
        elif share.owner and (read or written):
            self._usage.add(share.owner, share.key, read=read, written=written)

    def _check(self, allowance: Allowance, refusal: type[DailyTokensUsed]) -> None:
        if allowance.daily_tokens is not None and allowance.used >= allowance.daily_tokens:
            seconds = math.ceil(self._usage.seconds_left)
            raise refusal(retry_after=seconds, limit=allowance.daily_tokens, hours=math.ceil(seconds / HOUR_S))
