"""Jobs whose result does not fit where others do: TheEye keeps an output four times in each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway.demo.routes import Operation
from tests.support.harness import connected, gateway_before, once
from tests.support.replay import until

if TYPE_CHECKING:
    from gateway.demo.jobs import StoredJob
    from gateway.demo.orchestrator import Orchestrator

MB = 1_000_000


def ended(orchestrator: Orchestrator, size: int, state: str = "success") -> StoredJob:
    """A job with an output of about ``size`` bytes, in front of a small element."""
    job = orchestrator.create("held")
    output: list[Any] = ["x" * size, '{"a":1}']
    line = json.dumps({"state": state, "data": output})
    result = {"code": 0, "log": line, "lastline": line, "output": output}
    orchestrator.finish(job.id, state, output, result=result)
    return job


def asking(
    orchestrator: Orchestrator, job: StoredJob, query: str, caller: str = "acme-user"
) -> bytes:
    token = orchestrator.tokens[caller]
    return (
        f"GET /job/{job.id}/result?{query} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()


async def test_job_with_an_output_of_2_6_mb_is_given_in_every_format(
    orchestrator: Orchestrator,
) -> None:
    job = ended(orchestrator, 26 * MB // 10)
    async with gateway_before(orchestrator.url) as server:
        sizes = {}
        for query in ("full", "result", "output", "parse=1"):
            head, content = await once(server.url, asking(orchestrator, job, query))
            assert head.startswith(b"HTTP/1.1 200 "), query
            sizes[query] = len(content)
        assert sizes["full"] > 10 * MB
        assert sizes["parse=1"] == len(b'{"a":1}')
    assert orchestrator.requests[Operation.OUTPUT] == 0


@pytest.mark.parametrize(("state", "status"), [("success", b"200"), ("failure", b"500")])
async def test_output_of_a_larger_job_is_given_and_parsed(
    orchestrator: Orchestrator, state: str, status: bytes
) -> None:
    job = ended(orchestrator, MB, state)
    limits = {"result_bytes": 3 * MB}
    async with gateway_before(orchestrator.url, limits=limits) as server:
        for query, expected in (
            ("output", b'["%b","{\\"a\\":1}"]' % (b"x" * MB)),
            ("", b'["%b","{\\"a\\":1}"]' % (b"x" * MB)),
            ("parse=1", b'{"a":1}'),
            ("parse=2", b"null"),
        ):
            head, content = await once(server.url, asking(orchestrator, job, query))
            assert head.startswith(b"HTTP/1.1 %b " % status), query
            assert content == expected, query
            assert b"\r\nX-TheEye-Job-State: %b\r\n" % state.encode() in head
        assert orchestrator.requests[Operation.OUTPUT] == 4
        for query in ("full", "result"):
            head, content = await once(server.url, asking(orchestrator, job, query))
            assert head.startswith(b"HTTP/1.1 502 ")
            assert json.loads(content)["code"] == "ResponseTooLarge"
    assert orchestrator.requests[Operation.OUTPUT] == 4


async def test_larger_job_of_another_organization_is_not_found(orchestrator: Orchestrator) -> None:
    job = ended(orchestrator, MB)
    async with gateway_before(orchestrator.url, limits={"result_bytes": 3 * MB}) as server:
        for query in ("output", "output&customer=acme"):
            message = asking(orchestrator, job, query, "globex-user")
            head, content = await once(server.url, message)
            assert not head.startswith(b"HTTP/1.1 200 ")
            assert b"xxx" not in content


async def test_larger_job_is_waited_for(orchestrator: Orchestrator) -> None:
    job = orchestrator.create("held", "x" * 2 * MB)
    async with (
        gateway_before(orchestrator.url, limits={"result_bytes": MB}) as server,
        connected(server.url) as client,
    ):
        await client.send(asking(orchestrator, job, "timeout=30"))
        await until(lambda: orchestrator.requests[Operation.LIST] > 0)
        orchestrator.finish(job.id, output=["1"])
        head, content = await client.answer()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert content == b'["1"]'
