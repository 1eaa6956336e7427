"""The gateway as a process: how it starts, how it ends, and what becomes of its requests then."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.demo.faults import FaultKind as Fault
from gateway.demo.routes import Operation
from tests.support.harness import (
    connected,
    curl,
    nameless,
    once,
    process,
    process_before,
    wait_id,
)
from tests.support.processes import standing_still, workers_of
from tests.support.replay import until
from tests.support.upstream import upstream_answering

if TYPE_CHECKING:
    from gateway.demo.orchestrator import Orchestrator
    from tests.support.harness import RawClient

QUERY = "a=%20&counter=3&timeout=60"


def held_request(orchestrator: Orchestrator, job_id: str, query: str = QUERY) -> bytes:
    token = orchestrator.tokens["acme-user"]
    return (
        f"GET /job/{job_id}/result?{query}&access_token={token} HTTP/1.1\r\n"
        "Host: gateway.test\r\n\r\n"
    ).encode()


RELAYED = b"GET /api/status HTTP/1.1\r\nHost: gateway.test\r\n\r\n"


async def test_sigterm_hands_back_what_is_held_and_lets_the_rest_finish(
    orchestrator: Orchestrator,
) -> None:
    job = orchestrator.create("held")
    orchestrator.faults.add(Fault.STALL, "/api/status")
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            process_before(orchestrator.url, log__format="text", coverage="on")
        )
        holding, relaying, idle = [
            await stack.enter_async_context(connected(gateway.url)) for _ in range(3)
        ]
        await holding.send(held_request(orchestrator, job.id))
        await relaying.send(RELAYED)
        await until(
            lambda: orchestrator.requests[Operation.READ] == orchestrator.faults.stalled == 1
        )
        [ready] = await curl(f"{gateway.admin_url}/ready")
        assert ready.status == 200

        gateway.signal(signal.SIGTERM)
        head, content = await holding.answer()
        assert head.startswith(b"HTTP/1.1 303 ")
        token = orchestrator.tokens["acme-user"]
        location = f"/job/{job.id}/result?{QUERY}&access_token={token}&limit=10"
        assert f"\r\nLocation: {location}&drained=1&rid=".encode() in head
        assert b"\r\nConnection: close\r\n" in head
        assert content == b"{}"
        assert await holding.until_closed() == b""

        with pytest.raises(ConnectionRefusedError):
            async with connected(gateway.url):
                pass
        [ready] = await curl(f"{gateway.admin_url}/ready")
        assert ready.status == 503
        assert b"draining" in ready.content
        await idle.send(RELAYED)
        head, content = await idle.answer()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in head

        assert gateway.running.returncode is None
        orchestrator.faults.clear()
        head, content = await relaying.answer()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in head
        assert json.loads(content)["status"] == "Node is ok."
        assert await gateway.ended() == 0
    assert [line.partition(" outcome=")[2].split()[0] for line in gateway.logged.splitlines()] == [
        "drained",
        "ok",
        "ok",
    ]
    assert "Traceback" not in gateway.told


async def test_rfc_9110_15_4_no_address_of_a_wait_comes_twice_while_processes_come_and_go(
    orchestrator: Orchestrator,
) -> None:
    """Clients take an address that they have been at for a loop."""
    token = orchestrator.tokens["acme-user"]
    job = orchestrator.create("held")
    addresses = [f"/job/{job.id}/result?access_token={token}&timeout=60&limit=9"]
    for _ in range(3):
        async with process_before(orchestrator.url) as gateway, connected(gateway.url) as client:
            reads = orchestrator.requests[Operation.READ]
            await client.send(f"GET {addresses[-1]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await until(lambda: orchestrator.requests[Operation.READ] > reads)  # noqa: B023
            gateway.signal(signal.SIGTERM)
            head = await client.head()
            addresses += re.findall(r"\r\nLocation: (\S+)\r\n", head.decode())
            await gateway.ended()
    first, *others = addresses
    drained = [nameless(address).partition("&drained=")[2] for address in others]
    assert ("&drained=" in first, drained) == (False, ["1", "2", "3"])
    assert len({wait_id(address) for address in others}) == 1
    assert {address.partition("&counter=")[0] for address in addresses} == {addresses[0]}


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]])
async def test_second_signal_ends_at_once(orchestrator: Orchestrator, workers: list[str]) -> None:
    orchestrator.faults.add(Fault.STALL, "/api/status")
    async with (
        process_before(
            orchestrator.url, *workers, listen__drain_seconds="3600", coverage="on"
        ) as gateway,
        connected(gateway.url) as client,
    ):
        await client.send(RELAYED)
        await until(lambda: orchestrator.faults.stalled == 1)
        gateway.signal(signal.SIGTERM)
        gateway.signal(signal.SIGINT)
        assert await gateway.ended() == 0
    [line] = gateway.logged.splitlines()
    assert json.loads(line)["outcome"] == "cut"
    assert "Traceback" not in gateway.told


async def test_drain_ends_when_its_time_is_up(orchestrator: Orchestrator) -> None:
    orchestrator.faults.add(Fault.STALL, "/api/status")
    async with (
        process_before(orchestrator.url, listen__drain_seconds="0.05") as gateway,
        connected(gateway.url) as client,
    ):
        await client.send(RELAYED)
        await until(lambda: orchestrator.faults.stalled == 1)
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
        with pytest.raises(ConnectionResetError):
            await client.head()


async def test_settings_that_are_wrong_are_told_all_at_once() -> None:
    async with process(listen__port="x", upstream__url="ftp://a", nonsense="1") as gateway:
        assert await gateway.ended() == 1
    problems = gateway.told.splitlines()
    assert len(problems) == 3
    assert all(line.startswith("theeye-sync-gateway: ") for line in problems)
    assert gateway.logged == ""


@pytest.mark.parametrize("listener", ["listen", "admin"])
async def test_port_in_use_is_told_in_a_sentence(listener: str) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = str(taken.sockets[0].getsockname()[1])
    ports = {"listen__port": "0", "admin__port": "0", f"{listener}__port": port}
    async with taken, process(listen__host="127.0.0.1", coverage="on", **ports) as gateway:
        assert await gateway.ended() == 1
    [line] = gateway.told.splitlines()
    assert "cannot listen" in line
    assert port in line


@pytest.mark.parametrize("form", ["json", "text"])
async def test_each_request_is_logged_once_whatever_became_of_it(
    orchestrator: Orchestrator, form: str
) -> None:
    job = orchestrator.create("held")
    orchestrator.faults.add(Fault.CUT, "/acme/job")
    token = orchestrator.tokens["acme-user"].encode()
    async with process_before(orchestrator.url, log__format=form) as gateway:
        await once(gateway.url, b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n")
        async with connected(gateway.url) as client:
            await client.send(b"GET /acme/job?access_token=%b HTTP/1.1\r\nHost: x\r\n\r\n" % token)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.answer()
        await once(gateway.url, b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n")
        async with connected(gateway.url) as client:
            await client.send(held_request(orchestrator, job.id))
            await until(lambda: orchestrator.requests[Operation.READ] > 0)
        async with connected(gateway.url) as client:
            await client.send(held_request(orchestrator, job.id))
            await until(lambda: orchestrator.requests[Operation.READ] > 1)
            gateway.signal(signal.SIGTERM)
            await client.answer()
        assert await gateway.ended() == 0
    lines = gateway.logged.splitlines()
    logged = [
        json.loads(line) if form == "json" else dict(part.split("=", 1) for part in line.split())
        for line in lines
    ]
    assert [(line["kind"], int(line["status"]), line["outcome"]) for line in logged] == [
        ("relay", 200, "ok"),
        ("relay", 200, "cut"),
        ("refused", 400, "refused"),
        ("result", 0, "client_closed"),
        ("result", 303, "drained"),
    ]
    assert {line["job_id"] for line in logged[3:]} == {job.id}
    assert len({line["request_id"] for line in logged}) == len(logged)


class Askers:
    """Clients that ask again and again, on connections that are kept or on new ones."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answered: list[bytes] = []
        self.waiting = 0
        """Clients that have sent a request."""
        self.is_ending = False
        """The gateway is being told to end; who connects from now on may come too late."""

    async def ask(self, fields: bytes) -> None:
        """Until nobody listens any more."""
        while True:
            head, may_be_late = b"", self.is_ending
            try:
                async with connected(self.url) as client:
                    while b"onnection: close" not in head:
                        head = await self._answer(client, fields)
            except ConnectionRefusedError:
                return
            except (BrokenPipeError, ConnectionResetError):
                # The kernel does that to who connects just before a socket is closed.
                if head or not may_be_late:
                    raise

    async def _answer(self, client: RawClient, fields: bytes) -> bytes:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
        self.waiting += 1
        try:
            head, content = await client.answer()
        finally:
            self.waiting -= 1
        self.answered.append(content)
        return head


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="this system does not tell a process's children"
)
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_what_was_received_when_the_end_came_is_answered(workers: str) -> None:
    async with (
        upstream_answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as script,
        process_before(
            script.url, "--workers", workers, limits__mode="off", log__access="false"
        ) as gateway,
        asyncio.TaskGroup() as group,
    ):
        askers = Askers(gateway.url)
        for fields in (b"", b"Connection: close\r\n"):
            for _ in range(10):
                group.create_task(askers.ask(fields))
        await until(lambda: len(askers.answered) > 200)
        serving = workers_of(gateway) or [gateway.running.pid]
        async with standing_still(serving):
            # Nobody accepts these.
            for fields in (b"", b"Connection: close\r\n"):
                for _ in range(10):
                    group.create_task(askers.ask(fields))
            await until(lambda: askers.waiting == 40)
            askers.is_ending = True
            gateway.signal(signal.SIGTERM)
            if gateway.running.pid not in serving:
                await gateway.until_told("draining for")
        assert await gateway.ended() == 0
    assert set(askers.answered) == {b"ok"}
