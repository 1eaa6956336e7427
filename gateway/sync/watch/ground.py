"""The watches of one organization that its scout asks for, and when. Pure.

``sync.looks.scouts`` has the rules; here jobs are watches. What a scout asks for is one batch, its
organization's. It has two kinds of request:

- a *look* at the range of the jobs that are left to the scout. It is due when one of these jobs is,
  and tells of all of them; so their own times are only brought up to date when they have come.
- a *list* of jobs by their ids: of new ones and of those outside the range, when they are due, and
  once in a while of those that are left, since a look does not tell a job that was removed.

A job whose waiter was not shown it for long is lent to the batch of its own token for one poll, so
that a client need not read it again when it comes back.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

from gateway.sync.jobs.listing import MAX_JOBS
from gateway.sync.looks.cover import LISTED, Cover
from gateway.sync.looks.intervals import JOINING_SHARE
from gateway.sync.looks.scouts import Scouts
from gateway.sync.watch.batches import NEVER, Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.ranges import IdRange
    from gateway.sync.watch.state import PollState

SHARED_SECONDS = 0.4
"""Looks that many jobs share follow no closer than this, unless one of the jobs is due."""
_SHARE = 2.0
"""Looks and lists are as frequent as makes one for so many lists that they replace."""
_REST = 3.0
"""After a look there is none for so many times as long as it took."""
_GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, less their whole parts, are spread evenly, however many there are."""
_SLACK = 8
"""A heap has at most so many entries for a watch, most of them void."""
_SPREAD = 0.7
_PROOF_SECONDS = (35.0, 15.0)
"""A waiter is shown its job with its own token again after so long, and up to so much longer: below
the time for which credentials are taken to be good, and not all at once."""


