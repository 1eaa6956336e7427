"""Uploads that come slowly or not at all: what they take, whose fault it is, and for how long."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.upstream.upload import PLACE_BYTES
from tests.support.harness import RawClient, connected, gateway_before, once
from tests.support.replay import until
from tests.support.upstream import Peer, upstream_doing
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.server.server import Server
    from tests.support.upstream import Script, Serve

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LENGTH = PLACE_BYTES + 100_000
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % LENGTH
GET = b"GET /x HTTP/1.1\r\nHost: x\r\n%b\r\n"
BEGINNING = b"x" * PLACE_BYTES
SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


async def taking_all(peer: Peer) -> None:
    """Answers a GET at once, and a POST when its content is there."""
    while head := await peer.request():
        left = LENGTH if head.startswith(b"POST") else 0
        while left and (piece := await peer.reader.read(left)):
            left -= len(piece)
        await peer.answer(OK)


async def reading_on(peer: Peer) -> None:
    """Takes what comes and answers nothing."""
    await peer.request()
    await peer.reader.read()


@asynccontextmanager
async def gateway_with(
    serve: Serve = taking_all, **sections: dict[str, Any]
) -> AsyncIterator[tuple[Server, Script]]:
    async with upstream_doing(serve) as script, gateway_before(script.url, **sections) as server:
        yield server, script


def failing_since(server: Server) -> float | None:
    return server._gateway._upstream.signs.failing_since


@asynccontextmanager
async def uploading(server: Server, count: int, *sent: bytes) -> AsyncIterator[list[RawClient]]:
    """So many uploads at once, of which this much has come."""
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            client = await stack.enter_async_context(connected(server.url))
            await client.send(POST + b"".join(sent))
            clients.append(client)
        yield clients


async def test_uploads_that_have_hardly_begun_take_no_connection() -> None:
    limits = {"max_connections": 2}
    async with (
        gateway_with(upstream=limits) as (server, script),
        uploading(server, 20, BEGINNING[:-1]) as uploads,
    ):
        for _ in range(3):
            assert (await once(server.url, GET % b""))[1] == b"ok"
        assert script.connections == 1
        await uploads[0].send(b"x" * (LENGTH - PLACE_BYTES + 1))
        assert (await uploads[0].answer())[1] == b"ok"


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
)
async def test_small_upload_takes_a_connection_when_all_of_it_is_there(framing: bytes) -> None:
    head, end, content = framing.partition(b"\r\n\r\n")
    arrived: list[bytes] = []

    async def serve(peer: Peer) -> None:
        arrived.append((await peer.request()).splitlines()[0])
        arrived.append(await peer.reader.readexactly(len(content)))
        await peer.answer(OK)

    async with gateway_with(serve) as (server, script), connected(server.url) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + end + content[:-1])
        head, _ = await once(server.url, b"GET /without-a-host HTTP/1.1\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert script.connections == 0
        await client.send(content[-1:])
        assert (await client.answer())[1] == b"ok"
    assert arrived == [b"POST / HTTP/1.1", content]


@pytest.mark.parametrize("token", [b"", b"Authorization: Bearer made.up.%d\r\n"])
async def test_uploads_of_one_address_leave_connections_for_others(token: bytes) -> None:
    """Tokens that nobody knows are no others: anybody can make them up."""
    limits = {"max_connections": 8, "connect_seconds": 0.2}
    async with (
        gateway_with(upstream=limits) as (server, script),
        AsyncExitStack() as stack,
    ):
        uploads = []
        for number in range(12):
            client = await stack.enter_async_context(connected(server.url))
            fields = token % number if token else b""
            await client.send(POST.replace(b"\r\n", b"\r\n" + fields, 1) + BEGINNING)
            uploads.append(client)
        heads = [asyncio.get_running_loop().create_task(client.head()) for client in uploads]
        await until(lambda: sum(head.done() for head in heads) == 7)
        for head in heads:
            if head.done():
                assert (await head).startswith(b"HTTP/1.1 429 ")
                assert b"\r\nRetry-After: 1\r\n" in await head
        _, metrics = await once(server.admin_url, SCRAPE)
        name = b'gateway_limit_verdicts_total{limit="upstream_share",verdict="refused"}'
        assert name + b" 7.0\n" in metrics
        assert script.connections == 5
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), local_addr=("127.0.0.2", 0))
        other = RawClient(reader, writer)
        await other.send(GET % b"")
        assert (await other.answer())[1] == b"ok"
        writer.transport.abort()
        for reading in heads:
            reading.cancel()
        await asyncio.wait(heads)


@pytest.mark.virtual_time
@pytest.mark.parametrize("pause", [1000.0, 3.0], ids=["stalls", "trickles"])
@pytest.mark.parametrize("sent", [b"", BEGINNING], ids=["at-first", "later"])
async def test_upload_that_stops_or_trickles_is_the_clients_fault(
    pause: float, sent: bytes
) -> None:
    """408 within half a minute, though the upstream may take only ten seconds to answer."""
    async with (
        gateway_with(reading_on, upstream={"response_seconds": 10.0}) as (server, _),
        connected(server.url) as client,
    ):
        await client.send(POST + sent)
        reading = asyncio.get_running_loop().create_task(client.reader.readuntil(b"\r\n\r\n"))
        while not reading.done() and now() < 200:
            await asyncio.wait([reading], timeout=pause)
            await client.send(b"x")
        assert (await reading).startswith(b"HTTP/1.1 408 ")
        assert failing_since(server) is None
        assert pause == 1000 or 30 <= now() < 35


@pytest.mark.virtual_time
async def test_upload_that_the_upstream_does_not_take_is_the_upstreams_fault() -> None:
    async def hanging(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(1000)

    length = 50_000_000
    async with (
        gateway_with(hanging, upstream={"response_seconds": 10.0}) as (server, _),
        connected(server.url) as client,
    ):
        client.writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length)
        client.writer.write(b"x" * length)
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 504 ")
        assert failing_since(server) is not None
        assert 10 <= now() < 20


async def test_upstream_that_loses_patience_with_a_client_is_not_failing() -> None:
    is_seen = asyncio.Event()

    async def impatient(peer: Peer) -> None:
        await peer.request()
        await peer.reader.readexactly(PLACE_BYTES)
        await is_seen.wait()

    async with gateway_with(impatient) as (server, script), connected(server.url) as client:
        await client.send(POST + BEGINNING)
        await until(lambda: script.connections == 1)
        is_seen.set()
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert failing_since(server) is None


async def test_put_that_met_a_stale_connection_is_sent_again_if_it_is_all_there() -> None:
    async def closing(peer: Peer) -> None:
        """Keep-alive ends just when the second request is sent."""
        for _ in range(1 if peer.number == 1 else 10):
            await peer.request()
            await peer.reader.readexactly(3)
            await peer.answer(OK)
        await peer.request()

    put = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    async with gateway_with(closing) as (server, script), connected(server.url) as client:
        for _ in range(2):
            await client.send(put)
            assert (await client.answer())[1] == b"ok"
        assert script.connections == 2
