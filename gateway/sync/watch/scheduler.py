"""Polls the jobs that are waited for: as seldom as will do, many with one request.

Each watch has a time at which its next poll is due, which ``intervals`` sets. Watches with the same
credentials are one batch. When one watch of a batch is due, those that are nearly due join it in
one list request; then the batch rests for the shortest interval, so that the next request is
fuller. All batches share a budget of requests a second, the pacer's. When it is used up, requests
go in the order in which polls fell due and take along what fell due meanwhile: all gaps grow, and
requests get fuller, so cost does not grow with the number of jobs.

    add ──► due ──timer──► in flight ──outcome──► registry.apply ──► due again, after a gap
             ▲                 │                        │
             └── said nothing ─┘                        └──► remove, where the job has ended

Where many tokens of an organization wait, one batch has what its scout asks for, see ``ground``.

A hint that ends may have been missed (``hasten``) sets due times into the past, ahead of all that
are merely late. While ends are told by hints (``relax``) gaps are those of a safety net.

No task runs while no request is under way: one timer stands at the next one.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from gateway.alarm import Alarm
from gateway.sync.jobs.listing import MAX_JOBS, capacity
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.looks.intervals import Gaps
from gateway.sync.looks.pacer import paced
from gateway.sync.watch.batches import NEVER
from gateway.sync.watch.ground import Ground
from gateway.sync.watch.grounds import Grounds
from gateway.sync.watch.poll_requests import Poll, PollRequests
from gateway.sync.watch.scouting import Scouting
from gateway.sync.watch.state import Flight, PollState
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.config import SyncConfig
    from gateway.sync.watch.batches import Batch
    from gateway.sync.watch.poll_requests import Poller
    from gateway.sync.watch.registry import Registry
    from gateway.sync.watch.scouting import Request
    from gateway.sync.watch.state import JobLook, Waiter, Watch

MAX_IN_FLIGHT = 16
_GRANULARITY_SECONDS = 0.001
"""Resolution of the loop's timers: what is due so soon is due now."""
_AHEAD_SECONDS = 1e6
"""A poll that is due since so long goes ahead of all that are merely late."""


