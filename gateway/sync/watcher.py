"""Noticing that a job ended: one watch per job, however many wait for it.

A watch passes on only *that* something changed, never what: each waiter then reads for itself,
with its own token, so sharing cannot leak. It asks with one waiter's credentials after the other's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, TypeVar

from cachetools import TTLCache

from gateway.sync.schedule import gap
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping

    from gateway.config import SyncConfig
    from gateway.sync.orchestrator import Reading

T = TypeVar("T")


class Look(Enum):
    """What one look at a job says."""

    RUNNING = auto()
    CHANGED = auto()
    """It ended, or is gone: everybody should read it."""
    REFUSED = auto()
    """Not with these credentials: the client they belong to should read it."""
    FAILING = auto()
    """The upstream did not say."""


class Verdict(StrEnum):
    """How a wait ended."""

    ENDED = "ended"
    """Something changed: read the job again."""
    TIME_UP = "time_up"
    DRAINED = "drained"
    """This process is about to stop."""


@dataclass(frozen=True, slots=True)
class WatcherStats:
    watches: int
    waiters: int
    looks: int
    """Since the start, as are the verdicts."""
    verdicts: Mapping[Verdict, int]


@dataclass(eq=False, slots=True)
class _Waiter:
    reading: Reading
    verdict: asyncio.Future[Verdict]

    def wake(self, verdict: Verdict) -> None:
        if not self.verdict.done():
            self.verdict.set_result(verdict)


@dataclass(eq=False, slots=True)
class _Watch:
    born: float
    """When the job was first waited for, in the clock's seconds."""
    waiters: deque[_Waiter] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None
    nudged: asyncio.Event = field(default_factory=asyncio.Event)
    """It is to be looked at now."""

    def wake_all(self, verdict: Verdict) -> None:
        for waiter in self.waiters:
            waiter.wake(verdict)


EARLY_HINTS = 10_000
EARLY_HINT_SECONDS = 5.0


class Watcher:
    """Watches jobs by asking. ``chance`` gives numbers from 0 to 1, ``clock`` monotonic seconds."""

    def __init__(
        self,
        look: Callable[[Reading], Awaitable[Look]],
        clock: Callable[[], float],
        chance: Callable[[], float],
        config: SyncConfig,
    ) -> None:
        self._look = look
        self._clock = clock
        self._chance = chance
        self._config = config
        self._tasks = Tasks()
        self._watches: dict[Hashable, _Watch] = {}
        self._scopes: set[asyncio.Timeout] = set()
        self._draining = False
        self._looks = 0
        self._relies_on_hints = False
        self._early: TTLCache[str, None] = TTLCache(EARLY_HINTS, EARLY_HINT_SECONDS, timer=clock)
        self._verdicts: Counter[Verdict] = Counter()

    async def wait(
        self,
        reading: Reading,
        seconds: float,
        *,
        waited_seconds: float = 0.0,
        apart: bool = False,
    ) -> Verdict:
        """Wait until something changes, for at most ``seconds``.

        ``waited_seconds``: how long this client has waited for the job before.
        ``apart``: do not share a watch, for a client not known to be allowed to see the job.
        """
        verdict = await self._wait(reading, seconds, waited_seconds, apart=apart)
        self._verdicts[verdict] += 1
        return verdict

    async def _wait(
        self, reading: Reading, seconds: float, waited_seconds: float, *, apart: bool
    ) -> Verdict:
        if self._draining:
            return Verdict.DRAINED
        waiter = _Waiter(reading, asyncio.get_running_loop().create_future())
        key: Hashable = waiter if apart else reading.job_id.lower()
        watch = self._watches.get(key)
        born = self._clock() - waited_seconds
        if watch is None:
            watch = self._watches[key] = _Watch(born)
            watch.task = self._tasks.spawn(self._run(key, watch), name="watch")
            if reading.job_id.lower() in self._early:
                watch.nudged.set()
        watch.born = min(watch.born, born)
        watch.waiters.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                return await waiter.verdict
        except TimeoutError:
            return Verdict.TIME_UP
        finally:
            watch.waiters.remove(waiter)
            if not watch.waiters and watch.task is not None:
                self._forget(key, watch)
                watch.task.cancel()

    async def _run(self, key: Hashable, watch: _Watch) -> None:
        """Look again and again. The last waiter's leaving cancels this."""
        failures = 0
        try:
            while True:
                age = self._clock() - watch.born
                seconds = gap(age, failures, self._chance(), self._config)
                if self._relies_on_hints:
                    seconds = max(seconds, self._config.safety_net_seconds)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await watch.nudged.wait()
                watch.nudged.clear()
                asker = watch.waiters[0]
                watch.waiters.rotate(-1)
                self._looks += 1
                look = await self._look(asker.reading)
                failures = failures + 1 if look is Look.FAILING else 0
                if look is Look.REFUSED:
                    asker.wake(Verdict.ENDED)
                if look is Look.CHANGED:
                    return
        finally:
            # Also where a look raised: who waits reads for itself and sees.
            self._forget(key, watch)
            watch.wake_all(Verdict.ENDED)

    def _forget(self, key: Hashable, watch: _Watch) -> None:
        if self._watches.get(key) is watch:
            del self._watches[key]

    async def unless_drained(self, reading: Awaitable[T]) -> T | None:
        """What ``reading`` gives; None where this process is to stop before it is done."""
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scopes.add(scope)
                return await reading
        except TimeoutError:
            if not scope.expired():
                raise
            return None
        finally:
            self._scopes.discard(scope)

    def drain(self) -> None:
        """Release everybody who waits, now and from now on, and those who read now."""
        self._draining = True
        for scope in self._scopes:
            scope.reschedule(asyncio.get_running_loop().time())
        for watch in self._watches.values():
            watch.wake_all(Verdict.DRAINED)

    def hint(self, job_id: str) -> None:
        """Push says that this job may have ended: look at it now, or as soon as one waits."""
        watch = self._watches.get(job_id)
        if watch is None:
            self._early[job_id] = None
        else:
            watch.nudged.set()

    def look_at_all(self) -> None:
        """Look at every job once, soon."""
        for watch in self._watches.values():
            watch.nudged.set()

    def rely_on_hints(self, healthy: bool) -> None:
        """While ``healthy`` look seldom."""
        self._relies_on_hints = healthy
        if not healthy:
            self.look_at_all()

    def stats(self) -> WatcherStats:
        waiters = sum(len(watch.waiters) for watch in self._watches.values())
        return WatcherStats(len(self._watches), waiters, self._looks, dict(self._verdicts))

    async def aclose(self) -> None:
        self.drain()
        await self._tasks.aclose()
