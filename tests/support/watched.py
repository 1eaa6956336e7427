"""An upstream whose jobs end when told, for whoever looks at them; records who asked what when."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.config import SyncConfig
from gateway.sync.jobs.access import Credentials
from gateway.sync.jobs.listing import Listing, Unlisted
from gateway.sync.jobs.outcome import Look
from gateway.sync.jobs.reader import Reading
from gateway.sync.watch.poll_requests import LOOK_SECONDS
from gateway.sync.watch.state import Verdict
from gateway.sync.watch.watcher import Watcher
from tests.support.theeye import JOB_ID
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def reading(asker: str = "a", job_id: str = JOB_ID, customer: str = "acme") -> Reading:
    return Reading(job_id, customer, Credentials(asker, ()))


def of(asker: str, jobs: Iterable[str], customer: str = "acme") -> list[Reading]:
    return [reading(asker, job_id, customer) for job_id in jobs]


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


@dataclass(slots=True)
class Watched:
    """``says`` and ``lists`` come first; without an answer of theirs a job runs until it ends."""

    ends: dict[str, float] = field(default_factory=dict)
    """When a job ends, by its id."""
    gone: dict[str, float] = field(default_factory=dict)
    """When it is removed."""
    says: Callable[[Reading], Look | None] = lambda _: None
    lists: Callable[[Sequence[Reading]], Listing | None] = lambda _: None
    latency_seconds: float = 0.0
    filters: bool = True
    """It leaves out of a list of ended jobs those that go on."""
    requests: list[Request] = field(default_factory=list)

    def watcher(self, **settings: float) -> Watcher:
        return Watcher(self, now, lambda: 0.5, SyncConfig(**settings))  # type: ignore[arg-type]

    async def look(self, reading: Reading) -> Look:
        self._note([reading], is_list=False)
        await asyncio.sleep(self.latency_seconds)
        return self.says(reading) or self._now(reading.job_id) or Look.CHANGED

    async def look_at_all(self, readings: Sequence[Reading], *, only_ended: bool) -> Listing:
        self._note(readings, is_list=True, only_ended=only_ended)
        await asyncio.sleep(self.latency_seconds)
        said = self.lists(readings)
        if said is not None:
            return said
        if any(self.says(one) is Look.FAILING for one in readings):
            return Unlisted.TOO_MUCH
        states = {one.job_id: self.says(one) or self._now(one.job_id) for one in readings}
        left_out = {None, Look.RUNNING} if only_ended and self.filters else {None}
        return {
            job_id: look
            for job_id, look in states.items()
            if look is not None and look not in left_out
        }

    @property
    def lists_asked(self) -> list[Request]:
        return [request for request in self.requests if request.is_list]

    @property
    def singles_asked(self) -> list[Request]:
        return [request for request in self.requests if not request.is_list]

    def _note(
        self, readings: Sequence[Reading], *, is_list: bool, only_ended: bool = False
    ) -> None:
        token, customer = readings[0].credentials.query, readings[0].customer
        assert {(one.credentials.query, one.customer) for one in readings} == {(token, customer)}
        jobs = tuple(one.job_id for one in readings)
        self.requests.append(Request(now(), token, customer, jobs, is_list, only_ended))

    def _now(self, job_id: str) -> Look | None:
        if self.gone.get(job_id, float("inf")) <= now():
            return None
        return Look.CHANGED if self.ends.get(job_id, float("inf")) <= now() else Look.RUNNING


def is_empty(watcher: Watcher) -> bool:
    """Nothing is left of any wait: no watch, no group, no timer, no request."""
    polling = watcher._polling
    return (
        watcher.stats().watches == watcher.stats().waiters == len(polling) == 0
        and not len(polling._groups)
        and not polling._groups._queue
        and polling._timer is None
    )


async def waits(
    watcher: Watcher, readings: Iterable[Reading], seconds: float = 55
) -> list[tuple[Verdict, float]]:
    """How each wait ended, and when; nothing is left of them once the last look is over."""

    async def one(reading: Reading) -> tuple[Verdict, float]:
        return await watcher.wait(reading, seconds), now()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(reading)) for reading in readings]
    await asyncio.sleep(LOOK_SECONDS)
    assert is_empty(watcher)
    return [task.result() for task in tasks]
