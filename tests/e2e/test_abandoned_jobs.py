"""Jobs whose creators stop waiting for them are cancelled, where that is wanted: real sockets."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.demo.jobs import WorkflowJob
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from gateway.demo.tasks import CATALOGUE, Task
from gateway.demo.versions import Version
from tests.support.harness import connected, gateway_before, once
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.demo.jobs import StoredJob
    from gateway.server.server import Server

ON_TIMEOUT = "X-TheEye-On-Timeout: cancel"
ON_DISCONNECT = "X-TheEye-On-Disconnect: cancel"
ABANDON_SECONDS = 0.2


@pytest.fixture(params=list(Version))
def version(request: pytest.FixtureRequest) -> Version:
    """Each version of TheEye."""
    assert isinstance(request.param, Version)
    return request.param


FIXED = Task("fixed", "64ac0b46c06feba9b89ad7f0", is_cancellable=False)
"""Its jobs are cancelled by admins only."""


@pytest.fixture
async def orchestrator(version: Version) -> AsyncIterator[Orchestrator]:
    async with Orchestrator.serving(tasks=[*CATALOGUE, FIXED], version=version) as serving:
        yield serving


@asynccontextmanager
async def serving(orchestrator: Orchestrator, **sections: dict[str, Any]) -> AsyncIterator[Server]:
    sync = {"abandon_seconds": ABANDON_SECONDS, **sections.pop("sync", {})}
    async with gateway_before(orchestrator.url, sync=sync, **sections) as server:
        yield server


@pytest.fixture
async def server(orchestrator: Orchestrator) -> AsyncIterator[Server]:
    async with serving(orchestrator) as server:
        yield server


def message(
    orchestrator: Orchestrator, method: str, target: str, *fields: str, caller: str = "acme-user"
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway.test", *fields]
    lines += [f"Authorization: Bearer {orchestrator.tokens[caller]}"]
    if method == "POST":
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode()


def create(
    orchestrator: Orchestrator, *fields: str, query: str = "?wait_result=true&timeout=1"
) -> bytes:
    """A request for a job that ends only when told to."""
    target = f"/task/{orchestrator.tasks['held'].id}/job{query}"
    return message(orchestrator, "POST", target, *fields)


def status(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])


def location(head: bytes) -> str:
    (found,) = re.findall(r"(?im)^location: (.*)\r$", head.decode())
    return str(found)


def only_job(orchestrator: Orchestrator) -> StoredJob:
    (job,) = orchestrator.jobs
    return job


def is_cancelled(job: StoredJob) -> bool:
    return job.ending is not None and job.ending.trigger_name == "canceled"


def tethered(server: Server) -> int:
    return len(server._gateway._sync._tethers)


async def test_job_whose_creator_follows_no_redirect_is_cancelled(
    orchestrator: Orchestrator, server: Server
) -> None:
    head, _ = await once(server.url, create(orchestrator, ON_DISCONNECT))
    assert status(head) == 303
    job = only_job(orchestrator)
    assert not is_cancelled(job)
    await until(lambda: is_cancelled(job))
    await until(lambda: tethered(server) == 0)
    assert orchestrator.requests[Operation.CANCEL] == 1


async def test_job_whose_creator_is_lost_while_it_is_held_is_cancelled(
    orchestrator: Orchestrator, server: Server
) -> None:
    async with connected(server.url) as client:
        await client.send(create(orchestrator, ON_DISCONNECT, "Prefer: wait=50"))
        await until(lambda: server._gateway._sync.watcher.stats().waiters == 1)
    job = only_job(orchestrator)
    await until(lambda: is_cancelled(job))
    assert orchestrator.requests[Operation.CANCEL] == 1


async def test_job_whose_wait_is_over_is_cancelled(
    orchestrator: Orchestrator, server: Server
) -> None:
    query = "?wait_result=true&timeout=1&limit=1"
    head, _ = await once(server.url, create(orchestrator, ON_TIMEOUT, query=query))
    head, content = await once(server.url, message(orchestrator, "GET", location(head)))
    assert (status(head), json.loads(content)["job"]["state"]) == (408, "in_progress")
    await until(lambda: is_cancelled(only_job(orchestrator)))
    assert orchestrator.requests[Operation.CANCEL] == 1


async def test_client_that_waits_and_follows_gets_its_result(
    orchestrator: Orchestrator, server: Server
) -> None:
    """With each of its requests held for longer than it may stay away."""
    head, _ = await once(server.url, create(orchestrator, ON_DISCONNECT, ON_TIMEOUT))
    head, _ = await once(server.url, message(orchestrator, "GET", location(head)))
    assert status(head) == 303
    async with asyncio.TaskGroup() as group:
        held = group.create_task(once(server.url, message(orchestrator, "GET", location(head))))
        await until(lambda: server._gateway._sync.watcher.stats().waiters == 1)
        orchestrator.finish(only_job(orchestrator).id, output=["1"])
    head, content = held.result()
    assert (status(head), content) == (200, b'["1"]')
    assert tethered(server) == 0
    assert orchestrator.requests[Operation.CANCEL] == 0


async def test_reader_that_leaves_cancels_nothing(
    orchestrator: Orchestrator, server: Server
) -> None:
    """Whatever it says. A job that was created elsewhere is nobody's here."""
    job = orchestrator.create("held")
    head, _ = await once(server.url, create(orchestrator, ON_TIMEOUT))
    for job_id in (job.id, location(head).split("/")[2]):
        target = f"/job/{job_id}/result?timeout=1&limit=1"
        for caller in ("acme-owner", "acme-admin"):
            asked = message(orchestrator, "GET", target, ON_TIMEOUT, ON_DISCONNECT, caller=caller)
            assert status((await once(server.url, asked))[0]) == 408
            async with connected(server.url) as client:
                await client.send(asked)
                await until(lambda: server._gateway._sync.watcher.stats().waiters == 1)
            await until(lambda: server._gateway._sync.watcher.stats().waiters == 0)
    for _ in range(20):
        await asyncio.sleep(ABANDON_SECONDS / 10)
    assert orchestrator.requests[Operation.CANCEL] == 0


