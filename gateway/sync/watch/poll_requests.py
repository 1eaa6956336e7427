"""The requests of one poll of some jobs: one list where it can be had, else each job by itself.

Outcomes are yielded as they become known, so that whoever iterates has acted on one before the
next request is sent.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cachetools import TTLCache

from gateway.sync.jobs.listing import Listing, Unlisted
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.jobs.ranges import Unranged

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.ranges import Ended, IdRange
    from gateway.sync.looks.pacer import Pacer
    from gateway.sync.watch.state import PollState

POLL_SECONDS = 15.0
"""A request that takes longer counts as failed."""
MAX_REFUSED = 4096
REFUSED_SECONDS = 600.0
"""Time for which single jobs are polled with a token that gets no lists before the next try."""
MAX_SPLITS = 20
MAX_FAILED_LISTS = 3
"""Lists in a row that fail for one token, though the upstream answers otherwise, before single jobs
are polled with it for a while."""
FAILED_SECONDS = 60.0
_MAX_SLOWDOWN = 10.0


class Poller(Protocol):
    """Asks the upstream whether jobs have ended."""

    async def poll(self, access: JobAccess) -> PollOutcome:
        """Poll one job."""
        raise NotImplementedError

    async def poll_range(self, access: JobAccess, ids: IdRange) -> Ended:
        """Poll the jobs of a range of ids, of the access's organization, in one request."""
        raise NotImplementedError

    async def poll_many(self, accesses: Sequence[JobAccess], *, only_ended: bool) -> Listing:
        """Poll several of one organization with the same credentials, in one request; where
        ``only_ended`` the list leaves out those that go on."""
        raise NotImplementedError


class Look(StrEnum):
    """Kinds of requests that see whether jobs have ended."""

    JOB = "job"
    LIST = "list"
    """Of jobs by their ids."""
    RANGE = "range"
    """Of all ended jobs of a range of ids."""


class Poll(NamedTuple):
    """A job to be polled, with the access of who was first when the poll began."""

    state: PollState
    access: JobAccess


class Polled(NamedTuple):
    """The outcome of a poll; None where the request says nothing of the job, which is to be polled
    again soon."""

    poll: Poll
    outcome: PollOutcome | None
    began: float
    """Start of the request, in the clock's seconds."""


