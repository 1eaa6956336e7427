"""Faults on request, seen from the other end of a connection."""

from __future__ import annotations

import asyncio

import pytest

from gateway.demo.faults import FaultKind
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from tests.support.replay import ask, until

HEALTH = b"GET /api HTTP/1.1\r\nHost: demo\r\n\r\n"
UNKNOWN = b"GET /nowhere HTTP/1.1\r\nHost: demo\r\n\r\n"


async def test_refuse_answers_as_theeye_without_its_auth_service(
    orchestrator: Orchestrator,
) -> None:
    orchestrator.faults.add(FaultKind.REFUSE)
    response = await ask(orchestrator.url, HEALTH)
    assert response.status_line == "HTTP/1.1 500 Internal Server Error"
    assert response.value == {
        "code": "Internal",
        "message": "Error: connect ECONNREFUSED 127.0.0.1:6080",
    }


async def test_fault_befalls_only_the_requests_it_was_asked_for(
    orchestrator: Orchestrator,
) -> None:
    orchestrator.faults.add(FaultKind.STATUS, "/api", method="GET", times=2, status=418)
    post = HEALTH.replace(b"GET", b"POST")
    requests = (UNKNOWN, post, HEALTH, HEALTH, HEALTH)
    statuses = [(await ask(orchestrator.url, one)).status_line.split()[1] for one in requests]
    assert statuses == ["404", "405", "418", "418", "200"]
    assert orchestrator.requests == {Operation.OTHER: 2, Operation.HEALTH: 3}


async def test_fault_without_end_lasts_until_cleared(orchestrator: Orchestrator) -> None:
    orchestrator.faults.add(FaultKind.STATUS, times=None)
    statuses = [(await ask(orchestrator.url, HEALTH)).status_line for _ in range(3)]
    assert set(statuses) == {"HTTP/1.1 503 Service Unavailable"}
    orchestrator.faults.clear()
    assert (await ask(orchestrator.url, HEALTH)).status_line == "HTTP/1.1 200 OK"


async def test_status_of_the_auth_service_is_passed_on_with_the_stack_of_the_lookup(
    orchestrator: Orchestrator,
) -> None:
    orchestrator.faults.add(FaultKind.LOOKUP, status=404)
    response = await ask(orchestrator.url, HEALTH)
    assert response.status_line == "HTTP/1.1 404 Not Found"
    assert response.value["name"] == "authentication failed"
    assert response.value["statusCode"] == 404


async def test_stall_holds_the_answer_until_released(orchestrator: Orchestrator) -> None:
    orchestrator.faults.add(FaultKind.STALL)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask(orchestrator.url, HEALTH))
        await until(lambda: orchestrator.faults.stalled == 1)
        assert not asking.done()
        orchestrator.faults.clear()
    assert asking.result().status_line == "HTTP/1.1 200 OK"
    assert orchestrator.faults.stalled == 0


@pytest.mark.parametrize(
    ("kind", "begins"),
    [
        (FaultKind.CLOSE, b""),
        (FaultKind.GARBAGE, b"\x00\x01"),
        (FaultKind.CUT, b"HTTP/1.1 200 OK\r\n"),
    ],
)
async def test_broken_answer_ends_with_the_connection(
    orchestrator: Orchestrator, kind: FaultKind, begins: bytes
) -> None:
    orchestrator.faults.add(kind)
    host, port = orchestrator.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(HEALTH)
    async with asyncio.timeout(5):
        received = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert received.startswith(begins)
    assert bool(received) is bool(begins)
    _, _, content = received.partition(b"\r\n\r\n")
    assert len(content) < len(b'"Hi, I am ok. Thanks for asking"')