async def test_client_lost_while_its_job_is_created_leaves_none_behind(
    orchestrator: Orchestrator, server: Server
) -> None:
    orchestrator.service_seconds = 0.05
    async with connected(server.url) as client:
        await client.send(create(orchestrator, ON_DISCONNECT))
        await until(lambda: orchestrator.requests[Operation.CREATE] == 1)
    await until(lambda: len(list(orchestrator.jobs)) == 1)
    await until(lambda: is_cancelled(only_job(orchestrator)))


async def test_retry_with_a_key_is_no_disconnect(orchestrator: Orchestrator) -> None:
    asked = create(orchestrator, ON_DISCONNECT, "Prefer: wait=50", 'Idempotency-Key: "k"')
    async with serving(orchestrator, sync={"abandon_seconds": 2.0}) as server:
        waiters = server._gateway._sync.watcher.stats
        for _ in range(3):
            async with connected(server.url) as client:
                await client.send(asked)
                await until(lambda: waiters().waiters == 1)
            await until(lambda: waiters().waiters == 0)
        async with connected(server.url) as client:
            await client.send(asked)
            await until(lambda: waiters().waiters == 1)
            for _ in range(60):
                await asyncio.sleep(0.04)
            orchestrator.finish(only_job(orchestrator).id, output=["1"])
            head, content = await client.answer()
    assert (status(head), content) == (200, b'["1"]')
    assert orchestrator.requests[Operation.CANCEL] == 0


async def test_client_told_that_its_job_goes_on_may_stay_away(
    orchestrator: Orchestrator, server: Server
) -> None:
    fields = (ON_DISCONNECT, ON_TIMEOUT, "Prefer: respond-async")
    head, _ = await once(server.url, create(orchestrator, *fields))
    assert status(head) == 202
    for _ in range(20):
        await asyncio.sleep(ABANDON_SECONDS / 10)
    assert orchestrator.requests[Operation.CANCEL] == 0


