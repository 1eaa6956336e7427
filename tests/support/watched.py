"""An upstream whose jobs end when told, for whoever looks at them; records who asked what when."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gateway.config import SyncConfig
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.jobs.listing import Listing, Unlisted
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.jobs.ranges import Ended, IdRange, Unranged
from gateway.sync.watch.poll_requests import POLL_SECONDS
from gateway.sync.watch.state import WaitVerdict
from gateway.sync.watch.watcher import Watcher
from tests.support.theeye import JOB_ID
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def access(asker: str = "a", job_id: str = JOB_ID, customer: str = "acme") -> JobAccess:
    return JobAccess(job_id, customer, Credentials(asker, ()))


def of(asker: str, jobs: Iterable[str], customer: str = "acme") -> list[JobAccess]:
    return [access(asker, job_id, customer) for job_id in jobs]


def job_ids(number: int) -> list[str]:
    return [f"{index:024x}" for index in range(number)]


@dataclass(slots=True)
class Request:
    at: float
    token: str
    customer: str
    jobs: tuple[str, ...]
    is_list: bool
    only_ended: bool = False
    is_range: bool = False


@dataclass(slots=True)
class Watched:
    """``says`` and ``lists`` come first; without a response of theirs a job runs until it ends."""

    ends: dict[str, float] = field(default_factory=dict)
    """When a job ends, by its id."""
    gone: dict[str, float] = field(default_factory=dict)
    """When it is removed."""
    says: Callable[[JobAccess], PollOutcome | None] = lambda _: None
    lists: Callable[[Sequence[JobAccess]], Listing | None] = lambda _: None
    ranges: Callable[[JobAccess, IdRange], Ended | None] = lambda _a, _b: None
    latency_seconds: float = 0.0
    filters: bool = True
    """It leaves out of a list of ended jobs those that go on."""
    requests: list[Request] = field(default_factory=list)

    def watcher(self, **settings: float) -> Watcher:
        return Watcher(self, now, lambda: 0.5, SyncConfig(**settings))  # type: ignore[arg-type]

    async def poll(self, access: JobAccess) -> PollOutcome:
        self._note([access], is_list=False)
        await asyncio.sleep(self.latency_seconds)
        return self.says(access) or self._now(access.job_id) or PollOutcome.CHANGED

    async def poll_many(self, accesses: Sequence[JobAccess], *, only_ended: bool) -> Listing:
        self._note(accesses, is_list=True, only_ended=only_ended)
        await asyncio.sleep(self.latency_seconds)
        said = self.lists(accesses)
        if said is not None:
            return said
        if any(self.says(one) is PollOutcome.FAILING for one in accesses):
            return Unlisted.TOO_MUCH
        states = {one.job_id: self.says(one) or self._now(one.job_id) for one in accesses}
        left_out = {None, PollOutcome.RUNNING} if only_ended and self.filters else {None}
        return {
            job_id: look
            for job_id, look in states.items()
            if look is not None and look not in left_out
        }

    async def poll_range(self, access: JobAccess, ids: IdRange) -> Ended:
        jobs = tuple(
            one for one in self.ends if one in ids and self.gone.get(one, float("inf")) > now()
        )
        self.requests.append(
            Request(now(), access.credentials.query, access.customer, jobs, False, True, True)
        )
        await asyncio.sleep(self.latency_seconds)
        said = self.ranges(access, ids)
        if said is not None:
            return said
        if any(self.says(replace(access, job_id=one)) is PollOutcome.FAILING for one in jobs):
            return Unranged.FAILING
        return frozenset(one for one in jobs if self._now(one) is PollOutcome.CHANGED)

    @property
    def ranges_asked(self) -> list[Request]:
        return [request for request in self.requests if request.is_range]

    @property
    def lists_asked(self) -> list[Request]:
        return [request for request in self.requests if request.is_list]

    @property
    def singles_asked(self) -> list[Request]:
        return [one for one in self.requests if not one.is_list and not one.is_range]

    def _note(
        self, accesses: Sequence[JobAccess], *, is_list: bool, only_ended: bool = False
    ) -> None:
        token, customer = accesses[0].credentials.query, accesses[0].customer
        assert {(one.credentials.query, one.customer) for one in accesses} == {(token, customer)}
        jobs = tuple(one.job_id for one in accesses)
        self.requests.append(Request(now(), token, customer, jobs, is_list, only_ended))

    def _now(self, job_id: str) -> PollOutcome | None:
        if self.gone.get(job_id, float("inf")) <= now():
            return None
        return (
            PollOutcome.CHANGED
            if self.ends.get(job_id, float("inf")) <= now()
            else PollOutcome.RUNNING
        )


def is_empty(watcher: Watcher) -> bool:
    """Nothing is left of any wait: no watch, no batch, no timer, no request."""
    scheduler = watcher._scheduler
    return (
        watcher.stats().watches == watcher.stats().waiters == len(scheduler) == 0
        and not scheduler._states
        and not len(scheduler._batches)
        and not scheduler._batches._queue
        and not scheduler._alarm.is_set
    )


async def waits(
    watcher: Watcher, accesses: Iterable[JobAccess], seconds: float = 55
) -> list[tuple[WaitVerdict, float]]:
    """How each wait ended, and when; nothing is left of them once the last look is over."""

    async def one(access: JobAccess) -> tuple[WaitVerdict, float]:
        return await watcher.wait(access, seconds), now()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(access)) for access in accesses]
    await asyncio.sleep(POLL_SECONDS)
    assert is_empty(watcher)
    return [task.result() for task in tasks]
