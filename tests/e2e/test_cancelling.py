"""Clients cancel jobs, on real sockets, in front of the embedded orchestrator."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import pytest

from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from gateway.demo.tasks import CATALOGUE, Task
from gateway.demo.versions import Version
from tests.support.harness import (
    connected,
    gateway_before,
    nameless,
    once,
)
from tests.support.pipeline import Record
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.server.server import Server


FIXED = Task("fixed", "64ac0b46c06feba9b89ad7f0", is_cancellable=False)
"""Its jobs are cancelled by admins only."""


@pytest.fixture(params=list(Version))
def version(request: pytest.FixtureRequest) -> Version:
    """Each version of TheEye."""
    assert isinstance(request.param, Version)
    return request.param


@pytest.fixture
async def orchestrator(version: Version) -> AsyncIterator[Orchestrator]:
    async with Orchestrator.serving(tasks=[*CATALOGUE, FIXED], version=version) as serving:
        yield serving


@pytest.fixture
async def server(orchestrator: Orchestrator) -> AsyncIterator[Server]:
    async with gateway_before(orchestrator.url) as server:
        yield server


def asking(
    orchestrator: Orchestrator,
    method: str,
    job_id: str,
    *fields: str,
    query: str = "",
    caller: str = "acme-user",
) -> bytes:
    """A request for a result, or to cancel its job."""
    token = orchestrator.tokens[caller]
    lines = [f"{method} /job/{job_id}/result{query} HTTP/1.1", "Host: gateway.test"]
    lines += [f"Authorization: Bearer {token}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


LIFECYCLES = {
    Version.ASYNC_ONLY: "finished",
    Version.FIRST_SYNC: "finished",
    Version.NEWEST: "canceled",
}
"""Of a job that was ready when it was cancelled (observed in each version)."""


def status_of_cancelled(version: Version) -> int:
    """4.6.0 takes a cancelled job for a success."""
    return 200 if version is Version.FIRST_SYNC else 500


def status(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])


def field(head: bytes, name: str) -> str:
    (found,) = re.findall(rf"(?im)^{name}: (.*)\r$", head.decode())
    return str(found)


async def test_all_who_wait_get_the_cancelled_job(
    version: Version, orchestrator: Orchestrator, server: Server
) -> None:
    """Also if nothing but a poll would tell of it: they look at once."""
    job_id = orchestrator.create("held").id
    waiting = [
        asking(orchestrator, "GET", job_id, "Prefer: wait=50", query="?full"),
        asking(orchestrator, "GET", job_id, query="?full&timeout=50", caller="acme-owner"),
        asking(orchestrator, "POST", job_id, query="?full&timeout=50", caller="acme-admin"),
    ]
    async with asyncio.TaskGroup() as group:
        held = [group.create_task(once(server.url, message)) for message in waiting]
        watcher = server._gateway._sync.watcher
        await until(lambda: watcher.stats().waiters == 3)
        head, content = await once(server.url, asking(orchestrator, "DELETE", job_id))
    assert status(head) == 202
    assert json.loads(content)["id"] == job_id
    for task in held:
        head_of_result, result = task.result()
        assert status(head_of_result) == status_of_cancelled(version)
        told = json.loads(result)
        assert (told["lifecycle"], told["trigger_name"]) == (
            LIFECYCLES[version],
            "canceled",
        )
    query = "?" + field(head, "Location").partition("?")[2]
    again, _ = await once(server.url, asking(orchestrator, "GET", job_id, query=query))
    assert status(again) == status_of_cancelled(version)
    assert orchestrator.requests[Operation.CANCEL] == 1


async def test_second_cancellation_conflicts_and_changes_nothing(
    orchestrator: Orchestrator, server: Server
) -> None:
    job_id = orchestrator.create("held").id
    heads = [
        (await once(server.url, asking(orchestrator, "DELETE", job_id, query="?parse")))
        for _ in range(2)
    ]
    (first, _), (second, content) = heads
    assert (status(first), status(second)) == (202, 409)
    assert json.loads(content)["code"] == "JobEnded"
    assert nameless(field(second, "Location")) == nameless(field(first, "Location"))
    assert orchestrator.requests[Operation.CANCEL] == 1


async def test_ended_job_keeps_its_result(orchestrator: Orchestrator, server: Server) -> None:
    job_id = orchestrator.create("held").id
    orchestrator.finish(job_id, output=["kept"])
    problem = "Accept: application/problem+json"
    head, content = await once(server.url, asking(orchestrator, "DELETE", job_id, problem))
    assert status(head) == 409
    assert json.loads(content)["type"] == "urn:theeye-sync-gateway:error:JobEnded"
    orchestrator.remove(job_id)
    head, content = await once(server.url, asking(orchestrator, "GET", job_id))
    assert (status(head), content) == (200, b'["kept"]')
    assert orchestrator.requests[Operation.CANCEL] == 0


async def test_nobody_cancels_a_job_of_another_organization(
    orchestrator: Orchestrator, server: Server
) -> None:
    job_id = orchestrator.create("held").id
    for query in ("", "?customer=globex", "?customer=acme"):
        message = asking(orchestrator, "DELETE", job_id, query=query, caller="globex-user")
        head, _ = await once(server.url, message)
        assert status(head) in {401, 404, 409}
    job = orchestrator.jobs.get(job_id)
    assert job is not None
    assert job.ending is None
    assert orchestrator.requests[Operation.CANCEL] == 0


async def test_who_may_not_cancel_is_told_so_by_the_orchestrator(
    orchestrator: Orchestrator, server: Server
) -> None:
    job_id = orchestrator.create("fixed").id
    head, content = await once(server.url, asking(orchestrator, "DELETE", job_id))
    assert (status(head), content) == (403, b'"Job is not cancellable"')
    assert field(head, "X-TheEye-Job-State") == "in_progress"
    without_token = f"DELETE /job/{job_id}/result HTTP/1.1\r\nHost: x\r\n\r\n"
    head, _ = await once(server.url, without_token.encode())
    assert status(head) == 401
    job = orchestrator.jobs.get(job_id)
    assert job is not None
    assert job.ending is None


async def test_client_that_leaves_has_cancelled_all_the_same(
    orchestrator: Orchestrator, server: Server
) -> None:
    orchestrator.service_seconds = 0.04
    job = orchestrator.create("held")
    async with connected(server.url) as client:
        await client.send(asking(orchestrator, "DELETE", job.id))
        await until(lambda: orchestrator.requests[Operation.READ] == 1)
    await until(lambda: job.ending is not None)
    assert job.ending is not None
    assert job.ending.trigger_name == "canceled"


async def test_script_of_another_origin_may_cancel(
    orchestrator: Orchestrator, server: Server
) -> None:
    job_id = orchestrator.create("held").id
    preflight = (
        f"OPTIONS /job/{job_id}/result HTTP/1.1\r\nHost: x\r\nOrigin: https://a.test\r\n"
        "Access-Control-Request-Method: DELETE\r\n\r\n"
    )
    head, _ = await once(server.url, preflight.encode())
    assert status(head) == 204
    assert "DELETE" in field(head, "Access-Control-Allow-Methods")
    for expected in (202, 409):
        head, _ = await once(
            server.url, asking(orchestrator, "DELETE", job_id, "Origin: https://a.test")
        )
        assert status(head) == expected
        assert field(head, "Access-Control-Allow-Origin") == "https://a.test"
        assert "Location" in field(head, "Access-Control-Expose-Headers")


async def test_cancellation_is_a_kind_of_request_that_costs_what_a_result_does(
    orchestrator: Orchestrator,
) -> None:
    record = Record()
    limits = {"mode": "enforce", "result": {"per_second": 1.0, "burst": 1, "content_bytes": 1024}}
    async with gateway_before(orchestrator.url, record, limits=limits) as server:
        job_id = orchestrator.create("held").id
        message = asking(orchestrator, "DELETE", job_id, query="?counter=1")
        assert [status((await once(server.url, message))[0]) for _ in range(2)] == [202, 429]
    first, second = record.exchanges
    assert (first.kind, first.job_id, first.status) == ("cancel", job_id, 202)
    assert second.limit == "result"
    assert orchestrator.requests[Operation.CANCEL] == 1
