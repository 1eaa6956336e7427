"""Looking at the jobs that are waited for, by asking the upstream as seldom as will do.

When one watch of a group is due, those that are nearly due join it in one list request. All groups
share a budget of requests a second: when it is used up, requests go in the order in which looks
fell due and take along what fell due meanwhile, so all gaps grow and requests get fuller.

No task runs while nothing is asked: a timer stands at the next request.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.sync.jobs.listing import MAX_JOBS, capacity
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.watch.batches import NEVER, Groups
from gateway.sync.watch.intervals import gap, safety_gap
from gateway.sync.watch.pacer import Pacer
from gateway.sync.watch.poll_requests import PollRequests
from gateway.sync.watch.state import Flight
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway.config import SyncConfig
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.watch.batches import Group
    from gateway.sync.watch.poll_requests import Job, Poller
    from gateway.sync.watch.state import Watch

MAX_IN_FLIGHT = 16
_BURST_SECONDS = 0.25
"""The part of a second's budget that may be used at once."""
_GRANULARITY_SECONDS = 0.001
"""Of the loop's timers: what is due so soon is due now."""
_UNENDED = frozenset({PollOutcome.RUNNING, PollOutcome.NOT_ENDED})
_AHEAD_SECONDS = 1e6
"""A look that is due since so long goes ahead of all that are merely late."""


