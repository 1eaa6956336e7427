"""Memory for jobs and results under way: bounded, whoever reads slowly or not at all."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from gateway.demo.routes import Operation
from tests.support.harness import RawClient, connected, gateway_before, once
from tests.support.replay import until

if TYPE_CHECKING:
    from gateway.demo.jobs import StoredJob
    from gateway.demo.orchestrator import Orchestrator
    from gateway.server.server import Server

MIB = 1024 * 1024
LIMITS: dict[str, Any] = {"result_bytes": 5 * MIB, "buffered_bytes": 16 * MIB}
SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def ended(orchestrator: Orchestrator, size: int) -> StoredJob:
    """A job of about ``size`` bytes."""
    job = orchestrator.create("held")
    orchestrator.finish(job.id, output=["x" * size], result={})
    return job


def asking(
    orchestrator: Orchestrator, job: StoredJob, query: str, caller: str = "acme-user"
) -> bytes:
    token = orchestrator.tokens[caller]
    return (
        f"GET /job/{job.id}/result?{query} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()


def creating(orchestrator: Orchestrator, size: int, caller: str = "acme-user") -> bytes:
    """The head of a request that creates a job with ``size`` bytes of content."""
    task, token = orchestrator.tasks["instant"].id, orchestrator.tokens[caller]
    return (
        f"POST /task/{task}/job?wait_result=true HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {size}\r\n\r\n"
    ).encode()


async def narrow(stack: AsyncExitStack, server: Server) -> RawClient:
    """A client whose kernel takes next to nothing until it reads."""
    host, port = server.url.removeprefix("http://").split(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    # A writer that nobody has closes its connection.
    stack.push_async_callback(_abort, writer)
    return RawClient(reader, writer)


async def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def scraped(server: Server, metric: str) -> float:
    _, page = await once(server.admin_url, SCRAPE)
    found = re.search(rb"(?m)^%b (\S+)$" % re.escape(metric.encode()), page)
    return float(found[1]) if found else 0.0


async def until_buffered(server: Server, size: int) -> None:
    async with asyncio.timeout(10):
        while await scraped(server, "gateway_buffered_bytes") != size:  # noqa: ASYNC110 - asked
            await asyncio.sleep(0.01)


async def test_clients_that_do_not_read_take_no_more_than_a_share(
    orchestrator: Orchestrator,
) -> None:
    large, small = ended(orchestrator, 4 * MIB), ended(orchestrator, 1000)
    async with gateway_before(orchestrator.url, limits=LIMITS) as server:
        async with AsyncExitStack() as stack:
            clients = [await narrow(stack, server) for _ in range(30)]
            heads = []
            for client in clients:
                await client.send(asking(orchestrator, large, "full"))
                heads.append(await client.head())
            statuses = [head.split()[1] for head in heads]
            # Each is answered before the next asks: the first takes the share.
            assert statuses == [b"200", *[b"503"] * 29]
            assert all(b"\r\nRetry-After: 1\r\n" in head for head in heads[1:])
            assert all(b"\r\nX-TheEye-Job-Id: " in head for head in heads[1:])
            content = await clients[1].reader.readexactly(10)
            assert content.startswith(b'{"status')
            buffered = await scraped(server, "gateway_buffered_bytes")
            assert 4 * MIB < buffered <= 5 * MIB

            head, _ = await once(server.url, asking(orchestrator, small, "full"))
            assert head.startswith(b"HTTP/1.1 200 "), "what is small fits beside it"
            head, content = await once(
                server.url, asking(orchestrator, large, "full", "acme-owner")
            )
            assert head.startswith(b"HTTP/1.1 200 "), "another client has a share of its own"
            assert len(content) > 4 * MIB
        await until_buffered(server, 0)
        head, again = await once(server.url, asking(orchestrator, large, "full"))
        assert head.startswith(b"HTTP/1.1 200 "), "nothing is lost"
        assert again == content
        refused = 'gateway_limit_verdicts_total{limit="buffered_bytes",verdict="refused"}'
        assert await scraped(server, refused) == 29


async def test_all_clients_together_take_no_more_than_there_is(
    orchestrator: Orchestrator,
) -> None:
    large = ended(orchestrator, 4 * MIB)
    callers = ["acme-user", "acme-owner", "acme-admin", "acme-integration"]
    async with gateway_before(orchestrator.url, limits=LIMITS) as server, AsyncExitStack() as stack:
        statuses = []
        for caller in callers:
            client = await narrow(stack, server)
            await client.send(asking(orchestrator, large, "full", caller))
            statuses.append((await client.head()).split()[1])
        assert statuses == [b"200", b"200", b"200", b"503"]
        assert await scraped(server, "gateway_buffered_bytes") <= 16 * MIB


@pytest.mark.parametrize("query", ["full", "output", "parse"])
async def test_result_comes_whole_to_a_client_that_reads_slowly(
    orchestrator: Orchestrator, query: str
) -> None:
    job = orchestrator.create("held")
    element = json.dumps(["y" * 700_000, 1])
    orchestrator.finish(job.id, output=[element], result={})
    expected = {"parse": element.replace(", ", ",").encode()}
    async with gateway_before(orchestrator.url, limits=LIMITS) as server, AsyncExitStack() as stack:
        client = await narrow(stack, server)
        await client.send(asking(orchestrator, job, query))
        head = await client.head()
        found = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
        assert found is not None
        content = b""
        while len(content) < int(found[1]):
            await asyncio.sleep(0)
            content += await client.reader.read(30_000)
        assert content == expected.get(query, content)
        assert (await once(server.url, asking(orchestrator, job, query)))[1] == content


async def test_content_that_creates_jobs_takes_no_more_than_a_share(
    orchestrator: Orchestrator,
) -> None:
    limits = {"result_bytes": MIB, "buffered_bytes": 2 * MIB}
    content = b"[%b]" % (b" " * 500_000)
    async with gateway_before(orchestrator.url, limits=limits) as server, AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(connected(server.url)) for _ in range(2)]
        await first.send(creating(orchestrator, len(content)) + content[:-1])
        await until_buffered(server, len(content) - 1)
        large = b"[%b]" % (b" " * 900_000)
        await second.send(creating(orchestrator, len(large)) + large)
        head = await second.head()
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in head
        assert orchestrator.requests[Operation.CREATE] == 0, "no job was made"
        await first.send(content[-1:])
        assert (await first.head()).startswith(b"HTTP/1.1 303 ")
        assert orchestrator.requests[Operation.CREATE] == 1
        head, _ = await once(server.url, creating(orchestrator, len(large)) + large)
        assert head.startswith(b"HTTP/1.1 503 "), "content and answer together are over the share"
        content = b"[%b]" % (b" " * 500_000)
        head, _ = await once(server.url, creating(orchestrator, len(content)) + content)
        assert head.startswith(b"HTTP/1.1 303 ")
        await until(lambda: orchestrator.requests[Operation.CREATE] == 2)
        await until_buffered(server, 0)
