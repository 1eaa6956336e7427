"""Tokens that are not known yet, each while a first request with it is under way.

The response to that one tells whether somebody is logged in with the token, and only that one is
counted for its address; the token's others wait for what it tells. So a good token has its own
budget however many requests come with it at once, and made-up ones reach the upstream no more often
than their address may.
"""

from __future__ import annotations

import asyncio
import contextlib

MOST_WAITING = 1000
"""For one trial; whoever comes then is counted for the address, too."""


class Trial:
    """A request that stands for its token, which nobody knows yet."""

    __slots__ = ("_over", "_token_hash", "_trials", "_waiting", "_was_admitted")

    def __init__(self, trials: Trials, token_hash: bytes) -> None:
        self._trials = trials
        self._token_hash = token_hash
        self._over = asyncio.Event()
        self._waiting = 0
        self._was_admitted = True

    @property
    def may_be_awaited(self) -> bool:
        return self._waiting < self._trials.most_waiting

    def end(self, *, was_admitted: bool = True) -> None:
        """It has told what it could: nothing where its address was over its limit."""
        self._was_admitted = was_admitted and self._was_admitted
        self._trials.forget(self._token_hash, self)
        self._over.set()

    async def ended(self, waited_seconds: float) -> bool:
        """Wait for the end, after others that were waited for; whether another trial may tell
        more."""
        self._waiting += 1
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._trials.seconds - waited_seconds):
                    await self._over.wait()
        finally:
            self._waiting -= 1
        return self._over.is_set() and self._was_admitted


class Trials:
    """One for each token at most, each of a request that is under way. A request waits ``seconds``
    in all for what others tell of its token, and ``most_waiting`` requests do for one trial."""

    def __init__(self, seconds: float, most_waiting: int = MOST_WAITING) -> None:
        self.seconds = seconds
        self.most_waiting = most_waiting
        self._under_way: dict[bytes, Trial] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def of(self, token_hash: bytes) -> Trial | None:
        return self._under_way.get(token_hash)

    def begin(self, token_hash: bytes) -> Trial:
        """A new one, which must be ended."""
        trial = self._under_way[token_hash] = Trial(self, token_hash)
        return trial

    def told(self, token_hash: bytes) -> None:
        """A response to a request with the token has come."""
        trial = self._under_way.get(token_hash)
        if trial is not None:
            trial.end()

    def forget(self, token_hash: bytes, trial: Trial) -> None:
        if self._under_way.get(token_hash) is trial:
            del self._under_way[token_hash]