class PollRequests:
    """Sends the requests of polls; slows ``pacer`` down while the upstream fails.

    ``clock`` gives monotonic seconds. Jobs that have all been listed within ``unlisted_seconds``
    are polled with a list of those that have ended; in other lists each job has to be found.
    """

    def __init__(
        self,
        poller: Poller,
        pacer: Pacer,
        clock: Callable[[], float],
        unlisted_seconds: float,
    ) -> None:
        self._poller = poller
        self._pacer = pacer
        self._clock = clock
        self._unlisted_seconds = unlisted_seconds
        self._refused: TTLCache[bytes, None] = TTLCache(MAX_REFUSED, REFUSED_SECONDS, clock)
        self._failed: TTLCache[bytes, int] = TTLCache(MAX_REFUSED, FAILED_SECONDS, clock)
        """Lists in a row that failed, by batch key."""
        self._failures = 0
        """Requests in a row that the upstream failed to answer."""
        self.sent: Counter[Look] = Counter()
        """Requests since the start."""
        self.strangers = 0
        """Jobs returned by looks at ranges that nobody waits for."""

    def reconfigure(self, unlisted_seconds: float) -> None:
        """Have another bound, for requests to come."""
        self._unlisted_seconds = unlisted_seconds

    def may_list(self, state: PollState) -> bool:
        """True where a list can poll the job; none is tried while the upstream fails."""
        key = state.batch_key or b""
        return (
            not self._failures
            and state.is_listable
            and key not in self._refused
            and self._failed.get(key, 0) < MAX_FAILED_LISTS
        )

    async def poll(self, polls: list[Poll]) -> AsyncGenerator[Polled, None]:
        """Poll jobs of one batch key. The permit of the first request has been taken.

        Yields each job once, but those that a list leaves to be polled otherwise with None.
        """
        if len(polls) == 1:
            yield await self._one(polls[0])
            return
        only_ended = self._only_ended(polls)
        listing, began = await self._list(polls, only_ended=only_ended)
        if listing is Unlisted.TOO_MUCH:
            async for polled in self._split(polls, only_ended=only_ended):
                yield polled
            return
        for polled in self._listed(polls, listing, began, only_ended=only_ended):
            yield polled

    def _only_ended(self, polls: list[Poll]) -> bool:
        since = self._clock() - self._unlisted_seconds
        return all(state.listed_at > since for state, _ in polls)

    async def _one(self, poll: Poll) -> Polled:
        began = self._clock()
        self.sent[Look.JOB] += 1
        try:
            async with asyncio.timeout(POLL_SECONDS):
                outcome = await self._poller.poll(poll.access)
        except TimeoutError:
            outcome = PollOutcome.FAILING
        self._answered(well=outcome is not PollOutcome.FAILING)
        return Polled(poll, outcome, began)

    async def look(self, access: JobAccess, ids: IdRange) -> tuple[Ended, float]:
        """Look at a range with an access's credentials; what it said, and when it began."""
        began = self._clock()
        self.sent[Look.RANGE] += 1
        try:
            async with asyncio.timeout(POLL_SECONDS):
                ended = await self._poller.poll_range(access, ids)
        except TimeoutError:
            ended = Unranged.FAILING
        self._answered(well=ended is not Unranged.FAILING)
        if ended is Unranged.DENIED or ended is Unranged.REFUSED:
            self._refused[access.batch_key] = None
        return ended, began

    async def list_jobs(
        self, accesses: Sequence[JobAccess], *, only_ended: bool = False
    ) -> tuple[Listing, float]:
        """List jobs with the same credentials; what it said, and when it began."""
        listing, began = await self._request_list(accesses, only_ended=only_ended)
        self._answered(well=listing is not Unlisted.FAILING)
        if listing is Unlisted.DENIED or listing is Unlisted.REFUSED:
            self._refused[accesses[0].batch_key] = None
        return listing, began

    async def _list(self, polls: list[Poll], *, only_ended: bool) -> tuple[Listing, float]:
        accesses = [access for _, access in polls]
        return await self._request_list(accesses, only_ended=only_ended)

    async def _request_list(
        self, accesses: Sequence[JobAccess], *, only_ended: bool
    ) -> tuple[Listing, float]:
        began = self._clock()
        self.sent[Look.LIST] += 1
        try:
            async with asyncio.timeout(POLL_SECONDS):
                return await self._poller.poll_many(accesses, only_ended=only_ended), began
        except TimeoutError:
            return Unlisted.FAILING, began

    def _listed(
        self, polls: list[Poll], listing: Listing, began: float, *, only_ended: bool
    ) -> list[Polled]:
        self._answered(well=listing is not Unlisted.FAILING)
        key = polls[0].access.batch_key
        if listing is Unlisted.FAILING:
            self._failed[key] = self._failed.get(key, 0) + 1
        else:
            self._failed.pop(key, None)
        match listing:
            case Unlisted.FAILING | Unlisted.TOO_MUCH:
                return _all(polls, PollOutcome.FAILING, began)
            case Unlisted.DENIED:
                self._refused[key] = None
                return _all(polls, PollOutcome.REFUSED, began)
            case Unlisted.REFUSED:
                self._refused[key] = None
                return _all(polls, None, began)
        found, missing = list[Polled](), list[Poll]()
        for poll in polls:
            outcome = listing.get(poll.state.watch.job_id)
            if outcome is not None:
                poll.state.listed_at = began
                found.append(Polled(poll, outcome, began))
            elif only_ended:
                found.append(Polled(poll, PollOutcome.NOT_ENDED, began))
            else:
                missing.append(poll)
        # These are gone, or not for this token's lists.
        return found + self._alone(missing)

    async def _split(self, polls: list[Poll], *, only_ended: bool) -> AsyncGenerator[Polled, None]:
        """Poll fewer at a time, after one by itself: that tells whether the upstream fails."""
        await self._permit()
        yield await self._one(polls[0])
        if not self._failures:
            async for polled in self._halved(polls[1:], only_ended=only_ended):
                yield polled
            return
        for polled in _all(polls[1:], PollOutcome.FAILING, self._clock()):
            yield polled

    async def _halved(self, polls: list[Poll], *, only_ended: bool) -> AsyncGenerator[Polled, None]:
        """Poll halves, halves of those that fail as well, and single jobs in the end."""
        lists = requests = 0
        pending = [polls]
        while pending:
            part, others = _still_wanted(pending.pop())
            for polled in _all(others, None, self._clock()):
                yield polled
            half = part[: len(part) // 2] if requests < MAX_SPLITS else []
            if half:
                pending.append(part[len(half) :])
            if len(half) < 2:
                found = self._alone(half or part)
            else:
                await self._permit()
                requests += 1
                listing, began = await self._list(half, only_ended=only_ended)
                lists += isinstance(listing, dict)
                if listing is Unlisted.TOO_MUCH:
                    pending.append(half)
                    continue
                found = self._listed(half, listing, began, only_ended=only_ended)
            for polled in found:
                yield polled
        if requests > 1 and not lists:
            self._refused[polls[0].access.batch_key] = None

    def _alone(self, polls: list[Poll]) -> list[Polled]:
        """Have these polled each by itself from now on."""
        for state, _ in polls:
            state.is_listable = False
        return _all(polls, None, self._clock())

    async def _permit(self) -> None:
        await asyncio.sleep(self._pacer.take(self._clock()))

    def _answered(self, *, well: bool) -> None:
        self._failures = 0 if well else self._failures + 1
        self._pacer.slowdown = min(2.0 ** min(self._failures, 10), _MAX_SLOWDOWN)


def _all(polls: Sequence[Poll], outcome: PollOutcome | None, began: float) -> list[Polled]:
    return [Polled(poll, outcome, began) for poll in polls]


def _still_wanted(polls: list[Poll]) -> tuple[list[Poll], list[Poll]]:
    """The polls whose credentials are still the first waiter's, and the others."""
    wanted, others = list[Poll](), list[Poll]()
    for poll in polls:
        is_wanted = poll.state.batch_key == poll.access.batch_key
        (wanted if is_wanted else others).append(poll)
    return wanted, others
