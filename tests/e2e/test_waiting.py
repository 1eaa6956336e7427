"""Requests held while a job runs: what ends the wait, who shares it, what it survives."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.demo.faults import FaultKind as Fault
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from tests.support.harness import RawClient, connected, gateway_before, once
from tests.support.replay import until
from tests.support.watched import is_empty

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.demo.jobs import StoredJob
    from gateway.server.server import Server

WAITERS = 200


@pytest.fixture
async def server(orchestrator: Orchestrator) -> AsyncIterator[Server]:
    """A gateway before ``orchestrator``."""
    async with gateway_before(orchestrator.url) as server:
        yield server


def asking(
    orchestrator: Orchestrator, job: StoredJob, query: str = "timeout=30", caller: str = "acme-user"
) -> bytes:
    """A request for the job's result."""
    token = orchestrator.tokens[caller]
    return (
        b"GET /job/%b/result?%b HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer %b\r\n\r\n"
        % (job.id.encode(), query.encode(), token.encode())
    )


@asynccontextmanager
async def held(
    orchestrator: Orchestrator,
    server: Server,
    job: StoredJob,
    waiters: int = 1,
    caller: str = "acme-user",
) -> AsyncIterator[list[RawClient]]:
    """Clients that wait for the job: each has had it read once."""
    before = orchestrator.requests[Operation.READ]
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(waiters):
            client = await stack.enter_async_context(connected(server.url))
            await client.send(asking(orchestrator, job, caller=caller))
            clients.append(client)
        await until(lambda: orchestrator.requests[Operation.READ] >= before + waiters)
        yield clients


ENDS: dict[str, Callable[[Orchestrator, StoredJob], None]] = {
    "success": lambda it, job: it.finish(job.id, "success", ["1"]),
    "failure": lambda it, job: it.finish(job.id, "failure", ["1"]),
    "canceled": lambda it, job: it.finish(job.id, "canceled", ["1"], lifecycle="canceled"),
    "timeout": lambda it, job: it.finish(job.id, "timeout", ["1"], lifecycle="terminated"),
    "expired": lambda it, job: it.finish(job.id, "expired", ["1"], lifecycle="expired"),
}


@pytest.mark.parametrize("state", ENDS)
async def test_every_end_of_the_job_ends_the_wait(
    orchestrator: Orchestrator, server: Server, state: str
) -> None:
    job = orchestrator.create("held")
    async with held(orchestrator, server, job) as [client]:
        ENDS[state](orchestrator, job)
        head, content = await client.answer()
    assert head.startswith(b"HTTP/1.1 200 " if state == "success" else b"HTTP/1.1 500 ")
    assert content == b'["1"]'
    assert b"X-TheEye-Job-State: %b\r\n" % state.encode() in head


async def test_cancelling_through_the_gateway_ends_the_wait(
    orchestrator: Orchestrator, server: Server
) -> None:
    job = orchestrator.create("held")
    async with held(orchestrator, server, job) as [client]:
        canceled, _ = await once(
            server.url,
            b"PUT /acme/job/%b/cancel?access_token=%b HTTP/1.1\r\nHost: x\r\n\r\n"
            % (job.id.encode(), orchestrator.tokens["acme-user"].encode()),
        )
        assert canceled.startswith(b"HTTP/1.1 204 ")
        head, _ = await client.answer()
    assert head.startswith(b"HTTP/1.1 500 ")
    assert b"X-TheEye-Job-State: canceled\r\n" in head


async def test_job_removed_while_waited_for_is_404_at_once(
    orchestrator: Orchestrator, server: Server
) -> None:
    job = orchestrator.create("held")
    async with held(orchestrator, server, job) as [client]:
        orchestrator.remove(job.id)
        head, content = await client.answer()
    assert head.startswith(b"HTTP/1.1 404 ")
    assert content == b'"job not found"'
    assert b"X-TheEye-Job-Id: %b\r\n" % job.id.encode() in head


async def test_many_waiters_of_one_job_cost_the_upstream_one_watch(
    orchestrator: Orchestrator, server: Server
) -> None:
    job = orchestrator.create("held")
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with held(orchestrator, server, job, WAITERS) as clients:
        await asyncio.sleep(0.05)
        clients[0].writer.transport.abort()
        orchestrator.finish(job.id, output=["1"])
        answers = await asyncio.gather(*(client.answer() for client in clients[1:]))
    assert {content for _, content in answers} == {b'["1"]'}
    # Each reads at the beginning and at the end; in between a watch asks each 100 ms at most.
    looks = orchestrator.requests[Operation.READ] - 2 * WAITERS
    assert looks < 5 + 10 * (loop.time() - began)


