"""Budgets that several gateways share, in Redis: one script a decision, by the server's clock.

Nothing fails because Redis does. While it is down or slow, decisions are made from what this
process has counted by itself, and no request waits: one task asks until Redis answers again. A
Redis that lost its memory is told how much this process knows to be used: a restart is no refill.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

from gateway.admission.budgets import Use, Verdict
from gateway.redis_client import connect
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.admission.budgets import Budget, MemoryBudgets
    from gateway.config import RedisConfig

_log = logging.getLogger(__name__)

PREFIX = "theeye-sync-gateway:budget:"
MAX_CONNECTIONS = 4
MAX_QUESTIONS = 256
"""In one round trip."""
FIRST_GAP_SECONDS = 0.25
MAX_GAP_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""After answering for so long a new failure counts as the first."""

# gcra.Rate and budgets.MemoryBudgets in Lua. ARGV: the time, else empty; checked; charged; then
# interval, capacity, most and the level known to the asker for each key. A key lives until its
# budget is full, and a minute more, as the server's clock may be set.
SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or (time[1] * 1000000 + time[2])
local checked, charged = ARGV[2] == '1', ARGV[3] == '1'
local levels = {}
for i, key in ipairs(KEYS) do
  local interval, capacity = tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 1])
  local most, known = tonumber(ARGV[4 * i + 2]), tonumber(ARGV[4 * i + 3])
  local full_at = tonumber(redis.call('GET', key)) or 0
  if full_at > now + most then
    -- The clock was set back.
    redis.call('SET', key, string.format('%.0f', now + most), 'PX', math.ceil(most / 1000) + 60000)
  end
  levels[i] = math.min(math.max(full_at - now, known), most)
  if checked and levels[i] + interval > capacity then
    return {i, levels[i]}
  end
end
if charged then
  for i, key in ipairs(KEYS) do
    levels[i] = math.min(levels[i] + tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 2]))
    local life = math.ceil(levels[i] / 1000) + 60000
    redis.call('SET', key, string.format('%.0f', now + levels[i]), 'PX', life)
  end
end
return {0, levels[1]}
"""


@dataclass(frozen=True, slots=True)
class RedisStats:
    is_answering: bool
    failures: int
    """How often it has stopped answering so far."""
    decisions: int
    """How many were made by it, and how many in its absence."""
    fallbacks: int


@dataclass(frozen=True, slots=True)
class _Question:
    budgets: Sequence[Budget]
    arguments: Sequence[int | str]
    answer: asyncio.Future[Verdict | None]

    def settle(self, verdict: Verdict | None) -> None:
        """Pass on what Redis said, None if nothing; the asker may have left."""
        if not self.answer.done():
            self.answer.set_result(verdict)

    def understood(self, reply: object) -> Verdict:
        """
        Raises:
            ValueError: it is not what the script returns.
        """
        match reply:
            case [int(at), int(level)] if 0 <= at <= len(self.budgets) and level >= 0:
                return Verdict(self.budgets[at - 1] if at else None, level)
        raise ValueError("no verdict")


class RedisBudgets:
    """``memory`` keeps count of all that is taken here. ``clock`` gives monotonic seconds,
    ``chance`` numbers from 0 to 1.

    What is asked while an answer is awaited goes together in the next round trip.
    """

    def __init__(
        self,
        config: RedisConfig,
        memory: MemoryBudgets,
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._chance = chance
        self._answer_seconds = config.answer_seconds
        self._client = connect(config, max_connections=MAX_CONNECTIONS)
        self._hash = self._client.register_script(SCRIPT).sha
        self._tasks = Tasks()
        self._questions: deque[_Question] = deque()
        self._is_asking = False
        self._is_answering = True
        self._is_closing = False
        self._answers_since = clock()
        self._gap = FIRST_GAP_SECONDS
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
        self._is_closing = True
        await self._tasks.aclose()
        await self._client.aclose()

    async def _asked(self, budgets: Sequence[Budget], use: Use, now: int) -> Verdict | None:
        """What Redis says; None where it says nothing."""
        known = [self._memory.level(budget, now) for budget in budgets]
        answer: asyncio.Future[Verdict | None] = asyncio.get_running_loop().create_future()
        self._questions.append(_Question(budgets, arguments(budgets, use, known), answer))
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
                async with asyncio.timeout(self._answer_seconds):
                    replies = await self._sent(asked)
                for question, reply in zip(asked, replies, strict=True):
                    question.settle(question.understood(reply))
        except Exception as failure:
            # Whatever makes the library fail: it is no Redis then, or is one no more.
            self._failed(failure)
        finally:
            self._is_asking = False
            for question in (*asked, *self._questions):
                question.settle(None)
            self._questions.clear()

    async def _sent(self, asked: Sequence[_Question]) -> list[Any]:
        """One round trip, and two more where Redis has forgotten the script."""
        pipeline = self._client.pipeline(transaction=False)
        for question in asked:
            keys = [key_of(budget) for budget in question.budgets]
            pipeline.evalsha(self._hash, len(keys), *keys, *question.arguments)
        try:
            return await pipeline.execute()
        except NoScriptError:
            await self._client.script_load(SCRIPT)
            return await self._sent(asked)

    def _failed(self, failure: Exception) -> None:
        if not self._is_answering:
            return
        self._is_answering = False
        self._failures += 1
        if self._clock() - self._answers_since > STEADY_SECONDS:
            self._gap = FIRST_GAP_SECONDS
        _log.warning(
            "Redis does not answer (%s): each process keeps its own budgets until it does",
            type(failure).__name__,
        )
        self._tasks.keep(self._until_answering, name="wait for Redis")

    async def _until_answering(self) -> None:
        """Ask again and again, with growing gaps."""
        while not self._is_answering and not self._is_closing:
            await asyncio.sleep(self._gap * (0.5 + self._chance()))
            self._gap = min(self._gap * 2, MAX_GAP_SECONDS)
            with contextlib.suppress(Exception):
                async with asyncio.timeout(self._answer_seconds):
                    await self._client.script_load(SCRIPT)
                self._is_answering = True
                self._answers_since = self._clock()
                _log.warning("Redis answers again: budgets are shared")


def key_of(budget: Budget) -> str:
    """The key of a budget in Redis."""
    return f"{PREFIX}{budget.kind.value}:{budget.key.hex()}"


def arguments(
    budgets: Sequence[Budget], use: Use, known: Sequence[int], now: int | None = None
) -> list[int | str]:
    """What the script is called with; ``known`` are the budgets' levels as this process knows them,
    ``now`` a time to take instead of the server's."""
    given: list[int | str] = ["" if now is None else now, int(use.is_checked), int(use.is_charged)]
    for budget, level in zip(budgets, known, strict=True):
        rate = budget.rate
        given += [rate.interval, rate.capacity, rate.most, level]
    return given
