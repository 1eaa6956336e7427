"""The requests of one look at some jobs: one list where it can be had, else each by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from cachetools import TTLCache

from gateway.sync.jobs.listing import Listing, Unlisted
from gateway.sync.jobs.outcome import PollOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.watch.pacer import Pacer
    from gateway.sync.watch.state import Watch

    Job = tuple[Watch, JobAccess]
    """A watch, and the reading that its look was begun with."""

POLL_SECONDS = 15.0
"""A request that takes longer counts as failed."""
MAX_REFUSED = 4096
REFUSED_SECONDS = 600.0
"""How long a token that gets no lists is asked with for single jobs before the next try."""
MAX_SPLITS = 20
MAX_FAILED_LISTS = 3
"""In a row, of one token, though the upstream answers otherwise. Then it is asked with for single
jobs for a while."""
FAILED_SECONDS = 60.0
_MAX_SLOWDOWN = 10.0


class Poller(Protocol):
    """How jobs are looked at."""

    async def poll(self, access: JobAccess) -> PollOutcome:
        """At one job."""
        raise NotImplementedError

    async def poll_many(self, accesses: Sequence[JobAccess], *, only_ended: bool) -> Listing:
        """At several of one organization with the same credentials, in one request; where
        ``only_ended`` those that go on are left out."""
        raise NotImplementedError


class Report(Protocol):
    """Who is told what was found out."""

    def settle(self, job: Job, look: PollOutcome, began: float) -> None:
        """The job was looked at; the request began at ``began``."""
        raise NotImplementedError

    def retry(self, jobs: Sequence[Job]) -> None:
        """Look at these again soon: nothing was said of them."""
        raise NotImplementedError


class PollRequests:
    """While the upstream fails ``pace`` is slowed down. ``clock`` gives monotonic seconds.

    Jobs that have all been listed within ``unlisted_seconds`` are asked for in a list of those that
    have ended; in the others each has to be seen, or is found missing.
    """

    def __init__(
        self,
        upstream: Poller,
        report: Report,
        pace: Pacer,
        clock: Callable[[], float],
        unlisted_seconds: float,
    ) -> None:
        self._upstream = upstream
        self._report = report
        self._pace = pace
        self._clock = clock
        self._unlisted_seconds = unlisted_seconds
        self._refused: TTLCache[bytes, None] = TTLCache(MAX_REFUSED, REFUSED_SECONDS, clock)
        self._failed: TTLCache[bytes, int] = TTLCache(MAX_REFUSED, FAILED_SECONDS, clock)
        """How many lists in a row failed."""
        self._failures = 0
        """Requests in a row that the upstream failed to answer."""
        self.requests = 0
        """Sent so far."""

    def may_list(self, watch: Watch) -> bool:
        """Whether the watch can be looked at in a list; none is tried while the upstream fails."""
        group = watch.group or b""
        return (
            not self._failures
            and watch.is_listable
            and group not in self._refused
            and self._failed.get(group, 0) < MAX_FAILED_LISTS
        )

    async def poll(self, jobs: list[Job]) -> None:
        """Look at jobs that can be asked for with the same credentials; the turn is taken."""
        if len(jobs) == 1:
            await self._look_at_one(jobs[0])
            return
        only_ended = self._only_ended(jobs)
        listing, began = await self._list(jobs, only_ended=only_ended)
        if listing is Unlisted.TOO_MUCH:
            await self._split(jobs, only_ended=only_ended)
        else:
            self._listed(jobs, listing, began, only_ended=only_ended)

    def _only_ended(self, jobs: list[Job]) -> bool:
        since = self._clock() - self._unlisted_seconds
        return all(watch.listed_at > since for watch, _ in jobs)

    async def _look_at_one(self, job: Job) -> None:
        began = self._clock()
        self.requests += 1
        try:
            async with asyncio.timeout(POLL_SECONDS):
                look = await self._upstream.poll(job[1])
        except TimeoutError:
            look = PollOutcome.FAILING
        self._answered(well=look is not PollOutcome.FAILING)
        self._report.settle(job, look, began)

    async def _list(self, jobs: list[Job], *, only_ended: bool) -> tuple[Listing, float]:
        began = self._clock()
        self.requests += 1
        accesses = [access for _, access in jobs]
        try:
            async with asyncio.timeout(POLL_SECONDS):
                return await self._upstream.poll_many(accesses, only_ended=only_ended), began
        except TimeoutError:
            return Unlisted.FAILING, began

    def _listed(self, jobs: list[Job], listing: Listing, began: float, *, only_ended: bool) -> None:
        self._answered(well=listing is not Unlisted.FAILING)
        group = jobs[0][1].batch_key
        if listing is Unlisted.FAILING:
            self._failed[group] = self._failed.get(group, 0) + 1
        else:
            self._failed.pop(group, None)
        match listing:
            case Unlisted.FAILING | Unlisted.TOO_MUCH:
                self._settle_all(jobs, PollOutcome.FAILING, began)
            case Unlisted.DENIED:
                self._refuse(jobs)
                self._settle_all(jobs, PollOutcome.REFUSED, began)
            case Unlisted.REFUSED:
                self._refuse(jobs)
                self._report.retry(jobs)
            case _:
                self._settle_listed(jobs, listing, began, only_ended=only_ended)

    def _settle_listed(
        self, jobs: list[Job], listing: dict[str, PollOutcome], began: float, *, only_ended: bool
    ) -> None:
        missing = []
        for job in jobs:
            watch = job[0]
            look = listing.get(watch.job_id)
            if look is not None:
                watch.listed_at = began
                self._report.settle(job, look, began)
            elif only_ended:
                self._report.settle(job, PollOutcome.NOT_ENDED, began)
            else:
                missing.append(job)
        # Gone, or not for this token's lists.
        self._ask_alone(missing)

    def _settle_all(self, jobs: list[Job], look: PollOutcome, began: float) -> None:
        for job in jobs:
            self._report.settle(job, look, began)

    async def _split(self, jobs: list[Job], *, only_ended: bool) -> None:
        """Fewer might do. One by itself tells first whether it is not the upstream that fails."""
        await self._turn()
        await self._look_at_one(jobs[0])
        if self._failures:
            self._settle_all(jobs[1:], PollOutcome.FAILING, self._clock())
            return
        lists = requests = 0
        pending = [jobs[1:]]
        while pending:
            part = self._still_wanted(pending.pop())
            if len(part) < 2 or requests == MAX_SPLITS:
                self._ask_alone(part)
                continue
            half = part[: len(part) // 2]
            pending.append(part[len(half) :])
            if len(half) < 2:
                self._ask_alone(half)
                continue
            await self._turn()
            requests += 1
            listing, began = await self._list(half, only_ended=only_ended)
            if listing is Unlisted.TOO_MUCH:
                pending.append(half)
            else:
                lists += isinstance(listing, dict)
                self._listed(half, listing, began, only_ended=only_ended)
        if requests > 1 and not lists:
            self._refuse(jobs)

    def _ask_alone(self, jobs: list[Job]) -> None:
        """From now on these are asked for each by itself."""
        for watch, _ in jobs:
            watch.is_listable = False
        self._report.retry(jobs)

    def _still_wanted(self, jobs: list[Job]) -> list[Job]:
        """Those whose reading is still a waiter's; the others are looked at otherwise."""
        wanted: list[Job] = []
        others: list[Job] = []
        for watch, access in jobs:
            (wanted if watch.group == access.batch_key else others).append((watch, access))
        self._report.retry(others)
        return wanted

    def _refuse(self, jobs: list[Job]) -> None:
        self._refused[jobs[0][1].batch_key] = None

    async def _turn(self) -> None:
        await asyncio.sleep(self._pace.take(self._clock()))

    def _answered(self, *, well: bool) -> None:
        self._failures = 0 if well else self._failures + 1
        self._pace.slowdown = min(2.0 ** min(self._failures, 10), _MAX_SLOWDOWN)