async def test_waiters_who_leave_do_not_disturb_the_others(
    orchestrator: Orchestrator, server: Server
) -> None:
    job = orchestrator.create("held")
    async with held(orchestrator, server, job, 3) as [first, second, third]:
        for leaving in (first, third):
            leaving.writer.transport.abort()
            before = orchestrator.requests[Operation.READ]
            await until(lambda: orchestrator.requests[Operation.READ] > before + 1)  # noqa: B023
        orchestrator.finish(job.id, output=["1"])
        assert (await second.answer())[1] == b'["1"]'


async def test_nobody_asks_upstream_once_all_waiters_have_left(
    orchestrator: Orchestrator, server: Server
) -> None:
    job = orchestrator.create("held")
    async with held(orchestrator, server, job) as [client]:
        client.writer.transport.abort()
    async with held(orchestrator, server, orchestrator.create("held")) as [client]:
        before = orchestrator.requests[Operation.READ]
        orchestrator.faults.add(Fault.STATUS, f"/acme/job/{job.id}", status=500)
        await until(lambda: orchestrator.requests[Operation.READ] > before + 2)
    assert orchestrator.faults.take("GET", f"/acme/job/{job.id}"), "the fault befell nobody"


@pytest.mark.parametrize("end", ["abort", "write_eof"])
async def test_client_that_leaves_is_noticed_though_it_has_sent_another_request(
    orchestrator: Orchestrator, server: Server, end: str
) -> None:
    job = orchestrator.create("held")
    async with held(orchestrator, server, job) as [client]:
        await client.send(asking(orchestrator, job))
        await until(lambda: server._gateway._sync.watcher.stats().waiters == 1)
        getattr(client.writer.transport, end)()
        await until(lambda: is_empty(server._gateway._sync.watcher))


@pytest.mark.parametrize(
    "kind", [Fault.REFUSE, Fault.STATUS, Fault.CLOSE, Fault.CUT, Fault.GARBAGE]
)
async def test_wait_goes_on_while_the_upstream_fails(
    orchestrator: Orchestrator, server: Server, kind: Fault
) -> None:
    jobs = [orchestrator.create("held") for _ in range(2)]
    async with (
        held(orchestrator, server, jobs[0]) as [first],
        held(orchestrator, server, jobs[1]) as [second],
    ):
        orchestrator.faults.add(kind, "/acme/job", times=2)
        await until(lambda: not orchestrator.faults._faults)
        for job in jobs:
            orchestrator.finish(job.id, output=["1"])
        answers = [await client.answer() for client in (first, second)]
    assert [content for _, content in answers] == [b'["1"]'] * 2


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("kind", [Fault.LOOKUP, Fault.STATUS])
async def test_wait_goes_on_while_a_4xx_does_not_speak_of_the_job(
    orchestrator: Orchestrator, server: Server, kind: Fault, status: int
) -> None:
    """So TheEye passes on what its session service answers while that fails."""
    jobs = [orchestrator.create("held") for _ in range(2)]
    async with held(orchestrator, server, jobs[0]) as [first], connected(server.url) as second:
        orchestrator.faults.add(kind, "/acme/job", times=4, status=status)
        await second.send(asking(orchestrator, jobs[1]))
        await until(lambda: not orchestrator.faults._faults)
        for job in jobs:
            orchestrator.finish(job.id, output=["1"])
        answers = [await client.answer() for client in (first, second)]
    assert [content for _, content in answers] == [b'["1"]'] * 2


async def test_wait_begins_while_the_upstream_fails(
    orchestrator: Orchestrator, server: Server
) -> None:
    job = orchestrator.create("instant")
    orchestrator.faults.add(Fault.REFUSE, times=3)
    head, content = await once(server.url, asking(orchestrator, job, "parse"))
    assert head.startswith(b"HTTP/1.1 200 ")
    assert content == b'{"message":"Hello world!"}'