async def test_process_that_stops_cancels_nothing(orchestrator: Orchestrator) -> None:
    async with serving(orchestrator) as server:
        await once(server.url, create(orchestrator, ON_DISCONNECT))
        async with connected(server.url) as client:
            await client.send(create(orchestrator, ON_DISCONNECT, "Prefer: wait=50"))
            await until(lambda: server._gateway._sync.watcher.stats().waiters == 1)
            server._gateway.drain()
            head, _ = await client.answer()
            assert status(head) == 202
        for _ in range(20):
            await asyncio.sleep(ABANDON_SECONDS / 10)
    assert orchestrator.requests[Operation.CANCEL] == 0


async def test_refusal_leaves_the_job_as_it_is(orchestrator: Orchestrator) -> None:
    fixed = orchestrator.tasks["fixed"]
    target = f"/task/{fixed.id}/job?wait_result=true"
    async with serving(orchestrator) as server:
        await once(server.url, message(orchestrator, "POST", target, ON_DISCONNECT))
        await until(lambda: orchestrator.requests[Operation.CANCEL] == 1)
        await until(lambda: tethered(server) == 0)
        page = (await once(server.admin_url, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"))[1]
    counted = b'gateway_cancellations_total{reason="disconnect",verdict="refused"} 1.0'
    assert counted in page
    assert only_job(orchestrator).ending is None


@pytest.mark.parametrize(
    "fields",
    [
        ("X-TheEye-On-Timeout: perhaps",),
        ("X-TheEye-On-Disconnect: cancel", "X-TheEye-On-Disconnect: continue"),
    ],
)
async def test_wish_that_cannot_be_understood_creates_no_job(
    orchestrator: Orchestrator, server: Server, fields: tuple[str, ...]
) -> None:
    head, content = await once(server.url, create(orchestrator, *fields))
    assert (status(head), json.loads(content)["code"]) == (400, "BadRequest")
    assert not list(orchestrator.jobs)
    head, _ = await once(server.url, create(orchestrator, *fields, query=""))
    assert status(head) == 200, "who does not wait is passed on as ever"


async def test_settings_cancel_for_all(orchestrator: Orchestrator) -> None:
    sync = {"on_disconnect": "cancel", "on_timeout": "cancel"}
    async with serving(orchestrator, sync=sync) as server:
        await once(server.url, create(orchestrator))
        await until(lambda: is_cancelled(only_job(orchestrator)))
        spared = create(orchestrator, "X-TheEye-On-Disconnect: continue")
        head, _ = await once(server.url, spared)
        for _ in range(20):
            await asyncio.sleep(ABANDON_SECONDS / 10)
        job = orchestrator.jobs.get(location(head).split("/")[2])
        assert job is not None
        assert job.ending is None


async def test_workflow_whose_creator_leaves_is_cancelled(
    orchestrator: Orchestrator, server: Server
) -> None:
    """By an administrator: TheEye lets nobody else cancel a workflow."""
    workflow = orchestrator.workflows["held-steps"]
    target = f"/workflows/{workflow.id}/job?wait_result=true&timeout=1"
    asked = message(orchestrator, "POST", target, ON_DISCONNECT, caller="acme-admin")
    head, _ = await once(server.url, asked)
    assert status(head) == 303
    assert "/workflows/" in location(head)
    run = orchestrator.jobs.get(location(head).split("/")[4])
    assert isinstance(run, WorkflowJob)
    await until(lambda: (run.lifecycle, run.state) == ("terminated", "canceled"))
    (job,) = orchestrator.task_jobs(run)
    assert job.ending is not None
    assert job.ending.state == "canceled"
    await until(lambda: tethered(server) == 0)
    page = (await once(server.admin_url, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"))[1]
    assert b'gateway_cancellations_total{reason="disconnect",verdict="cancelled"} 1.0' in page
