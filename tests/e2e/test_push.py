"""Waits ended by messages through a real Redis, and what becomes of them when Redis fails."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config.timing import USUAL, Timing
from gateway.demo.faults import FaultKind as Fault
from gateway.demo.jobs import WorkflowJob
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from gateway.demo.versions import Version
from tests.support.harness import RawClient, connected, gateway_timed, once
from tests.support.replay import until
from tests.support.workflows import chain, end_next

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.demo.jobs import StoredJob
    from gateway.server.server import Server
    from tests.support.redis_server import RedisServer

SOON: dict[str, Any] = {"safety_net_seconds": 0.05}
"""Looks stay frequent while Redis tells of ends; by default the clients here give up before one."""
WAITERS = 50


class Installation:
    """TheEye's orchestrator and a gateway in front of it, both at the same Redis."""

    def __init__(self, orchestrator: Orchestrator, server: Server) -> None:
        self.orchestrator = orchestrator
        self.server = server

    @property
    def push_connected(self) -> bool:
        push = self.server._gateway._sync.push
        return push is not None and push.stats().is_connected

    @property
    def hints(self) -> int:
        """How many messages named a job."""
        push = self.server._gateway._sync.push
        return 0 if push is None else push.stats().matched

    @property
    def asked(self) -> int:
        return (
            self.orchestrator.requests[Operation.READ] + self.orchestrator.requests[Operation.LIST]
        )

    def lose_messages(self) -> None:
        assert self.orchestrator.publisher is not None
        self.orchestrator.publisher.is_losing = True

    @asynccontextmanager
    async def waiting(
        self, *jobs: StoredJob, caller: str = "acme-user"
    ) -> AsyncIterator[list[RawClient]]:
        """A client for each job; its job has been read once, and a watch is on."""
        token = self.orchestrator.tokens[caller]
        watcher = self.server._gateway._sync.watcher
        before = watcher.stats().waiters
        async with AsyncExitStack() as stack:
            clients = []
            for job in jobs:
                client = await stack.enter_async_context(connected(self.server.url))
                of = f"/workflows/{job.workflow.id}" if isinstance(job, WorkflowJob) else ""
                path = f"{of}/job/{job.id}/result?timeout=30&access_token={token}"
                await client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                clients.append(client)
            await until(lambda: watcher.stats().waiters == before + len(jobs))
            yield clients


@asynccontextmanager
async def installed(
    redis: RedisServer,
    *,
    at_start: bool = True,
    ping_seconds: float = 2.0,
    timing: Timing = USUAL,
    upstream: dict[str, Any] | None = None,
    **sync: Any,
) -> AsyncIterator[Installation]:
    """Everything running and, if Redis is there ``at_start``, subscribed. In the end nothing is
    left of it. ``upstream``: options of the orchestrator."""
    config = {"url": redis.url, "ping_seconds": ping_seconds}
    async with Orchestrator.serving(redis_url=redis.url, **(upstream or {})) as orchestrator:
        async with gateway_timed(timing, orchestrator.url, redis=config, sync=sync) as server:
            installation = Installation(orchestrator, server)
            if at_start:
                await until(lambda: installation.push_connected)
            yield installation
            gateway = server._gateway
            await until(lambda: gateway._sync.watcher.stats().watches == 0)
        assert gateway._sync.push is not None
        assert len(gateway._sync.push._tasks) == 0


async def assert_answered(client: RawClient, content: bytes = b'["1"]') -> None:
    head, answered = await client.answer()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert answered == content


async def test_end_of_the_job_is_pushed_to_everybody_who_waits(redis_server: RedisServer) -> None:
    async with installed(redis_server) as it:
        jobs = [it.orchestrator.create("held") for _ in range(WAITERS)]
        async with it.waiting(*jobs, jobs[0]) as clients:
            for number, job in enumerate(jobs):
                it.orchestrator.finish(job.id, output=[str(number)])
            for number, client in enumerate(clients[:-1]):
                await assert_answered(client, f'["{number}"]'.encode())
            await assert_answered(clients[-1], b'["0"]')
    async with redis_server.client() as asking:
        assert await asking.pubsub_numpat() == 0


async def test_message_that_is_lost_only_delays_the_result(redis_server: RedisServer) -> None:
    async with installed(redis_server, **SOON) as it:
        it.lose_messages()
        job = it.orchestrator.create("held")
        async with it.waiting(job) as [client]:
            it.orchestrator.finish(job.id, output=["1"])
            await assert_answered(client)
        assert it.push_connected
        assert it.hints == 0


