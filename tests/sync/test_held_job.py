import asyncio

import pytest

from gateway.config import SyncConfig
from gateway.downstream.exchange import Exchange
from gateway.errors import Response, ResponseTooLarge
from gateway.sync.following.following import Following
from gateway.sync.held_job import HoldTime, Unended, Wanted
from gateway.sync.jobs.access import job_access
from gateway.sync.jobs.reader import Refused
from gateway.sync.kept.memory_results import MemoryResults
from gateway.sync.kept.results import Results
from gateway.sync.looks.lessons import Lessons
from gateway.sync.push.lateness import Lateness
from gateway.sync.responses import KnownJob
from gateway.sync.results.formats import Format
from gateway.sync.snapshots import Snapshot
from gateway.sync.watch.state import LastSeen
from gateway.sync.watch.watcher import Watcher
from gateway.upstream.messages.messages import Purpose, UpstreamResponse
from tests.support.replay import until
from tests.support.theeye import (
    JOB_ID,
    TheEye,
    exchange,
    finished,
    job_hold,
    orchestrator,
    plenty,
    reader,
    reply,
)
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time


class Holding:
    """The parts that hold a job, in front of ``upstream``."""

    def __init__(self, upstream: TheEye) -> None:
        settings = SyncConfig()
        self.watcher = Watcher(orchestrator(upstream, 100_000), now, lambda: 0.5, settings)
        self.store = MemoryResults(now, settings)
        results = Results(reader(upstream, 100_000).read, self.store)
        self.following = Following(
            self.watcher, results, Lessons(self.watcher.learn), now, settings
        )
        self.lateness = Lateness(now, now)
        self.jobs = job_hold(
            results, self.watcher, self.following, settings, lateness=self.lateness
        )

    async def hold(
        self, time: HoldTime, snapshot: Snapshot | None = None
    ) -> Response | Refused | Unended:
        held = held_for()
        return await self.jobs.hold(held, wanted_by(held), time, snapshot)


def held_for() -> Exchange:
    held = exchange("POST", "/task/1/job")
    held.buffered = plenty().of(b"k")
    return held


def wanted_by(held: Exchange) -> Wanted:
    access = job_access(JOB_ID, held.query, held.client.fields, held.identity, "")
    return Wanted(access, Format("output"), b"h" * 16)


def just_seen() -> Snapshot:
    return Snapshot(KnownJob(JOB_ID, "ready", "in_progress"), LastSeen(now()), ())


async def test_job_that_was_just_seen_is_not_read_before_it_has_ended() -> None:
    upstream = TheEye(changes_at=3)
    response = await Holding(upstream).hold(HoldTime(10), just_seen())
    assert isinstance(response, Response)
    assert response.status == 200
    assert upstream.asked[0].at > 0


async def test_hold_without_time_looks_once() -> None:
    upstream = TheEye()
    held = await Holding(upstream).hold(HoldTime(0))
    assert isinstance(held, Unended)
    assert not held.was_drained
    assert held.known == KnownJob(JOB_ID, "assigned", "in_progress")
    assert len(upstream.asked) == 1
    assert now() == 0


async def test_hold_that_looks_last_gets_a_result_at_its_very_end() -> None:
    upstream = TheEye(changes_at=9.999, then=reply(finished()))
    response = await Holding(upstream).hold(HoldTime(10, looks_last=True), just_seen())
    assert isinstance(response, Response)
    assert now() == 10


async def test_drained_hold_says_what_was_known() -> None:
    holding = Holding(TheEye())
    async with asyncio.TaskGroup() as group:
        held = group.create_task(holding.hold(HoldTime(10), just_seen()))
        await asyncio.sleep(1)
        holding.watcher.drain()
    assert isinstance(unended := held.result(), Unended)
    assert unended.was_drained
    assert unended.known == KnownJob(JOB_ID, "ready", "in_progress")


@pytest.mark.parametrize("snapshot", [True, False])
async def test_client_that_leaves_has_its_result_kept(snapshot: bool) -> None:
    upstream = TheEye(changes_at=20)
    holding = Holding(upstream)
    held = asyncio.get_running_loop().create_task(
        holding.hold(HoldTime(60), just_seen() if snapshot else None)
    )
    await asyncio.sleep(5)
    assert not len(holding.following)
    held.cancel()
    await asyncio.sleep(0.5)
    assert len(holding.following) == 1
    await asyncio.sleep(25)
    assert not len(holding.following)
    assert holding.store.stats().entries == 1


async def test_client_that_leaves_while_its_result_is_read_has_it_kept_by_that_read() -> None:
    upstream = TheEye(changes_at=20, latency_seconds=0.4)
    holding = Holding(upstream)
    held = asyncio.get_running_loop().create_task(holding.hold(HoldTime(60), just_seen()))
    await asyncio.sleep(20)
    await until(lambda: any(asked.purpose is Purpose.READ for asked in upstream.asked))
    held.cancel()
    await asyncio.sleep(10)
    assert sum(asked.purpose is Purpose.READ for asked in upstream.asked) == 1
    assert holding.store.stats().entries == 1
    assert not len(holding.following)


@pytest.mark.parametrize("first", [reply(finished()), reply(b'"job not found"', 404), None])
async def test_job_that_its_client_was_not_shown_running_is_not_followed(
    first: UpstreamResponse | None,
) -> None:
    holding = Holding(TheEye(first))
    await holding.hold(HoldTime(1))
    assert not len(holding.following)


async def test_result_that_is_larger_than_may_be_held_is_looked_for_once_more_at_most() -> None:
    upstream = TheEye(changes_at=5, then=reply(finished(output=["x" * 200_000])))
    holding = Holding(upstream)
    with pytest.raises(ResponseTooLarge):
        await holding.hold(HoldTime(20))
    before = len(upstream.asked)
    await asyncio.sleep(60)
    assert not len(holding.following)
    assert len(upstream.asked) - before <= 5


async def test_lateness_of_an_end_that_was_waited_for_is_counted_once() -> None:
    holding = Holding(TheEye(changes_at=3))
    await holding.hold(HoldTime(10), just_seen())
    found = holding.lateness.seconds["poll"]
    assert sum(found.counts) == 1
    assert 0 <= found.sum <= 1


async def test_job_that_had_ended_when_it_was_first_read_was_late_for_nobody() -> None:
    holding = Holding(TheEye(changes_at=0))
    await holding.hold(HoldTime(10))
    assert sum(holding.lateness.seconds["poll"].counts) == 0
