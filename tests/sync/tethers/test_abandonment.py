"""How jobs are cancelled that are left by many at once; ``test_tethers`` holds when."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gateway.errors import GatewayTimeout, Response
from gateway.sync.cancellation.canceller import Canceller, Way
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.jobs.reader import Refused
from gateway.sync.tethers.abandonment import AT_ONCE, ATTEMPTS, Abandonment
from gateway.sync.tethers.tether import Tether, TetherRecord, TetherState
from gateway.sync.tethers.tether_scripts import Claimed
from gateway.sync.tethers.wish import Wish
from gateway.upstream.messages.messages import UpstreamResponse
from tests.support.tethered import SharedMemory, Upstream
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time

RECORD = TetherRecord(b"c" * 16, Wish(on_timeout=False, on_disconnect=True))


def tether(number: int = 0, *, with_token: bool = True) -> Tether:
    job_id = f"{number:024x}"
    access = JobAccess(job_id, "acme", Credentials("access_token=t", ())) if with_token else None
    return Tether(job_id, RECORD, access, b"t", TetherState.CANCELLING)


def abandonment(upstream: Upstream, memory: SharedMemory | None = None) -> Abandonment:
    shared = None if memory is None else memory.of(1)
    return Abandonment(Canceller(upstream.hints.append), upstream.way, shared, 15.0)


async def test_few_jobs_are_cancelled_side_by_side() -> None:
    upstream = Upstream()
    cancelling = abandonment(upstream)
    began = now()
    verdicts = await asyncio.gather(*[cancelling.judged(tether(one)) for one in range(80)])
    assert verdicts == [None] * 80
    assert len(upstream.cancelled) == 80
    assert now() - began >= 0.02 * 80 / AT_ONCE


async def test_attempts_of_which_nothing_comes_are_fewer_and_fewer() -> None:
    memory = SharedMemory(is_down=True)
    upstream, one = Upstream(), tether()
    cancelling = abandonment(upstream, memory)
    gaps = [await cancelling.judged(one) for _ in range(ATTEMPTS + 1)]
    assert gaps[:7] == [2, 4, 8, 16, 32, 60, 60]
    assert gaps[-2:] == [60, None]


async def test_process_without_a_token_cancels_nothing() -> None:
    upstream = Upstream()
    assert await abandonment(upstream).judged(tether(with_token=False)) is None
    assert not upstream.cancelled


async def test_failure_after_the_request_was_sent_is_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else it might be cancelled twice."""

    async def fails() -> UpstreamResponse | None:
        raise GatewayTimeout

    upstream, memory = Upstream(), SharedMemory()

    def way(access: JobAccess, holder: bytes | None) -> Way:
        return Way(access.job_id, upstream.way(access, holder).read, fails)

    shared = memory.of(1)
    cancelling = Abandonment(Canceller(upstream.hints.append), way, shared, 15.0)
    one = tether()
    await shared.open(one.job_id, RECORD)
    await asyncio.sleep(100)
    assert await cancelling.judged(one) is None
    assert memory.kept == {}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "nothing was said" in record.getMessage()


async def test_token_that_is_refused_is_told_and_is_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    upstream = Upstream()
    upstream.says = Refused(Response(401, b'"Unauthorized"'))
    assert await abandonment(upstream).judged(tether()) is None
    assert "refused with 401" in caplog.text
    assert not upstream.cancelled


async def test_claim_is_ended_though_nobody_can_be_told() -> None:
    upstream, memory = Upstream(), SharedMemory()
    one = tether()
    await memory.of(1).open(one.job_id, RECORD)
    await asyncio.sleep(100)

    def goes_down() -> None:
        memory.is_down = True

    upstream.when_cancelled = goes_down
    assert await abandonment(upstream, memory).judged(one) is None
    assert upstream.cancelled[one.job_id] == 1
    memory.is_down = False
    assert await memory.of(1).claim(one.job_id, 20.0) == Claimed(), "until it expires"