async def test_message_that_is_lost_right_after_subscribing_is_missing(
    redis_server: RedisServer,
) -> None:
    soon = Timing(late_seconds=0.02)
    async with installed(redis_server, timing=soon, ping_seconds=0.2, **SOON) as it:
        push = it.server._gateway._sync.push
        assert push is not None
        it.lose_messages()
        job = it.orchestrator.create("held")
        async with it.waiting(job) as [client]:
            it.orchestrator.finish(job.id, output=["1"])
            await assert_answered(client)
        await until(lambda: push.stats().missing == 1)
        assert it.push_connected


async def test_message_before_the_wait_keeps_none_from_ending_it(redis_server: RedisServer) -> None:
    async with installed(redis_server) as it, redis_server.client() as publisher:
        job = it.orchestrator.create("held")
        await publisher.publish(f"{job.organization.id}:job-finished:{job.id}", b"")
        await until(lambda: it.hints == 1)
        async with it.waiting(job) as [client]:
            it.orchestrator.finish(job.id, output=["1"])
            await assert_answered(client)


async def test_message_is_a_hint_and_ends_no_wait_by_itself(redis_server: RedisServer) -> None:
    async with installed(redis_server) as it, redis_server.client() as publisher:
        job = it.orchestrator.create("held")
        async with it.waiting(job) as [client]:
            before = it.asked
            payload = b'{"topic":"job-finished","data":{"state":"success","output":["forged"]}}'
            await publisher.publish(f"{job.organization.id}:job-finished:{job.id}", payload)
            await until(lambda: it.asked > before)
            await until(lambda: it.server._gateway._sync.watcher.stats().waiters == 1)
            it.orchestrator.finish(job.id, output=["1"])
            await assert_answered(client)


async def test_results_come_by_polling_while_redis_is_gone_and_pushed_once_it_is_back(
    redis_server: RedisServer,
) -> None:
    async with installed(redis_server) as it:
        first, second, third = (it.orchestrator.create("held") for _ in range(3))
        async with it.waiting(first, second, third) as clients:
            await redis_server.stop()
            it.orchestrator.finish(first.id, output=["1"])
            await assert_answered(clients[0])
            await redis_server.start()
            it.orchestrator.finish(second.id, output=["1"])
            await assert_answered(clients[1])
            await until(lambda: it.push_connected)
            it.orchestrator.finish(third.id, output=["1"])
            await assert_answered(clients[2])


async def test_results_come_by_polling_while_redis_hangs(redis_server: RedisServer) -> None:
    async with installed(redis_server, ping_seconds=0.02) as it:
        jobs = [it.orchestrator.create("held") for _ in range(WAITERS)]
        async with it.waiting(*jobs) as clients:
            redis_server.hang()
            for job in jobs:
                it.orchestrator.finish(job.id, output=["1"])
            for client in clients:
                await assert_answered(client)
            assert not it.push_connected
        redis_server.resume()


async def test_gateway_starts_and_waits_before_a_redis_that_accepts_and_hangs(
    redis_server: RedisServer,
) -> None:
    redis_server.hang()
    async with installed(redis_server, at_start=False) as it:
        job = it.orchestrator.create("held")
        async with it.waiting(job) as [client]:
            it.orchestrator.finish(job.id, output=["1"])
            await assert_answered(client)
        assert not it.push_connected


async def test_gateway_starts_without_its_redis_and_finds_it_later(
    redis_server: RedisServer,
) -> None:
    await redis_server.stop()
    async with installed(redis_server, at_start=False) as it:
        job = it.orchestrator.create("held")
        async with it.waiting(job) as [client]:
            it.orchestrator.finish(job.id, output=["1"])
            await assert_answered(client)
        await redis_server.start()
        await until(lambda: it.push_connected)


