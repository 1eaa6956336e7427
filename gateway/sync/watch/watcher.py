"""Noticing that a job ended: one watch per job, however many wait for it.

A watch passes on only *that* something changed, never what: each waiter then reads for itself,
with its own token, so sharing cannot leak. Jobs are looked at by ``polling``; who is told of an
end from elsewhere can give a hint.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cachetools import TTLCache

from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.watch.pacer import Pacer
from gateway.sync.watch.run_times import History
from gateway.sync.watch.scheduler import Polling
from gateway.sync.watch.state import LastSeen, Waiter, WaitVerdict, Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gateway.config import SyncConfig
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.watch.poll_requests import Poller
    from gateway.sync.watch.run_times import TaskKey

T = TypeVar("T")

MAX_HINTS = 10_000
HINT_SECONDS = 5.0
"""How long a hint is remembered: a job can end before its client follows the redirect."""
_HINT_SPACING_SECONDS = 1.0
TRUST_SECONDS = 60.0
"""How long credentials that were good are taken to be."""
MAX_WAKES_PER_SECOND = 1000.0
"""Each who is woken reads the job. More at once would only queue up in the upstream."""
_WAKES_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class WatcherStats:
    watches: int
    waiters: int
    polls: int
    """Requests since the start, as are the verdicts."""
    verdicts: Mapping[WaitVerdict, int]


class Watcher:
    """Watches jobs by asking. ``chance`` gives numbers from 0 to 1, ``clock`` monotonic seconds."""

    def __init__(
        self,
        upstream: Poller,
        clock: Callable[[], float],
        chance: Callable[[], float],
        config: SyncConfig,
    ) -> None:
        self._clock = clock
        self._polling = Polling(upstream, self._told, clock, chance, config)
        self._history = History(clock)
        self._shared: dict[str, Watch] = {}
        self._private: set[Watch] = set()
        self._hints: TTLCache[str, float] = TTLCache(MAX_HINTS, HINT_SECONDS, clock)
        self._wakes = Pacer(MAX_WAKES_PER_SECOND, _WAKES_AT_ONCE)
        self._scopes: set[asyncio.Timeout] = set()
        self._draining = False
        self._blind_until = float("-inf")
        self._verdicts: Counter[WaitVerdict] = Counter()

    async def wait(
        self,
        access: JobAccess,
        seconds: float,
        *,
        waited_seconds: float = 0.0,
        private: bool = False,
        last_seen: LastSeen | None = None,
        false_alarms: int = 0,
    ) -> WaitVerdict:
        """Wait until something changes, for at most ``seconds``.

        ``waited_seconds``: how long this client has waited for the job before.
        ``private``: do not share a watch, for a client not known to be allowed to see the job.
        ``last_seen``: when the client was shown the job; it is kept up to date. A hint that was
        given since then ends the wait at once.
        ``false_alarms``: how many waits in a row ended and the client could read no change. The
        job is looked at soon, later after each.
        """
        now = self._clock()
        job_id = access.job_id.lower()
        if self._draining:
            verdict = WaitVerdict.DRAINED
        elif not false_alarms and last_seen is not None and self._is_hinted(job_id, last_seen):
            verdict = WaitVerdict.ENDED
        else:
            born = now - waited_seconds
            watch = self._watch(job_id, born, last_seen, private=private)
            verdict = await self._joined(watch, access, seconds, last_seen, false_alarms)
        self._verdicts[verdict] += 1
        return verdict

    def hint(self, job_id: str) -> None:
        """The job may have ended. Its waiters read it at once: that is what a look would cost.

        Further hints at the same job within a second only lead to a look.
        """
        job_id = job_id.lower()
        now = self._clock()
        watch = self._shared.get(job_id)
        if self._hints.get(job_id, -HINT_SECONDS) > now - _HINT_SPACING_SECONDS:
            if watch is not None:
                self._polling.hasten([watch])
            return
        self._hints[job_id] = now
        if watch is not None:
            self._end(watch)

    def poll_all(self) -> None:
        """Look at every watched job once, as soon as the budget allows: ends may have been missed
        until now. So are those whose clients are between two requests, when they are back."""
        self._blind_until = self._clock()
        self._polling.hasten([*self._shared.values(), *self._private])

    def rely_on_hints(self, healthy: bool) -> None:
        """Whether ends are told by hints, so that looks are only a safety net."""
        self._polling.relax(relaxed=healthy)

    def may_resume(self, last_seen: LastSeen) -> bool:
        """Whether a client may wait on without reading the job again: its credentials were good a
        while ago."""
        return last_seen.shown_at > self._clock() - TRUST_SECONDS

    def learn(self, task: TaskKey, job_id: str, seconds: float) -> None:
        """A job that was waited for has ended; it ran for ``seconds``."""
        self._history.learn(task, job_id, seconds)

    def _watch(
        self, job_id: str, born: float, last_seen: LastSeen | None, *, private: bool
    ) -> Watch:
        watch = None if private else self._shared.get(job_id)
        if watch is None:
            usual = self._history.usual(last_seen.task) if last_seen else None
            watch = Watch(job_id, born, usual, is_private=private)
            if private:
                self._private.add(watch)
            else:
                self._shared[job_id] = watch
        watch.born = min(watch.born, born)
        return watch

    async def _joined(
        self,
        watch: Watch,
        access: JobAccess,
        seconds: float,
        last_seen: LastSeen | None,
        false_alarms: int,
    ) -> WaitVerdict:
        loop = asyncio.get_running_loop()
        waiter = Waiter(access, access.batch_key, last_seen, loop.create_future(), watch)
        watch.waiters[waiter] = None
        timer = loop.call_later(seconds, waiter.wake, WaitVerdict.TIME_UP)
        try:
            if watch.group is None:
                self._begin(watch, last_seen, false_alarms)
            return await waiter.verdict
        finally:
            timer.cancel()
            self._leave(waiter)

    def _begin(self, watch: Watch, last_seen: LastSeen | None, false_alarms: int) -> None:
        if last_seen is None or false_alarms:
            watch.failures = false_alarms
            self._polling.add(watch)
            return
        watch.failures = last_seen.failures
        self._polling.add(watch, last_seen.looked_at)
        if last_seen.watched_until <= self._blind_until:
            self._polling.hasten([watch])

    def _is_hinted(self, job_id: str, last_seen: LastSeen) -> bool:
        return self._hints.get(job_id, 0.0) > last_seen.shown_at

    def _leave(self, waiter: Waiter) -> None:
        watch, last_seen = waiter.watch, waiter.last_seen
        if last_seen is not None:
            last_seen.looked_at = watch.planned_at
            last_seen.failures = watch.failures
            last_seen.watched_until = self._clock()
            last_seen.unended_at = max(last_seen.unended_at, watch.unended_at)
        del watch.waiters[waiter]
        if watch.group is None and waiter.has_time_up and not watch.is_private:
            # It has ended, but this one's turn to be woken had not come.
            self._hints[watch.job_id] = self._clock()
        if watch.waiters:
            self._polling.regroup(watch)
        else:
            # A client whose time is up comes again at once; what a look says meanwhile is for it.
            self._forget(watch, awaits_response=waiter.has_time_up)

    def _forget(self, watch: Watch, *, awaits_response: bool = False) -> None:
        self._polling.remove(watch, awaits_response=awaits_response)
        self._private.discard(watch)
        if self._shared.get(watch.job_id) is watch:
            del self._shared[watch.job_id]

    def _told(self, watch: Watch, access: JobAccess, look: PollOutcome, began: float) -> None:
        match look:
            case PollOutcome.CHANGED if watch.is_private:
                self._end(watch)
            case PollOutcome.CHANGED:
                # Remembered for those whose time is just up: they come again.
                self._hints[watch.job_id] = self._clock()
                self._end(self._shared.get(watch.job_id, watch))
            case PollOutcome.REFUSED:
                for waiter in _asked_with(access, watch):
                    waiter.wake(WaitVerdict.ENDED)
            case PollOutcome.RUNNING:
                for waiter in _asked_with(access, watch):
                    if waiter.last_seen is not None:
                        waiter.last_seen.shown_at = began
                if not watch.is_private:
                    return
                if self._hints.get(watch.job_id, 0.0) > began:
                    self._end(watch)
                else:
                    self._share(watch)

    def _end(self, watch: Watch) -> None:
        """Everybody should read it, in turn where they are many."""
        self._forget(watch)
        now = self._clock()
        for waiter in watch.waiters:
            delay = self._wakes.take(now)
            if delay > 0:
                asyncio.get_running_loop().call_later(delay, waiter.wake, WaitVerdict.ENDED)
            else:
                waiter.wake(WaitVerdict.ENDED)

    def _share(self, watch: Watch) -> None:
        """Its waiter has been shown the job now, with its own credentials."""
        self._private.discard(watch)
        watch.is_private = False
        shared = self._shared.setdefault(watch.job_id, watch)
        if shared is not watch:
            self._polling.remove(watch)
            shared.born = min(shared.born, watch.born)
            shared.unended_at = max(shared.unended_at, watch.unended_at)
            for waiter in watch.waiters:
                waiter.watch = shared
            shared.waiters |= watch.waiters

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
        for watch in (*self._shared.values(), *self._private):
            for waiter in watch.waiters:
                waiter.wake(WaitVerdict.DRAINED)

    def stats(self) -> WatcherStats:
        watches = [*self._shared.values(), *self._private]
        waiters = sum(len(watch.waiters) for watch in watches)
        return WatcherStats(len(watches), waiters, self._polling.requests, dict(self._verdicts))

    async def aclose(self) -> None:
        self.drain()
        await self._polling.aclose()


def _asked_with(access: JobAccess, watch: Watch) -> list[Waiter]:
    """The waiters whose credentials a look was made with."""
    return [waiter for waiter in watch.waiters if waiter.group == access.batch_key]