class Ground(Batch):
    """What the scout of one organization asks for.

    ``plan`` gives a watch its next time, from when it was last looked at.
    """

    __slots__ = (
        "_lists",
        "_looks",
        "_numbers",
        "_phase",
        "_plan",
        "_rests_until",
        "asking",
        "is_listing",
        "is_looking",
        "is_urgent",
        "list_seconds",
        "list_speed",
        "lists",
        "looked_at",
        "looked_ids",
        "members",
        "moved",
        "scouts",
        "speed",
    )

    def __init__(
        self, key: bytes, plan: Callable[[PollState, float], None], idle_until: float
    ) -> None:
        super().__init__(key)
        self._plan = plan
        self._looks: list[tuple[float, int, PollState]] = []
        self._lists: list[tuple[float, int, PollState]] = []
        """Heaps by time; an entry is void once its watch has another."""
        self._numbers = count()
        self._phase = sum(key) * _GOLDEN % 1
        self._rests_until = -NEVER
        self.moved: dict[str, None] = {}
        self.scouts = Scouts(self._note, idle_until)
        self.members: dict[str, PollState] = {}
        self.looked_ids: IdRange | None = None
        self.looked_at = -NEVER
        """Range and start of the last look that was answered."""
        self.asking: dict[Callable[[], None], bytes] = {}
        """What gives up the requests that are under way, with the keys whose tokens they use."""
        self.is_looking = self.is_listing = False
        self.is_urgent = False
        """An end may have been missed: look as soon as the budget allows."""
        self.lists = 0
        """``scouts.lists`` as last counted by whoever sums it up."""
        self.list_seconds = 0.0
        """Time between two lists of a job that is left to the scout."""
        self.speed = self.list_speed = 1.0
        """How much more often a look, and a list, may be than one of a lone token."""

    def _note(self, job_id: str) -> None:
        self.moved[job_id] = None

    @property
    def next_due(self) -> float:
        review_at = NEVER if self.is_listing else self.scouts.review_at
        return min(self.look_at(), self.list_at(), review_at)

    def expect(self, state: PollState) -> float:
        cover = self.scouts.cover(state.watch.job_id)
        if cover in LISTED:
            gap = max(0.0, state.due - state.planned_at)
            state.list_at = state.due - gap + min(gap, max(SHARED_SECONDS, gap / self.list_speed))
        elif cover is Cover.LEFT:
            self.is_urgent |= state.due == state.planned_at
            # It may have been outside until now, with a time that was sooner.
            soonest = state.listed_at + (1 - _SPREAD) * self.list_seconds
            state.list_at = max(state.list_at, soonest)
        if state.list_at < NEVER:
            self._push(self._lists, state.list_at, state)
        if cover is Cover.LEFT:
            self._push(self._looks, state.due, state)
        return self.next_due

    def _push(self, heap: list[tuple[float, int, PollState]], at: float, state: PollState) -> None:
        heapq.heappush(heap, (at, next(self._numbers), state))
        if len(heap) > _SLACK * len(self.members) + _SLACK:
            alive = (entry for entry in heap if entry[2] in self.states)
            last = {entry[2]: entry for entry in sorted(alive, key=lambda entry: entry[1])}
            heap[:] = last.values()
            heapq.heapify(heap)

    # --- when

    def look_at(self) -> float:
        """Time of the next look; it may be that none is due then, but not that one is earlier."""
        if self.is_looking:
            return NEVER
        first = self._first_left()
        if first is None:
            return NEVER
        if self.is_urgent:
            return self.looked_at
        gap = max(0.0, first.due - first.planned_at)
        shared = self.looked_at + max(SHARED_SECONDS, gap / self.speed)
        return max(min(first.due, shared), self._rests_until)

    def list_at(self) -> float:
        """Time of the next list by id."""
        while self._lists and not self.is_listing:
            at, _, state = self._lists[0]
            if state in self.states and state.list_at == at and state.flight is None:
                return at
            heapq.heappop(self._lists)
        return NEVER

    def _first_left(self) -> PollState | None:
        while self._looks:
            due, _, state = self._looks[0]
            is_left = state in self.states and state.flight is None and state.due == due
            if is_left and self.scouts.cover(state.watch.job_id) is Cover.LEFT:
                return state
            heapq.heappop(self._looks)
        return None

    def freshen(self, now: float) -> list[PollState]:
        """Bring up to date what would be due, had there been no look since; returns watches that
        are to be shown to their waiters again."""
        unproven: dict[PollState, None] = {}
        while (state := self._first_left()) is not None and state.due <= now:
            if state not in unproven:
                unproven |= self.unproven([state], now)
            if not self.catch_up(state):
                break
        return [*unproven]

    def catch_up(self, state: PollState) -> bool:
        """Let a watch that is left know of the last look; False where it knows or is not left."""
        if self.looked_at <= state.planned_at or state.flight is not None:
            return False
        if self.looked_ids is None or state.watch.job_id not in self.looked_ids:
            return False
        if state not in self.states or self.scouts.cover(state.watch.job_id) is not Cover.LEFT:
            return False
        state.watch.unended_at = max(state.watch.unended_at, self.looked_at)
        self._plan(state, self.looked_at)
        self._push(self._looks, state.due, state)
        return True

    def looked(self, ids: IdRange, began: float, now: float) -> None:
        """A look at a range was answered."""
        self.looked_ids, self.looked_at = ids, began
        self._rests_until = now + _REST * (now - began)

    # --- what

    def scout(self) -> JobAccess | None:
        """An access with the scout's credentials, of a client that waits at this moment."""
        key = self.scouts.scout
        return None if key is None else self.access(key)

    def access(self, key: bytes) -> JobAccess:
        """An access of a client that waits under the key."""
        return self.members[next(iter(self.scouts.jobs_of(key)))].watch.first.access

    def hurry(self, *, is_relaxed: bool) -> None:
        """Let looks and lists be as frequent as makes one for so many lists that they replace."""
        lists = 1.0 if is_relaxed else self.scouts.lists / _SHARE
        self.speed = max(1.0, lists)
        self.list_speed = max(1.0, lists * MAX_JOBS / max(MAX_JOBS, len(self.members)))

    def withdraw(self) -> None:
        """Give up requests with tokens with which nobody waits any more."""
        for give_up, key in self.asking.items():
            if not self.scouts.jobs_of(key):
                give_up()

    def to_list(self, now: float, most: int) -> list[PollState]:
        """The watches that a list by id takes along: they are due, or nearly so."""
        found: dict[PollState, None] = {}
        while self._lists and len(found) < most:
            at, _, state = self._lists[0]
            is_ready = state in self.states and state.list_at == at and state.flight is None
            is_left = is_ready and self.scouts.cover(state.watch.job_id) is Cover.LEFT
            wait = self.list_seconds if is_left else at - state.planned_at
            if is_ready and at - (1 - JOINING_SHARE) * wait > now:
                break
            heapq.heappop(self._lists)
            if is_ready:
                found[state] = None
        return [*found]

    def next_list_seconds(self, *, is_first: bool) -> float:
        """Time until the jobs of a list are listed again; less, and not the same each time, for
        ``is_first``, or the lists of jobs that came together would stay together."""
        if not is_first:
            return self.list_seconds
        self._phase = (self._phase + _GOLDEN) % 1
        return self.list_seconds * (1 - _SPREAD * self._phase)

    def unproven(self, states: Iterable[PollState], now: float) -> dict[PollState, None]:
        """Those of the watches that are to be shown to their waiters again, with what else their
        tokens can show in the same request."""
        found: dict[PollState, None] = {}
        for state in states:
            if state not in found and self._is_unproven(state, now, 0.0):
                found |= dict.fromkeys(self._of_same_token(state, now))
        return found

    def _of_same_token(self, state: PollState, now: float) -> list[PollState]:
        jobs = self.scouts.jobs_of(state.watch.first.access.batch_key)
        states = (self.members[job_id] for job_id in jobs)
        return [one for one in states if self._is_unproven(one, now, _PROOF_SECONDS[1] / 2)]

    def _is_unproven(self, state: PollState, now: float, early_seconds: float) -> bool:
        if state not in self.states or state.flight is not None:
            return False
        first = state.watch.first
        if first.last_seen is None or first.access.batch_key == self.scouts.scout:
            return False
        least, more = _PROOF_SECONDS
        patience = least + more * first.access.batch_key[0] / 256 - early_seconds
        return now - first.last_seen.shown_at > max(patience, least / 2)
