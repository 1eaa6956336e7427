"""Gateways that may have few file descriptors, with more clients than they can let in."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_drain import RELAYED, held_request
from tests.support.harness import Process, connected, once, process_before
from tests.support.processes import workers_of
from tests.test_app import SCRAPE, numbers

if TYPE_CHECKING:
    from gateway.demo.orchestrator import Orchestrator


async def refused(gateway: Process) -> float:
    _, page = await once(gateway.admin_url, SCRAPE)
    return numbers(page.decode())['gateway_connections_refused_total{reason="descriptors"}']


async def connecting(gateway: Process, message: bytes) -> socket.socket:
    """A client that has sent a request and will be read later."""
    host, port = gateway.url.removeprefix("http://").split(":")
    client = socket.socket()
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (host, int(port)))
    await loop.sock_sendall(client, message)
    return client


async def status(client: socket.socket) -> bytes:
    """Of its answer; then the client goes."""
    async with asyncio.timeout(30):
        response = b""
        while b"\r\n\r\n" not in response:
            piece = await asyncio.get_running_loop().sock_recv(client, 65536)
            assert piece, "closed without an answer"
            response += piece
    client.close()
    return response.split()[1]


@pytest.mark.parametrize(("descriptors", "clients"), [(256, 400), (1024, 1300)])
async def test_more_clients_than_descriptors_all_get_their_results(
    orchestrator: Orchestrator, descriptors: int, clients: int
) -> None:
    job = orchestrator.create("held")
    message = held_request(orchestrator, job.id)
    with ExitStack() as stack:
        async with process_before(
            orchestrator.url,
            descriptors=f"-n {descriptors}",
            limits__mode="report",
            sync__min_poll_seconds="0.1",
            sync__max_poll_seconds="0.2",
        ) as gateway:
            assert f"{descriptors} file descriptors are too few" in gateway.told
            async with connected(gateway.url) as early:
                # What is passed on needs a descriptor, too.
                await early.send(RELAYED)
                head, _ = await early.answer()
                assert head.startswith(b"HTTP/1.1 200 ")
                waiting = [
                    stack.enter_context(await connecting(gateway, message)) for _ in range(clients)
                ]
                await gateway.until_told("new clients have to wait")
                await early.send(RELAYED)
                head, _ = await early.answer()
                assert head.startswith(b"HTTP/1.1 200 ")
                assert b"\r\nConnection: close\r\n" in head
            assert await refused(gateway) == 0
            orchestrator.finish(job.id)
            statuses = Counter([await status(client) for client in waiting])
            # Nobody was cut, and nobody is kept out once there are places again.
            head, _ = await once(gateway.url, RELAYED)
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"\r\nConnection: close\r\n" not in head
            gateway.signal(15)
            assert await gateway.ended() == 0
    assert statuses == {b"200": clients}
    assert gateway.told.count("new clients have to wait") == 1
    assert "Traceback" not in gateway.told


async def test_every_process_may_have_as_many_as_its_hard_limit_allows(
    orchestrator: Orchestrator,
) -> None:
    arguments = ("--workers", "2")
    async with process_before(orchestrator.url, *arguments, descriptors="-Sn 256") as gateway:
        for pid in (gateway.running.pid, *workers_of(gateway)):
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            assert soft == hard != 256
