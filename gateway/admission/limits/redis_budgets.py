"""Budgets that several gateways share, in Redis: one script a decision, by the server's clock.

Nothing fails because Redis does. While it is down, slow or decides nothing, decisions are made from
what this process has counted by itself, or with the other workers of its gateway, and no request
waits (``RedisLink``). A Redis that lost its memory is told how much this process knows to be used:
a restart is no refill.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gateway.admission.limits.memory_budgets import Use
from gateway.admission.limits.redis_script import call
from gateway.admission.limits.redis_store import RedisStore
from gateway.redis.link import FIRST_GAP_SECONDS, MAX_GAP_SECONDS, RedisLink, Unanswered
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.admission.limits.memory_budgets import Budget, Verdict
    from gateway.admission.limits.redis_script import ScriptCall
    from gateway.config import RedisConfig

MAX_QUESTIONS = 256
"""In one round trip."""


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


class BudgetsAtHand(Protocol):
    """Budgets that can be used without waiting."""

    def use(self, budgets: Sequence[Budget], use: Use, now: int) -> Verdict:
        """Decide on one request."""
        raise NotImplementedError

    def level(self, budget: Budget, now: int) -> int:
        """The used part of a budget, in microseconds."""
        raise NotImplementedError


class RedisBudgets:
    """``memory`` keeps count of all that is taken here. ``clock`` gives monotonic seconds,
    ``chance`` numbers from 0 to 1. The gaps between attempts to connect grow from the first one.

    What is asked while an answer is awaited goes together in the next round trip.
    """

    def __init__(
        self,
        config: RedisConfig,
        memory: BudgetsAtHand,
        clock: Callable[[], float],
        chance: Callable[[], float],
        *,
        first_gap_seconds: float = FIRST_GAP_SECONDS,
        max_gap_seconds: float = MAX_GAP_SECONDS,
    ) -> None:
        self._memory = memory
        self._patience_seconds = config.answer_seconds
        self._link = RedisLink(
            RedisStore,
            config,
            clock,
            chance,
            fails="Redis does not decide (%s): budgets are this gateway's own until it does",
            works="Redis decides again: budgets are shared",
            first_gap_seconds=first_gap_seconds,
            max_gap_seconds=max_gap_seconds,
        )
        self._tasks = Tasks()
        self._questions: deque[_Question] = deque()
        self._is_asking = False
        self._decisions = self._fallbacks = 0

    async def use(self, budgets: Sequence[Budget], use: Use, now: int) -> Verdict:
        """Decide on one request, as ``MemoryBudgets.use``; ``now`` is this process's clock."""
        verdict = await self._asked(budgets, use, now) if self._link.is_answering else None
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
        link = self._link
        return RedisStats(link.is_answering, link.failures, self._decisions, self._fallbacks)

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._link.aclose()

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
        try:
            while self._questions:
                count = min(len(self._questions), MAX_QUESTIONS)
                asked = [self._questions.popleft() for _ in range(count)]
                calls = [question.call for question in asked]
                deciding = partial(RedisStore.decide, calls=calls)
                verdicts = await self._link.use(deciding, self._patience_seconds)
                for question, verdict in zip(asked, verdicts, strict=True):
                    question.settle(verdict)
                asked = []
        except Unanswered:
            return
        finally:
            self._is_asking = False
            for question in (*asked, *self._questions):
                question.settle(None)
            self._questions.clear()
