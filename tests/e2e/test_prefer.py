"""Results as the answer of the one request that creates the job (RFC 7240), got by curl."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from gateway.demo.routes import Operation
from tests.support.harness import Shown, curl, gateway_before, process_before
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.demo.orchestrator import Orchestrator
    from gateway.server.server import Server


@pytest.fixture
async def server(orchestrator: Orchestrator) -> AsyncIterator[Server]:
    """A gateway before ``orchestrator``."""
    async with gateway_before(orchestrator.url) as server:
        yield server


async def create(
    orchestrator: Orchestrator, url: str, task: str, *prefer: str, query: str = "parse"
) -> Shown:
    """The one response to a request that creates a job."""
    fields = [
        f"Authorization: Bearer {orchestrator.tokens['acme-user']}",
        "Content-Type: application/json",
        *(f"Prefer: {each}" for each in prefer),
    ]
    options = [option for field in fields for option in ("--header", field)]
    target = f"{url}/task/{orchestrator.tasks[task].id}/job?{query}"
    (shown,) = await curl(*options, "--data", "[]", target)
    return shown


async def test_result_is_the_response_and_costs_one_request(
    orchestrator: Orchestrator, server: Server
) -> None:
    shown = await create(orchestrator, server.url, "instant", "wait=30")
    assert (shown.status, shown.content) == (200, b'{"message":"Hello world!"}')
    assert shown["Preference-Applied"] == "wait=30"
    assert shown["X-TheEye-Job-State"] == "success"
    assert shown["Content-Location"].startswith(f"/job/{shown['X-TheEye-Job-Id']}/result?parse")
    assert orchestrator.requests[Operation.CREATE] == 1


async def test_result_comes_when_the_job_ends(orchestrator: Orchestrator, server: Server) -> None:
    async with asyncio.TaskGroup() as group:
        creating = group.create_task(create(orchestrator, server.url, "held", "wait=30"))
        await until(lambda: bool(list(orchestrator.jobs)))
        (job,) = orchestrator.jobs
        await until(lambda: orchestrator.requests[Operation.READ] > 0)
        assert not creating.done()
        orchestrator.finish(job.id, output=['{"a":1}'])
    shown = creating.result()
    assert (shown.status, shown.content) == (200, b'{"a":1}')


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        (("respond-async",), "respond-async"),
        (("respond-async, wait=0",), "respond-async, wait=0"),
        (("respond-async", "wait=0"), "respond-async, wait=0"),
        (("wait=0",), "wait=0"),
    ],
)
async def test_rfc_7240_4_1_job_is_accepted_and_its_result_is_at_the_location(
    orchestrator: Orchestrator, server: Server, prefer: tuple[str, ...], applied: str
) -> None:
    shown = await create(orchestrator, server.url, "held", *prefer)
    assert (shown.status, shown["Preference-Applied"]) == (202, applied)
    job = json.loads(shown.content)
    assert job["id"] == shown["X-TheEye-Job-Id"]
    assert int(shown["Retry-After"]) >= 1
    orchestrator.finish(job["id"], output=['{"a":1}'])
    token = orchestrator.tokens["acme-user"]
    (later,) = await curl(
        "--header", f"Authorization: Bearer {token}", server.url + shown["Location"]
    )
    assert (later.status, later.content) == (200, b'{"a":1}')
    assert orchestrator.requests[Operation.CREATE] == 1


async def test_result_is_not_given_to_another_organization(
    orchestrator: Orchestrator, server: Server
) -> None:
    shown = await create(orchestrator, server.url, "instant", "wait=30")
    stranger = orchestrator.tokens["globex-user"]
    (refused,) = await curl(
        *("--header", f"Authorization: Bearer {stranger}", "--header", "Prefer: wait=0"),
        f"{server.url}/job/{shown['X-TheEye-Job-Id']}/result?parse",
    )
    assert (refused.status, refused.content) == (404, b'"job not found"')


async def test_process_that_is_to_stop_accepts_whoever_waits(orchestrator: Orchestrator) -> None:
    async with process_before(orchestrator.url) as gateway, asyncio.TaskGroup() as group:
        creating = group.create_task(create(orchestrator, gateway.url, "held", "wait=50"))
        await until(lambda: orchestrator.requests[Operation.READ] > 0)
        gateway.running.terminate()
    assert creating.result().status == 202
    assert orchestrator.requests[Operation.CREATE] == 1
