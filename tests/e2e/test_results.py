"""Results that the orchestrator has removed: who still gets them, and who does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.demo.orchestrator import Orchestrator
from gateway.demo.tasks import Task
from tests.support.harness import connected, gateway_before, once

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.demo.jobs import StoredJob

TASK = Task("few", "64ac0b46c06feba9b89ad79f")
OUTPUT = ['{"a":1}', "x" * 200_000]


@pytest.fixture
async def orchestrator() -> AsyncIterator[Orchestrator]:
    """Its one task keeps five jobs, which end when told to."""
    async with Orchestrator.serving(tasks=[TASK]) as serving:
        yield serving


def asking(orchestrator: Orchestrator, job: StoredJob, caller: str, query: str = "parse") -> bytes:
    token = orchestrator.tokens[caller]
    return (
        f"GET /job/{job.id}/result?{query}&customer=acme HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()


def push_out(orchestrator: Orchestrator) -> None:
    """Let the task have so many newer jobs that TheEye removes the older ones."""
    for _ in range(TASK.kept_jobs + 1):
        orchestrator.finish(orchestrator.create("few").id)


async def test_result_that_was_pushed_out_is_there_for_the_same_token_only(
    orchestrator: Orchestrator,
) -> None:
    job = orchestrator.create("few")
    orchestrator.finish(job.id, output=OUTPUT)
    async with gateway_before(orchestrator.url) as server:
        first, content = await once(server.url, asking(orchestrator, job, "acme-user"))
        assert content == b'{"a":1}'
        push_out(orchestrator)
        assert orchestrator.jobs.get(job.id) is None
        again, content = await once(server.url, asking(orchestrator, job, "acme-user"))
        assert content == b'{"a":1}'
        assert without_what_is_of_one_response(again) == without_what_is_of_one_response(first)
        _, content = await once(server.url, asking(orchestrator, job, "acme-user", "output"))
        assert len(content) > 200_000
        for other, status in (
            ("acme-owner", b"404"),
            ("acme-opaque", b"404"),
            ("globex-user", b"404"),
            ("unknown", b"401"),
        ):
            head, content = await once(server.url, asking(orchestrator, job, other))
            assert head.startswith(b"HTTP/1.1 %b " % status)
            assert b'"a"' not in content


VARYING = (b"Date:", b"X-Request-Id:")


def without_what_is_of_one_response(head: bytes) -> list[bytes]:
    return [line for line in head.split(b"\r\n") if not line.startswith(VARYING)]


async def test_client_whose_connection_broke_while_the_answer_came_gets_it_again(
    orchestrator: Orchestrator,
) -> None:
    job = orchestrator.create("few")
    async with gateway_before(orchestrator.url) as server:
        async with connected(server.url) as client:
            await client.send(asking(orchestrator, job, "acme-user", "output&timeout=30"))
            orchestrator.finish(job.id, output=OUTPUT)
            await client.head()
        push_out(orchestrator)
        head, content = await once(server.url, asking(orchestrator, job, "acme-user", "output"))
        assert head.startswith(b"HTTP/1.1 200 ")
        assert len(content) > 200_000


async def test_token_that_was_revoked_meanwhile_gets_the_upstreams_401(
    orchestrator: Orchestrator,
) -> None:
    job = orchestrator.create("few")
    orchestrator.finish(job.id, output=OUTPUT)
    async with gateway_before(orchestrator.url) as server:
        await once(server.url, asking(orchestrator, job, "acme-user"))
        push_out(orchestrator)
        orchestrator.sessions.log_out(orchestrator.tokens["acme-user"])
        head, content = await once(server.url, asking(orchestrator, job, "acme-user"))
        assert head.startswith(b"HTTP/1.1 401 ")
        assert b'"a"' not in content


async def test_result_is_gone_with_the_orchestrators_where_none_are_kept(
    orchestrator: Orchestrator,
) -> None:
    job = orchestrator.create("few")
    orchestrator.finish(job.id, output=OUTPUT)
    sync = {"result_store": "off"}
    async with gateway_before(orchestrator.url, sync=sync) as server:
        await once(server.url, asking(orchestrator, job, "acme-user"))
        push_out(orchestrator)
        head, content = await once(server.url, asking(orchestrator, job, "acme-user"))
        assert head.startswith(b"HTTP/1.1 404 ")
        assert content == b'"job not found"'
