import asyncio

import pytest

from gateway.admission.identity.identities import Identity
from gateway.config import SyncConfig
from gateway.downstream.exchange import Exchange
from gateway.errors import Response
from gateway.sync.held_job import HoldTime, JobHold, Snapshot, Unended, Wanted
from gateway.sync.jobs.access import job_access
from gateway.sync.jobs.reader import Refused
from gateway.sync.kept.memory_results import MemoryResults
from gateway.sync.kept.results import Results
from gateway.sync.responses import KnownJob
from gateway.sync.results.formats import Format
from gateway.sync.results.formatter import Formatter
from gateway.sync.results.parsing import ParsingThread
from gateway.sync.watch.state import LastSeen
from gateway.sync.watch.watcher import Watcher
from tests.support.theeye import (
    JOB_ID,
    TheEye,
    exchange,
    finished,
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
        self.jobs = JobHold(
            Results(reader(upstream, 100_000).read, MemoryResults(now, settings)),
            self.watcher,
            self._answered,
            now,
            formatter=Formatter(ParsingThread(), settings),
        )

    def _answered(self, _identity: Identity, _status: int, _said: Response | None) -> None:
        """Nobody asks."""

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
    return Wanted(access, Format("output"), None)


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