async def test_job_is_created_although_its_client_has_left(
    orchestrator: Orchestrator, server: Server
) -> None:
    task = orchestrator.tasks["held"].id.encode()
    token = orchestrator.tokens["acme-user"].encode()
    orchestrator.faults.add(Fault.STALL, method="POST")
    async with connected(server.url) as client:
        await client.send(
            b"POST /task/%b/job?wait_result=true&access_token=%b HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 2\r\n\r\n[]" % (task, token)
        )
        await until(lambda: orchestrator.faults.stalled == 1)
    # A request that is answered shows that the gateway has seen the other client leave.
    await once(server.url, b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n")
    orchestrator.faults.clear()
    await until(lambda: len(list(orchestrator.jobs)) == 1)


async def test_token_may_be_refused_while_waiting(
    orchestrator: Orchestrator, server: Server
) -> None:
    job = orchestrator.create("held")
    async with held(orchestrator, server, job) as [client]:
        orchestrator.faults.add(Fault.STATUS, "/acme/job/", status=401, times=None)
        head, content = await client.answer()
    assert head.startswith(b"HTTP/1.1 401 ")
    assert isinstance(json.loads(content), str)


async def test_jobs_of_one_token_are_asked_for_together(
    orchestrator: Orchestrator, server: Server
) -> None:
    jobs = [orchestrator.create("held") for _ in range(20)]
    async with AsyncExitStack() as stack:
        clients = []
        for job in jobs:
            clients += await stack.enter_async_context(held(orchestrator, server, job))
        before = orchestrator.requests[Operation.LIST]
        await until(lambda: orchestrator.requests[Operation.LIST] > before + 1)
        for job in jobs:
            orchestrator.finish(job.id, output=[job.id])
        answers = [await client.answer() for client in clients]
    assert [json.loads(content) for _, content in answers] == [[job.id] for job in jobs]
    # Each client reads at the beginning and at the end; the first job was alone for a while.
    assert orchestrator.requests[Operation.READ] < 3 * len(jobs)
    await until(lambda: is_empty(server._gateway._sync.watcher))


async def test_job_removed_while_waited_for_is_404_for_its_waiters_only(
    orchestrator: Orchestrator, server: Server
) -> None:
    removed, other = orchestrator.create("held"), orchestrator.create("held")
    async with (
        held(orchestrator, server, removed) as [first],
        held(orchestrator, server, other) as [second],
    ):
        orchestrator.remove(removed.id)
        head, _ = await first.answer()
        assert head.startswith(b"HTTP/1.1 404 ")
        orchestrator.finish(other.id, output=["1"])
        assert (await second.answer())[1] == b'["1"]'
    await until(lambda: is_empty(server._gateway._sync.watcher))


async def test_token_revoked_while_waiting_is_401_for_its_clients_only(
    orchestrator: Orchestrator, server: Server
) -> None:
    jobs = [orchestrator.create("held") for _ in range(2)]
    async with AsyncExitStack() as stack:
        clients: dict[str, list[RawClient]] = {"acme-user": [], "acme-admin": []}
        for caller in clients:
            for job in jobs:
                waiting = held(orchestrator, server, job, caller=caller)
                clients[caller] += await stack.enter_async_context(waiting)
        orchestrator.sessions.log_out(orchestrator.tokens["acme-user"])
        for client in clients["acme-user"]:
            head, _ = await client.answer()
            assert head.startswith(b"HTTP/1.1 401 ")
        for job in jobs:
            orchestrator.finish(job.id, output=["1"])
        for client in clients["acme-admin"]:
            assert (await client.answer())[1] == b'["1"]'
    await until(lambda: is_empty(server._gateway._sync.watcher))


async def test_waits_survive_an_upstream_that_fails_for_a_while(
    orchestrator: Orchestrator, server: Server
) -> None:
    jobs = [orchestrator.create("held") for _ in range(10)]
    async with AsyncExitStack() as stack:
        clients = []
        for job in jobs:
            clients += await stack.enter_async_context(held(orchestrator, server, job))
        orchestrator.faults.add(Fault.REFUSE, "/acme/job", times=6)
        await until(lambda: not orchestrator.faults._faults)
        for job in jobs:
            orchestrator.finish(job.id, output=["1"])
        for client in clients:
            assert (await client.answer())[1] == b'["1"]'
    await until(lambda: is_empty(server._gateway._sync.watcher))


async def test_clients_that_are_slow_to_send_keep_nobody_from_a_result(
    orchestrator: Orchestrator,
) -> None:
    upload = b"POST /acme/task HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
    async with (
        gateway_before(orchestrator.url, upstream={"max_connections": 8}) as server,
        AsyncExitStack() as stack,
    ):
        for _ in range(20):
            slow = await stack.enter_async_context(connected(server.url))
            await slow.send(upload)
        job = orchestrator.create("held")
        async with held(orchestrator, server, job) as [client]:
            orchestrator.finish(job.id, "success", ["1"])
            assert (await client.answer())[1] == b'["1"]'


async def test_states_as_long_as_an_output_do_not_keep_lists_from_being_read(
    orchestrator: Orchestrator, server: Server
) -> None:
    """TheEye 4.4.3 stores a script's last line as the job's state: observed/states.txt."""
    jobs = [orchestrator.create("held") for _ in range(30)]
    async with AsyncExitStack() as stack:
        clients = []
        for job in jobs:
            client = await stack.enter_async_context(connected(server.url))
            await client.send(asking(orchestrator, job))
            clients.append(client)
        await until(lambda: orchestrator.requests[Operation.READ] >= len(jobs))
        await until(lambda: orchestrator.requests[Operation.LIST] >= 1)
        before = orchestrator.requests[Operation.LIST]
        for job in jobs:
            orchestrator.finish(job.id, "x" * 400_000, ["1"])
        for client in clients:
            head, _ = await client.answer()
            assert head.startswith(b"HTTP/1.1 200 ")
    assert orchestrator.requests[Operation.LIST] - before <= 3