class Scheduler:
    """Polls watches and hands each outcome to ``registry``.

    ``clock`` gives monotonic seconds, ``chance`` numbers from 0 to 1.
    """

    def __init__(
        self,
        poller: Poller,
        registry: Registry,
        clock: Callable[[], float],
        chance: Callable[[], float],
        config: SyncConfig,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._config = config
        self._gaps = Gaps(chance, config)
        self._pacer = paced(config.max_polls_per_second)
        self._requests = PollRequests(poller, self._pacer, clock, config.max_poll_seconds)
        self._states: dict[Watch, PollState] = {}
        self._batches = Grounds(self._plan, clock, config)
        self._scouting = Scouting(self._requests, self._batches, clock, self._tell)
        self._tasks = Tasks()
        self._alarm = Alarm(clock, self._on_time)

    def __contains__(self, watch: Watch) -> bool:
        """True while the watch is to be polled."""
        return watch in self._states

    def __len__(self) -> int:
        """Polls that are under way."""
        return len(self._tasks)

    @property
    def requests(self) -> PollRequests:
        """The counts of what was asked."""
        return self._requests

    def look_of(self, watch: Watch) -> JobLook | None:
        """How the job is looked for; None where it is not any more."""
        state = self._states.get(watch)
        return None if state is None else self._batches.look_of(state)

    def add(self, watch: Watch, polled_at: float | None = None, failures: int = 0) -> None:
        """Poll the job from now on; the first time after a gap as its age has it, from now or from
        when it was last polled."""
        state = self._states[watch] = PollState(watch, failures=failures)
        self._plan(state, self._clock() if polled_at is None else polled_at)
        self._batches.put(state)
        self._arm()

    def remove(self, watch: Watch, *, awaits_response: bool = False) -> None:
        """Poll the job no more. A request that is under way is given up where nobody else needs
        it, unless its response is still wanted."""
        for waiter in watch.waiters:
            self.note(waiter)
        state = self._states.pop(watch, None)
        if state is not None:
            self._batches.take_out(state)
            flight = state.flight if awaits_response else state.land()
            if flight is not None and flight.polls == 0 and flight.task is not None:
                flight.task.cancel()
        self._arm()

    def note(self, waiter: Waiter) -> None:
        """Write down for the client's next request where the polls of its job stand."""
        state, last_seen = self._states.get(waiter.watch), waiter.last_seen
        if state is not None and last_seen is not None:
            self._batches.catch_up(state)
            last_seen.polled_at, last_seen.failures = state.planned_at, state.failures

    def rebatch(self, watch: Watch) -> None:
        """Poll with the credentials of the first waiter, who is another now."""
        state = self._states.get(watch)
        if state is not None and self._batches.rebatch(state):
            self._arm()

    def hasten(self, watches: Iterable[Watch]) -> None:
        """Poll these as soon as the budget allows, ahead of all others."""
        ahead = self._clock() - _AHEAD_SECONDS
        for watch in watches:
            state = self._states.get(watch)
            if state is not None:
                state.due = state.planned_at = ahead
                self._batches.expect(state)
        self._arm()

    def reconfigure(self, config: SyncConfig) -> None:
        """Poll by other settings; where gaps are shorter by them, they are so at once."""
        self._config = config
        self._gaps.reconfigure(config)
        self._pacer.reconfigure(config.max_polls_per_second)
        self._requests.reconfigure(config.max_poll_seconds)
        self._batches.reconfigure(config, self._states.values())
        self._batches.bring_forward(self._gap)
        self._arm()

    def relax(self, *, relaxed: bool) -> None:
        """Poll as seldom as for a safety net, or as ``intervals`` has it, from now on."""
        was_relaxed, self._gaps.is_relaxed = self._gaps.is_relaxed, relaxed
        if was_relaxed and not relaxed:
            self._batches.bring_forward(self._gap)
            self._arm()
        self._batches.relax(relaxed=relaxed)

    async def aclose(self) -> None:
        self._batches.clear()
        self._arm()
        await self._tasks.aclose()

    # --- when

    def _gap(self, state: PollState, now: float) -> float:
        watch = state.watch
        # Hints do not reach private watches, and one that came may be what could not be made good.
        told, left = not watch.is_private, watch.is_left
        age = now - watch.born
        return self._gaps.seconds(age, watch.usual, state.failures, is_hinted=told, is_left=left)

    def _plan(self, state: PollState, since: float, least_seconds: float = 0.0) -> None:
        state.planned_at = since
        state.due = since + max(self._gap(state, since), least_seconds)

    def _arm(self) -> None:
        """Set the alarm to the next request, or have none."""
        batch = self._batches.next()
        if batch is None or len(self._tasks) >= MAX_IN_FLIGHT:
            self._alarm.clear()
        else:
            # One that is too early only comes here again.
            self._alarm.set(max(batch.due, self._pacer.next_at()))

    def _on_time(self) -> None:
        """Send what is due, as far as the budget goes."""
        now = self._clock() + _GRANULARITY_SECONDS
        try:
            while len(self._tasks) < MAX_IN_FLIGHT:
                batch = self._batches.next()
                if batch is None or max(batch.due, self._pacer.next_at()) > now:
                    break
                self._send_from(batch, now)
        finally:
            self._arm()

    def _send_from(self, batch: Batch, now: float) -> None:
        # A fault of ours costs the batch one request; without the next its waits would sleep on.
        free_at = now + self._config.max_poll_seconds
        try:
            request = self._due(batch, now)
            if request:
                self._pacer.take(now)
                self._send(batch, request)
                free_at = now + self._spacing(request)
            else:
                free_at = batch.free_at
        finally:
            self._batches.sent(batch, free_at)

    def _spacing(self, request: Request) -> float:
        """Seconds until the batch's next request: the longer, the fuller that gets. Less where
        this one was too full to take all."""
        is_full = isinstance(request, list) and len(request) >= MAX_JOBS
        return self._config.min_poll_seconds * (0.6 if is_full else 1.0)

    # --- what

    def _due(self, batch: Batch, now: float) -> Request | None:
        """The batch's next request, none if nothing is due any more."""
        if isinstance(batch, Ground):
            return self._scouting.next(batch, now)
        first = batch.first()
        if first is None or first.due > now:
            return None
        access = first.watch.first.access
        if not self._requests.may_list(first):
            return [Poll(first, access)]
        joining = batch.joining(now, capacity(access))
        return [Poll(state, state.watch.first.access) for state in joining]

    def _send(self, batch: Batch, request: Request) -> None:
        if isinstance(request, list):
            flight = Flight(polls=len(request))
            for state, _ in request:
                state.flight = flight
                state.due = NEVER
            task = flight.task = self._tasks.spawn(self._poll(batch, request, flight), name="poll")
        else:
            assert isinstance(batch, Ground)
            task = self._tasks.spawn(self._scouting.ask(batch, request), name="look")
        if isinstance(batch, Ground):
            task.add_done_callback(lambda _: self._scouting.over(batch, request))
        task.add_done_callback(lambda _: self._arm())

    async def _poll(self, batch: Batch, polls: list[Poll], flight: Flight) -> None:
        if isinstance(batch, Ground):
            asked = self._scouting.list(batch, polls)
        else:
            asked = self._requests.poll(polls)
        try:
            async with aclosing(asked) as outcomes:
                async for poll, outcome, began in outcomes:
                    if outcome is None:
                        self._poll_again(poll.state)
                    else:
                        self._settle(poll, outcome, began)
        finally:
            # What was not settled, say because of an error, is polled later.
            for state, _ in polls:
                if state.flight is flight:
                    state.land()
                    state.failures += 1
                    self._replan(state)

    # --- what it said

    def _settle(self, poll: Poll, outcome: PollOutcome, began: float) -> None:
        if poll.state.land() is not None:
            self._tell(poll, outcome, began)

    def _tell(self, poll: Poll, outcome: PollOutcome, began: float) -> None:
        state, access = poll
        state.failures = state.failures + 1 if outcome is PollOutcome.FAILING else 0
        over = self._registry.apply(state.watch, access, outcome, began)
        if over is not None:
            self.remove(over)
        self._replan(state, self._clock() - began)  # a slow upstream is polled less often

    def _poll_again(self, state: PollState) -> None:
        """Poll soon: the request said nothing of this job."""
        if state.land() is not None:
            state.due = state.planned_at = min(state.due, self._clock())
            self._batches.expect(state)
            self._arm()

    def _replan(self, state: PollState, least_seconds: float = 0.0) -> None:
        if state.batch_key is None:
            return
        if state.due == NEVER:  # else it was hastened while it was polled
            self._plan(state, self._clock(), least_seconds)
        state.watch.rotate()
        self._batches.rebatch(state)
        self._batches.expect(state)
        self._arm()