async def test_flood_of_messages_delays_nobody_for_long(redis_server: RedisServer) -> None:
    async with installed(redis_server) as it, redis_server.client() as publisher:
        job = it.orchestrator.create("held")
        async with it.waiting(job) as [client]:
            for _ in range(20):
                async with publisher.pipeline(transaction=False) as pipeline:
                    for number in range(500):
                        pipeline.publish(f"o:job-finished:{number:024x}", b"x" * 1000)
                    await pipeline.execute()
                head, _ = await once(it.server.url, b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 ")
            it.orchestrator.finish(job.id, output=["1"])
            await assert_answered(client)
        await until(lambda: it.hints == 10_001)


async def test_waiter_who_leaves_takes_no_other_with_it(redis_server: RedisServer) -> None:
    async with installed(redis_server) as it:
        job = it.orchestrator.create("held")
        async with it.waiting(job, job) as [leaving, staying]:
            leaving.writer.transport.abort()
            await until(lambda: it.server._gateway._sync.watcher.stats().waiters == 1)
            it.orchestrator.finish(job.id, output=["1"])
            await assert_answered(staying)


async def test_job_removed_while_waited_for_is_404_without_a_message(
    redis_server: RedisServer,
) -> None:
    async with installed(redis_server, **SOON) as it:
        job = it.orchestrator.create("held")
        async with it.waiting(job) as [client]:
            it.orchestrator.remove(job.id)
            head, content = await client.answer()
            assert head.startswith(b"HTTP/1.1 404 ")
            assert content == b'"job not found"'


async def test_token_revoked_while_messages_are_relied_on_is_401_for_its_client_only(
    redis_server: RedisServer,
) -> None:
    async with installed(redis_server, **SOON) as it:
        job = it.orchestrator.create("held")
        async with (
            it.waiting(job, caller="acme-admin") as [staying],
            it.waiting(job) as [revoked],
        ):
            it.orchestrator.sessions.log_out(it.orchestrator.tokens["acme-user"])
            head, _ = await revoked.answer()
            assert head.startswith(b"HTTP/1.1 401 ")
            it.orchestrator.finish(job.id, output=["1"])
            await assert_answered(staying)


async def test_end_that_is_told_while_the_upstream_fails_is_read_when_it_is_back(
    redis_server: RedisServer,
) -> None:
    async with installed(redis_server) as it:
        jobs = [it.orchestrator.create("held") for _ in range(10)]
        async with it.waiting(*jobs) as clients:
            it.orchestrator.faults.add(Fault.REFUSE, times=None)
            before = it.asked
            for job in jobs:
                it.orchestrator.finish(job.id, output=["1"])
            await until(lambda: it.asked > before + len(jobs))
            it.orchestrator.faults.clear()
            for client in clients:
                await assert_answered(client)
            # A read at the message and one of the result each, and the looks between.
            assert it.asked < before + 5 * len(jobs)


async def test_push_is_told_of_in_the_metrics(redis_server: RedisServer) -> None:
    async with installed(redis_server) as it:
        it.orchestrator.create("instant")
        await until(lambda: it.hints == 1)
        _, page = await once(it.server.admin_url, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"\ngateway_push_connected 1.0\n" in page
        assert b'\ngateway_push_messages_total{outcome="matched"} 1.0\n' in page


async def test_closing_does_not_wait_for_a_redis_that_hangs(redis_server: RedisServer) -> None:
    async with asyncio.timeout(5), installed(redis_server):
        redis_server.hang()


async def test_job_that_ends_before_its_client_follows_the_redirect_is_answered(
    redis_server: RedisServer,
) -> None:
    async with installed(redis_server) as it:
        job = it.orchestrator.create("instant")
        await until(lambda: it.hints == 1)
        token = it.orchestrator.tokens["acme-user"]
        target = f"/job/{job.id}/result?timeout=30&parse&access_token={token}"
        head, content = await once(
            it.server.url, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        assert head.startswith(b"HTTP/1.1 200 ")
        assert content == b'{"message":"Hello world!"}'


@pytest.mark.parametrize("version", list(Version))
async def test_each_step_of_a_workflow_is_told_by_its_task_jobs_message(
    redis_server: RedisServer, version: Version
) -> None:
    options = {"workflows": [chain(3)], "version": version, "gap_seconds": 0.02}
    async with installed(redis_server, upstream=options) as it:
        run = it.orchestrator.start("chain")
        async with it.waiting(run) as [client]:
            for step in ("a", "b", "c"):
                await end_next(it.orchestrator, run, "success", step)
            await assert_answered(client, b'["c"]')
        assert it.hints >= 3


async def test_end_of_a_workflow_is_told_by_its_own_message(redis_server: RedisServer) -> None:
    options = {"workflows": [chain(1)], "version": Version.NEWEST, "gap_seconds": 0.05}
    async with installed(redis_server, upstream=options) as it:
        run = it.orchestrator.start("chain")
        async with it.waiting(run) as [client]:
            await end_next(it.orchestrator, run, "success", "done")
            await until(lambda: it.hints == 2)
            await assert_answered(client, b'["done"]')


async def test_messages_that_are_lost_or_forged_end_no_workflow(redis_server: RedisServer) -> None:
    options = {"workflows": [chain(2)], "gap_seconds": 0.02}
    async with (
        installed(redis_server, upstream=options, **SOON) as it,
        redis_server.client() as publisher,
    ):
        run = it.orchestrator.start("chain")
        async with it.waiting(run) as [client]:
            it.lose_messages()
            for _ in range(5):
                channel = f"{run.organization.id}:workflow-job-finished:{run.id}"
                await publisher.publish(channel, b"")
            await until(lambda: it.hints == 5)
            await end_next(it.orchestrator, run, "success", "first")
            await end_next(it.orchestrator, run, "success", "second")
            await assert_answered(client, b'["second"]')