class Polling:
    """``told`` is called with each watch that was looked at, by which reading, what it said, and
    when that was asked.

    ``clock`` gives monotonic seconds, ``chance`` numbers from 0 to 1.
    """

    def __init__(
        self,
        upstream: Poller,
        told: Callable[[Watch, JobAccess, PollOutcome, float], None],
        clock: Callable[[], float],
        chance: Callable[[], float],
        config: SyncConfig,
    ) -> None:
        self._told = told
        self._clock = clock
        self._chance = chance
        self._config = config
        burst = max(1, round(config.max_polls_per_second * _BURST_SECONDS))
        self._pace = Pacer(config.max_polls_per_second, burst)
        self._asking = PollRequests(upstream, self, self._pace, clock, config.max_poll_seconds)
        self._groups = Groups()
        self._tasks = Tasks()
        self._timer: asyncio.Handle | None = None
        self._timer_at = NEVER
        self._is_relaxed = False

    def __len__(self) -> int:
        """Looks that are being made."""
        return len(self._tasks)

    @property
    def requests(self) -> int:
        """Sent so far."""
        return self._asking.requests

    def add(self, watch: Watch, looked_at: float | None = None) -> None:
        """Look at this job from now on; the first time after a gap as its age has it, from now or
        from when it was looked at."""
        self._plan(watch, self._clock() if looked_at is None else looked_at)
        self._groups.put(watch)
        self._arm()

    def remove(self, watch: Watch, *, awaits_response: bool = False) -> None:
        """Look at it no more. A request that is being made is given up where nobody waits for it,
        unless its answer is still wanted."""
        self._groups.take_out(watch)
        flight = watch.flight if awaits_response else _land(watch)
        if flight is not None and flight.watches == 0 and flight.task is not None:
            flight.task.cancel()
        self._arm()

    def regroup(self, watch: Watch) -> None:
        """Another waiter's credentials are to be used."""
        if watch.group is not None and watch.asker.group != watch.group:
            self._groups.take_out(watch)
            self._groups.put(watch)
            self._arm()

    def hasten(self, watches: Iterable[Watch]) -> None:
        """Look at these as soon as the budget allows, ahead of all others."""
        ahead = self._clock() - _AHEAD_SECONDS
        for watch in watches:
            watch.due = watch.planned_at = ahead
            self._groups.expect(watch)
        self._arm()

    def relax(self, *, relaxed: bool) -> None:
        """Look as seldom as for a safety net, or as the schedule has it, at once."""
        if self._is_relaxed and not relaxed:
            self._is_relaxed = False
            for group in self._groups:
                for watch in group.watches:
                    if watch.flight is None:
                        since = watch.planned_at
                        watch.due = min(watch.due, since + self._gap(watch, since))
                self._groups.retime(group)
            self._arm()
        self._is_relaxed = relaxed

    async def aclose(self) -> None:
        self._groups.clear()
        self._arm()
        await self._tasks.aclose()

    # --- when

    def _gap(self, watch: Watch, now: float) -> float:
        age, chance = now - watch.born, self._chance()
        seconds = gap(age, watch.usual, watch.failures, chance, self._config)
        # Hints reach no watch apart, and one that came may be what could not be made good yet.
        if self._is_relaxed and not watch.failures and not watch.is_private:
            return max(seconds, safety_gap(chance, self._config))
        return seconds

    def _plan(self, watch: Watch, since: float, least_seconds: float = 0.0) -> None:
        watch.planned_at = since
        watch.due = since + max(self._gap(watch, since), least_seconds)

    def _arm(self) -> None:
        """Set the timer to the next request, or have none."""
        group = self._groups.next()
        if group is None or len(self._tasks) >= MAX_IN_FLIGHT:
            self._disarm()
            return
        at = max(group.when, self._pace.next_at())
        # A timer that is too early only comes here again.
        if at < self._timer_at:
            self._disarm()
            self._timer_at = at
            delay = max(0.0, at - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_time)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, NEVER

    def _on_time(self) -> None:
        """Send what is due, as far as the budget goes."""
        self._timer, self._timer_at = None, NEVER
        now = self._clock() + _GRANULARITY_SECONDS
        try:
            while len(self._tasks) < MAX_IN_FLIGHT:
                group = self._groups.next()
                if group is None or max(group.when, self._pace.next_at()) > now:
                    break
                self._take_turn(group, now)
        finally:
            self._arm()

    def _take_turn(self, group: Group, now: float) -> None:
        # A fault of ours costs the group its turn; without the next one its waits would sleep on.
        free_at = now + self._config.max_poll_seconds
        try:
            jobs = self._due(group, now)
            if jobs:
                self._pace.take(now)
                self._send(jobs)
                free_at = now + self._spacing(jobs)
            else:
                free_at = group.free_at
        finally:
            self._groups.had_turn(group, free_at)

    def _spacing(self, jobs: list[Job]) -> float:
        """Seconds until the group's next request: the longer, the fuller that gets. Less where
        this one was too full to take all."""
        least = self._config.min_poll_seconds
        return 0.6 * least if len(jobs) >= MAX_JOBS else least

    # --- what

    def _due(self, group: Group, now: float) -> list[Job]:
        """The jobs of the group's next request, none if nothing is due any more."""
        first = group.first()
        if first is None or first.due > now:
            return []
        access = first.asker.access
        if not self._asking.may_list(first):
            return [(first, access)]
        joining = group.joining(now, capacity(access))
        return [(watch, watch.asker.access) for watch in joining]

    def _send(self, jobs: list[Job]) -> None:
        flight = Flight(watches=len(jobs))
        for watch, _ in jobs:
            watch.flight = flight
            watch.due = NEVER
        flight.task = self._tasks.spawn(self._look(jobs, flight), name="look")
        flight.task.add_done_callback(self._on_answer)

    async def _look(self, jobs: list[Job], flight: Flight) -> None:
        try:
            await self._asking.poll(jobs)
        finally:
            # What was not settled, say because of an error, is looked at later.
            for watch, _ in jobs:
                if watch.flight is flight:
                    _land(watch)
                    watch.failures += 1
                    self._replan(watch)

    def _on_answer(self, _: object) -> None:
        self._arm()

    # --- what it said

    def settle(self, job: Job, look: PollOutcome, began: float) -> None:
        """See ``asking.Report``."""
        watch, access = job
        if _land(watch) is None:
            return
        watch.failures = watch.failures + 1 if look is PollOutcome.FAILING else 0
        if look in _UNENDED:
            watch.unended_at = began
        self._told(watch, access, look, began)
        # An upstream that takes its time is asked less often.
        self._replan(watch, self._clock() - began)

    def retry(self, jobs: Sequence[Job]) -> None:
        """See ``asking.Report``."""
        now = self._clock()
        for watch, _ in jobs:
            if _land(watch) is not None:
                watch.due = watch.planned_at = min(watch.due, now)
                self._groups.expect(watch)
        self._arm()

    def _replan(self, watch: Watch, least_seconds: float = 0.0) -> None:
        if watch.group is None:
            return
        if watch.due == NEVER:  # else it was hastened while it was looked at
            self._plan(watch, self._clock(), least_seconds)
        watch.pass_turn()
        self.regroup(watch)
        self._groups.expect(watch)
        self._arm()


def _land(watch: Watch) -> Flight | None:
    """The look that was being made is over for this watch."""
    flight, watch.flight = watch.flight, None
    if flight is not None:
        flight.watches -= 1
    return flight
