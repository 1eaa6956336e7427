"""Notices that a job ended, for all the clients that wait for it.

TheEye 4.4.3 cannot wait (recording wait_ignored), and its message about an end has no result and
may be late or lost (recording redis_messages). So jobs are polled, and a message is a hint that
merely makes clients read earlier. There is one watch for a job, however many wait: a poll costs the
same for one client and for a thousand. What is passed on is only *that* something changed, never
what: each client then reads with its own token, so sharing a poll cannot leak.

    wait() ──► Watcher ── add, remove, hasten ──► Scheduler ──► PollRequests ──► upstream
                 │                                    │ outcomes
    hint() ──►   └─── add, hint, end ──► Registry ◄───┘
                                            │
    verdict ◄───────────── wakes ───────────┘

A client waits in requests one after the other. What it was shown, and when, is its ``LastSeen``, so
that the next request goes on where the last one ended. Where no other comes soon the job is
followed, which is a wait without a client (``sync.following``).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from gateway.sync.looks.run_times import History, retry_seconds
from gateway.sync.watch.registry import Registry
from gateway.sync.watch.scheduler import Scheduler
from gateway.sync.watch.state import LastSeen, OpenWait, Share, Waiter, WaitVerdict, Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gateway.config import SyncConfig
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.looks.run_times import TaskKey, TaskRuns
    from gateway.sync.watch.poll_requests import Look, Poller
    from gateway.sync.watch.state import HeldRequest

T = TypeVar("T")

TRUST_SECONDS = 60.0
"""Time for which credentials that were good are taken to be so."""


@dataclass(frozen=True, slots=True)
class WatcherStats:
    watches: int
    waiters: int
    polls: int
    """Requests since the start, as are the verdicts."""
    verdicts: Mapping[WaitVerdict, int]
    looks: Mapping[Look, int] = field(default_factory=dict)
    """The requests by kind."""
    strangers: int = 0
    """Jobs returned by looks at ranges that nobody waits for."""


class Watcher:
    """``chance`` gives numbers from 0 to 1, ``clock`` monotonic seconds."""

    def __init__(
        self,
        poller: Poller,
        clock: Callable[[], float],
        chance: Callable[[], float],
        config: SyncConfig,
    ) -> None:
        self._clock = clock
        self._registry = Registry(clock)
        self._scheduler = Scheduler(poller, self._registry, clock, chance, config)
        self._history = History(clock)
        self._waiting: dict[Waiter, None] = {}
        """Clients that wait, each once."""
        self._scopes: set[asyncio.Timeout] = set()
        self._draining = False
        self._blind_until = float("-inf")
        self._verdicts: Counter[WaitVerdict] = Counter()

    def reconfigure(self, config: SyncConfig) -> None:
        """Look at jobs by other settings; those who wait do so on."""
        self._scheduler.reconfigure(config)

    async def wait(
        self,
        access: JobAccess,
        seconds: float,
        *,
        waited_seconds: float = 0.0,
        private: bool = False,
        last_seen: LastSeen | None = None,
        false_alarms: int = 0,
        for_client: bool = True,
        share: Share = Share.ALL,
        request: HeldRequest | None = None,
    ) -> WaitVerdict:
        """Wait until something changes, for at most ``seconds``.

        ``waited_seconds``: how long this client has waited for the job before.
        ``private``: do not share a watch, for a client not known to be allowed to see the job.
        ``last_seen``: when the client was shown the job; it is kept up to date. A hint that was
        given since then ends the wait at once.
        ``false_alarms``: how many waits in a row ended and the client could read no change. The
        job is polled soon, later after each.
        ``for_client``: a request waits; else the job is followed, and does not count.
        ``share``: so that a wait for several jobs counts once.
        ``request``: what operators are told of who waits.
        """
        now = self._clock()
        job_id = access.job_id.lower()
        if self._draining:
            verdict = WaitVerdict.DRAINED
        elif (
            not false_alarms
            and last_seen is not None
            and self._registry.is_hinted(job_id, last_seen.shown_at)
        ):
            verdict = WaitVerdict.ENDED
        else:
            watch = self._watch(job_id, now - waited_seconds, last_seen, private=private)
            waiter = Waiter(
                access,
                last_seen,
                asyncio.get_running_loop().create_future(),
                watch,
                is_left=not for_client,
                share=share,
                request=request,
                began=now,
                since=now - waited_seconds,
            )
            verdict = await self._joined(waiter, seconds, false_alarms)
        if for_client and share is Share.ALL:
            self.count(verdict)
        return verdict

    def count(self, verdict: WaitVerdict) -> None:
        """Count the verdict of a wait for several jobs."""
        self._verdicts[verdict] += 1

    def hint(self, job_id: str) -> None:
        """Let the waiters of a job that may have ended read it at once: a poll would cost as much.

        Further hints at the same job within a second only lead to a poll.
        """
        job_id = job_id.lower()
        is_new = self._registry.hint(job_id)
        watch = self._registry.shared(job_id)
        if watch is None:
            return
        if is_new:
            self._scheduler.remove(self._registry.end(watch))
        else:
            self._scheduler.hasten([watch])

    def poll_all(self) -> None:
        """Poll every watched job once, as soon as the budget allows: ends may have been missed
        until now. So are those whose clients are between two requests, when they are back."""
        self._blind_until = self._clock()
        self._scheduler.hasten([*self._registry])

    def rely_on_hints(self, healthy: bool) -> None:
        """Let polls be only a safety net where ends are told by hints, or else the rule again."""
        self._scheduler.relax(relaxed=healthy)

    def may_resume(self, last_seen: LastSeen) -> bool:
        """True where a client may wait on without another read: its credentials were good within
        ``TRUST_SECONDS``."""
        return last_seen.shown_at > self._clock() - TRUST_SECONDS

    def retry_seconds(self, task: TaskKey | None, age_seconds: float) -> int:
        """The seconds after which to ask again for a job of that age."""
        return retry_seconds(age_seconds, self._history.usual(task))

    def learn(self, task: TaskKey, job_id: str, seconds: float) -> None:
        """Learn from a job that was waited for and has ended; it ran for ``seconds``."""
        self._history.learn(task, job_id, seconds)

    def _watch(
        self, job_id: str, born: float, last_seen: LastSeen | None, *, private: bool
    ) -> Watch:
        watch = None if private else self._registry.shared(job_id)
        if watch is None:
            usual = self._history.usual(last_seen.task) if last_seen else None
            watch = Watch(job_id, born, usual, is_private=private)
            self._registry.add(watch)
        watch.born = min(watch.born, born)
        return watch

    async def _joined(self, waiter: Waiter, seconds: float, false_alarms: int) -> WaitVerdict:
        watch = waiter.watch
        watch.waiters[waiter] = None
        if waiter.counts:
            self._waiting[waiter] = None
        loop = asyncio.get_running_loop()
        timer = loop.call_later(seconds, waiter.wake, WaitVerdict.TIME_UP)
        try:
            if watch not in self._scheduler:
                self._begin(watch, waiter.last_seen, false_alarms)
            return await waiter.verdict
        finally:
            timer.cancel()
            self._leave(waiter)

    def _begin(self, watch: Watch, last_seen: LastSeen | None, false_alarms: int) -> None:
        if last_seen is None or false_alarms:
            self._scheduler.add(watch, failures=false_alarms)
            return
        self._scheduler.add(watch, last_seen.polled_at, last_seen.failures)
        if last_seen.watched_until <= self._blind_until:
            self._scheduler.hasten([watch])

    def _leave(self, waiter: Waiter) -> None:
        watch, last_seen = waiter.watch, waiter.last_seen
        if last_seen is not None:
            self._scheduler.note(waiter)
            last_seen.watched_until = self._clock()
            last_seen.unended_at = max(last_seen.unended_at, watch.unended_at)
        del watch.waiters[waiter]
        self._waiting.pop(waiter, None)
        if watch not in self._scheduler and waiter.has_time_up and not watch.is_private:
            # It has ended, but this waiter was not to be woken yet.
            self._registry.remember_end(watch)
        if watch.waiters:
            self._scheduler.rebatch(watch)
        else:
            # A client whose time is up comes again at once; what a poll says meanwhile is for it.
            self._registry.discard(watch)
            self._scheduler.remove(watch, awaits_response=waiter.has_time_up)

    async def unless_drained(self, reading: Awaitable[T]) -> T | None:
        """Await ``reading``; None where this process is to stop before it is done."""
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
        for watch in self._registry:
            for waiter in watch.waiters:
                waiter.wake(WaitVerdict.DRAINED)

    def stats(self) -> WatcherStats:
        requests = self._scheduler.requests
        polls = sum(requests.sent.values())
        verdicts, looks = dict(self._verdicts), dict(requests.sent)
        watches, waiters = len(self._registry), len(self._waiting)
        return WatcherStats(watches, waiters, polls, verdicts, looks, requests.strangers)

    def waits(self, most: int) -> list[OpenWait]:
        """Who waits: ``most`` at most, half of these since the longest and half since the shortest
        time, in this order."""
        waiters = sorted(self._waiting, key=attrgetter("since"))
        if len(waiters) > most:
            waiters[most // 2 : len(waiters) - (most - most // 2)] = []
        return [self._open(waiter) for waiter in waiters]

    def runs(self, most: int) -> list[TaskRuns]:
        """What is known of tasks' run times: those that ended last, at most so many."""
        return self._history.last(most)

    def _open(self, waiter: Waiter) -> OpenWait:
        last_seen = waiter.last_seen
        return OpenWait(
            waiter.access.job_id,
            None if last_seen is None else last_seen.task,
            waiter.request,
            waiter.since,
            waiter.began,
            self._scheduler.look_of(waiter.watch),
        )

    async def aclose(self) -> None:
        self.drain()
        await self._scheduler.aclose()
