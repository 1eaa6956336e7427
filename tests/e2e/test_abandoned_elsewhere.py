"""Jobs are cancelled once nobody waits for them in any gateway: processes, and a real Redis."""

from __future__ import annotations

import asyncio
import random
import re
import signal
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from gateway.demo.versions import Version
from tests.support.harness import Process, connected, once, process_before
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.demo.jobs import StoredJob
    from tests.support.redis_server import RedisServer

ABANDON_SECONDS = 2.0
CANCELS = "X-TheEye-On-Disconnect: cancel"


@asynccontextmanager
async def two_before(
    orchestrator: Orchestrator, redis: RedisServer
) -> AsyncIterator[tuple[Process, Process]]:
    settings = {
        "redis__url": redis.url,
        "limits__mode": "report",
        "sync__abandon_seconds": str(ABANDON_SECONDS),
    }
    async with (
        process_before(orchestrator.url, **settings) as one,
        process_before(orchestrator.url, **settings) as other,
    ):
        yield one, other


def message(orchestrator: Orchestrator, method: str, target: str, *fields: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway.test", *fields]
    lines += [f"Authorization: Bearer {orchestrator.tokens['acme-user']}"]
    if method == "POST":
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode()


async def created(orchestrator: Orchestrator, gateway: Process, *fields: str) -> StoredJob:
    """The job that a client has created, and where it has been sent on."""
    target = f"/task/{orchestrator.tasks['held'].id}/job?wait_result=true&timeout=1"
    asked = message(orchestrator, "POST", target, *(fields or (CANCELS,)))
    head, _ = await once(gateway.url, asked)
    assert head.startswith(b"HTTP/1.1 303 ")
    found = re.search(rb"/job/(\w+)/result", head)
    assert found is not None
    job = orchestrator.jobs.get(found[1].decode())
    assert job is not None
    return job


def get(orchestrator: Orchestrator, job: StoredJob, seconds: int = 50) -> bytes:
    return message(orchestrator, "GET", f"/job/{job.id}/result?timeout={seconds}")


async def stays(job: StoredJob, seconds: float = 1.5 * ABANDON_SECONDS) -> None:
    """For a while nobody cancels it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert job.ending is None
        await asyncio.sleep(0.02)


async def is_seen(orchestrator: Orchestrator, reads: int = 1) -> None:
    """A gateway has read a job for a client."""
    await until(lambda: orchestrator.requests[Operation.READ] >= reads)


@pytest.mark.parametrize("version", list(Version))
async def test_job_is_cancelled_by_the_gateway_that_is_left(
    version: Version, redis_server: RedisServer
) -> None:
    """Its client waits at another, which is killed."""
    async with (
        Orchestrator.serving(version=version) as orchestrator,
        two_before(orchestrator, redis_server) as (one, other),
    ):
        job = await created(orchestrator, one)
        async with connected(other.url) as client:
            await client.send(get(orchestrator, job))
            await stays(job)
            other.signal(signal.SIGKILL)
            killed_at = time.monotonic()
            assert await client.until_closed() == b""
        await until(lambda: job.ending is not None)
        assert time.monotonic() - killed_at >= ABANDON_SECONDS
        assert job.ending is not None
        assert job.ending.trigger_name == "canceled"
        assert orchestrator.requests[Operation.CANCEL] == 1
        one.signal(signal.SIGTERM)
        await one.ended()
    told = [line for line in one.told.splitlines() if f"job {job.id} is cancelled" in line]
    assert len(told) == 1
    assert f"nobody has waited for it for {ABANDON_SECONDS:g} s" in told[0]
    assert orchestrator.tokens["acme-user"] not in one.told


async def test_gateway_that_has_seen_the_wait_cancels_where_the_creators_is_killed(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    async with two_before(orchestrator, redis_server) as (one, other):
        job = await created(orchestrator, one)
        async with connected(other.url) as client:
            await client.send(get(orchestrator, job))
            await is_seen(orchestrator)
            one.signal(signal.SIGKILL)
            await stays(job)
        await until(lambda: job.ending is not None)
        assert orchestrator.requests[Operation.CANCEL] == 1


async def test_nobody_cancels_where_no_gateway_has_seen_the_wait(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    """There is no token to do it with."""
    async with two_before(orchestrator, redis_server) as (one, _):
        job = await created(orchestrator, one)
        one.signal(signal.SIGKILL)
        await stays(job)


async def test_gateway_that_is_stopped_hands_its_waits_over(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    async with two_before(orchestrator, redis_server) as (one, other):
        job = await created(orchestrator, one)
        async with connected(one.url) as client:
            await client.send(get(orchestrator, job))
            await is_seen(orchestrator)
            one.signal(signal.SIGTERM)
            head, _ = await client.answer()
            assert head.startswith(b"HTTP/1.1 303 ")
        await one.ended()
        async with connected(other.url) as client:
            await client.send(get(orchestrator, job))
            await stays(job)
            orchestrator.finish(job.id, output=["1"])
            _, content = await client.answer()
    assert content == b'["1"]'
    assert orchestrator.requests[Operation.CANCEL] == 0


async def test_wait_that_is_over_at_another_gateway_cancels(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    async with two_before(orchestrator, redis_server) as (one, other):
        job = await created(orchestrator, one, "X-TheEye-On-Timeout: cancel")
        target = f"/job/{job.id}/result?timeout=1&limit=1"
        head, _ = await once(other.url, message(orchestrator, "GET", target))
        assert head.startswith(b"HTTP/1.1 408 ")
        await until(lambda: job.ending is not None)
        assert orchestrator.requests[Operation.CANCEL] == 1


async def test_nothing_is_cancelled_while_redis_is_down(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    async with two_before(orchestrator, redis_server) as (one, other):
        job = await created(orchestrator, one)
        async with connected(other.url) as client:
            await client.send(get(orchestrator, job))
            await is_seen(orchestrator)
            await redis_server.stop()
            await stays(job, 2 * ABANDON_SECONDS)
            orchestrator.finish(job.id, output=["1"])
            _, content = await client.answer()
    assert content == b'["1"]'
    assert orchestrator.requests[Operation.CANCEL] == 0


@dataclass
class Course:
    """One client of a storm, and its job."""

    job: StoredJob
    is_wanted: bool
    last: float = field(default_factory=time.monotonic)
    """When the client has left last."""
    ended: float = 0.0


class Storm:
    """Clients that come and go at random at two gateways."""

    def __init__(
        self, orchestrator: Orchestrator, gateways: list[Process], chance: random.Random
    ) -> None:
        self.orchestrator = orchestrator
        self.gateways = gateways
        self.chance = chance
        self.courses: list[Course] = []

    async def client(self, is_wanted: bool) -> None:
        """Create a job, visit it now and then, and stay with it or leave it."""
        await asyncio.sleep(self.chance.random() * 0.5)
        job = await created(self.orchestrator, self.chance.choice(self.gateways))
        course = Course(job, is_wanted)
        self.courses.append(course)
        for _ in range(self.chance.randrange(8)):
            await asyncio.sleep(self.chance.random() * ABANDON_SECONDS / 4)
            await self.visit(course)
        if not is_wanted:
            return
        content = b""
        while not content:
            content = await self.visit(course, seconds=50.0)
        assert content == b'["wanted"]'

    async def visit(self, course: Course, seconds: float = 0.0) -> bytes:
        """Wait for a while, to its end or not: what was answered in the end."""
        head, content = b"", b""
        limit = seconds or self.chance.random() * 1.3
        with suppress(TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            async with connected(self.chance.choice(self.gateways).url) as client:
                await client.send(get(self.orchestrator, course.job, 1))
                async with asyncio.timeout(limit):
                    head, content = await client.answer()
        course.last = time.monotonic()
        return content if head.startswith(b"HTTP/1.1 200 ") else b""

    async def watch(self) -> None:
        """Note when jobs have ended."""
        while True:
            for course in self.courses:
                if course.job.ending is not None and not course.ended:
                    course.ended = time.monotonic()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.no_cover
async def test_storm_of_clients_that_come_and_go(
    orchestrator: Orchestrator, redis_server: RedisServer, seed: int
) -> None:
    """No job is cancelled that somebody still wanted, none is left running that nobody did."""
    async with two_before(orchestrator, redis_server) as gateways:
        storm = Storm(orchestrator, list(gateways), random.Random(seed))  # noqa: S311 - for a test
        watching = asyncio.get_running_loop().create_task(storm.watch())
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(storm.client(number % 2 == 0)) for number in range(40)]
            leavers = clients[1::2]
            await until(lambda: all(client.done() for client in leavers))
            left = [course for course in storm.courses if not course.is_wanted]
            await until(lambda: all(course.job.ending is not None for course in left))
            wanted = [course for course in storm.courses if course.is_wanted]
            assert not [course for course in wanted if course.job.ending is not None]
            for course in wanted:
                orchestrator.finish(course.job.id, output=["wanted"])
        await asyncio.sleep(0.02)
        watching.cancel()
        assert len(left) == len(wanted) == 20
        for course in left:
            assert course.ended - course.last >= ABANDON_SECONDS - 0.05
        assert orchestrator.requests[Operation.CANCEL] == len(left)
