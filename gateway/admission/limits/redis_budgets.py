"""Budgets that several gateways share, in Redis: one script a decision, by the server's clock.

Nothing fails because Redis does. While it is down, slow or decides nothing, decisions are made from
what this process has counted by itself, and no request waits: one task connects until Redis decides
again. A Redis that lost its memory is told how much this process knows to be used: a restart is no
refill.

    a question comes --> connecting --------------> asking --+ closed by the other side:
                          |     ^      decided       ^ |     | connect once more, in silence
    longer than an answer |     | after a gap        +-|-----+
    may take: in memory --+     |                      | an error reply, or none in time
                                +---- in memory <------+
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway import redis_client
from gateway.admission.limits.memory_budgets import Use
from gateway.admission.limits.redis_script import call
from gateway.admission.limits.redis_store import Closed, RedisStore, Unusable
from gateway.backoff import Backoff
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.admission.limits.memory_budgets import Budget, MemoryBudgets, Verdict
    from gateway.admission.limits.redis_script import ScriptCall
    from gateway.config import RedisConfig

_log = logging.getLogger(__name__)

MAX_QUESTIONS = 256
"""In one round trip."""
FIRST_GAP_SECONDS = 0.25
MAX_GAP_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""After deciding for so long a new failure counts as the first."""


@dataclass(frozen=True, slots=True)
class RedisStats:
    is_answering: bool
    failures: int
    """How often it has stopped deciding so far."""
    decisions: int
    """How many were made by it, and how many in its absence."""
    fallbacks: int


@dataclass(frozen=True, slots=True)
class _Question:
    call: ScriptCall
    answer: asyncio.Future[Verdict | None]

    def settle(self, verdict: Verdict | None) -> None:
        """Pass on what Redis said, None if nothing; the asker may have left."""
        if not self.answer.done():
            self.answer.set_result(verdict)


class RedisBudgets:
    """``memory`` keeps count of all that is taken here. ``clock`` gives monotonic seconds,
    ``chance`` numbers from 0 to 1. The gaps between attempts to connect grow from the first one.

    What is asked while an answer is awaited goes together in the next round trip.
    """

    def __init__(
        self,
        config: RedisConfig,
        memory: MemoryBudgets,
        clock: Callable[[], float],
        chance: Callable[[], float],
        *,
        first_gap_seconds: float = FIRST_GAP_SECONDS,
        max_gap_seconds: float = MAX_GAP_SECONDS,
    ) -> None:
        self._config = config
        self._memory = memory
        self._clock = clock
        self._chance = chance
        self._tasks = Tasks()
        self._questions: deque[_Question] = deque()
        self._is_asking = False
        self._store: RedisStore | None = None
        self._is_opening = False
        self._attempted = asyncio.Event()
        """An attempt to connect is over, however."""
        self._is_answering = True
        """Else nothing is asked: it has failed, or connecting takes longer than an answer may."""
        self._trouble = ""
        """What was logged of its failure; empty while it does not fail."""
        self._responses_since = clock()
        self._backoff = Backoff(first_gap_seconds, max_gap_seconds, STEADY_SECONDS)
        self._failures = self._decisions = self._fallbacks = 0

    async def use(self, budgets: Sequence[Budget], use: Use, now: int) -> Verdict:
        """Decide on one request, as ``MemoryBudgets.use``; ``now`` is this process's clock."""
        verdict = await self._asked(budgets, use, now) if self._is_answering else None
        if verdict is None:
            self._fallbacks += 1
            return self._memory.use(budgets, use, now)
        self._decisions += 1
        if verdict.refused is None and use.is_charged:
            self._memory.use(budgets, Use.OWE, now)
        return verdict

    def owe(self, budgets: Sequence[Budget], now: int) -> None:
        """Take a request of each, in the background."""
        self._tasks.spawn(self.use(budgets, Use.OWE, now), name="owe")

    def stats(self) -> RedisStats:
        return RedisStats(self._is_answering, self._failures, self._decisions, self._fallbacks)

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._drop()

    # --- asking

    async def _asked(self, budgets: Sequence[Budget], use: Use, now: int) -> Verdict | None:
        """Ask Redis; None where it says nothing."""
        known = [self._memory.level(budget, now) for budget in budgets]
        answer: asyncio.Future[Verdict | None] = asyncio.get_running_loop().create_future()
        self._questions.append(_Question(call(budgets, use, known), answer))
        if not self._is_asking:
            # Apart from the requests: one that is cancelled must not break into an exchange with
            # Redis that others wait for.
            self._is_asking = True
            self._tasks.spawn(self._ask(), name="ask Redis")
        return await answer

    async def _ask(self) -> None:
        """Ask until there are no more questions. When Redis fails all are left open."""
        asked: list[_Question] = []
        is_second_attempt = False
        try:
            while asked or self._questions:
                store = self._store or await self._opened()
                if store is None:
                    return
                if not asked:
                    count = min(len(self._questions), MAX_QUESTIONS)
                    asked = [self._questions.popleft() for _ in range(count)]
                try:
                    calls = [question.call for question in asked]
                    verdicts = await store.decide(calls, self._config.answer_seconds)
                except Unusable as failure:
                    await self._drop()
                    if not isinstance(failure, Closed) or is_second_attempt:
                        self._failed(str(failure))
                        return
                    is_second_attempt = True
                else:
                    for question, verdict in zip(asked, verdicts, strict=True):
                        question.settle(verdict)
                    asked, is_second_attempt = [], False
        finally:
            self._is_asking = False
            for question in (*asked, *self._questions):
                question.settle(None)
            self._questions.clear()

    # --- connecting

    async def _opened(self) -> RedisStore | None:
        """A new connection; None where it is not to be had, or not as soon as an answer must."""
        self._open_soon()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.answer_seconds):
                await self._attempted.wait()
        if self._store is None:
            self._is_answering = False
        return self._store

    def _open_soon(self) -> None:
        if not self._is_opening:
            self._is_opening = True
            self._attempted.clear()
            self._tasks.keep(self._open, name="connect to Redis")

    async def _open(self) -> None:
        """Connect, again and again with growing gaps after failures."""
        while True:
            if self._trouble:
                await asyncio.sleep(self._backoff.gap(self._chance()))
            store = RedisStore(redis_client.connection(self._config))
            try:
                await store.open(self._config.connect_seconds, self._config.answer_seconds)
                self._answers(store)
            except Unusable as failure:
                self._failed(str(failure))
            else:
                return
            finally:
                if self._store is not store:
                    await store.close()

    def _answers(self, store: RedisStore) -> None:
        self._store = store
        self._is_opening = False
        self._is_answering = True
        self._attempted.set()
        if self._trouble:
            self._trouble = ""
            self._responses_since = self._clock()
            _log.warning("Redis decides again: budgets are shared")

    def _failed(self, reason: str) -> None:
        self._is_answering = False
        self._attempted.set()
        if not self._trouble:
            self._failures += 1
            self._backoff.lasted(self._clock() - self._responses_since)
        if reason != self._trouble:
            self._trouble = reason
            _log.warning(
                "Redis does not decide (%s): each process keeps its own budgets until it does",
                reason,
            )
        self._open_soon()

    async def _drop(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            await store.close()
