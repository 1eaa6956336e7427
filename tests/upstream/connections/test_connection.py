"""A connection that is lost, closed or slow at every point of an exchange."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.errors import BadGateway, ContentCut, GatewayTimeout
from gateway.upstream.connections.connection import UpstreamConnection
from gateway.upstream.connections.write_batch import WriteBatch
from tests.support.replay import until
from tests.support.upstream import Peer, upstream_doing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.upstream import Serve

BUFFER_BYTES = 64 * 1024
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def connection_to(
    serve: Serve,
) -> AsyncIterator[tuple[UpstreamConnection, list[UpstreamConnection]]]:
    """A connection, and where it is noted once it is lost."""
    lost: list[UpstreamConnection] = []
    loop = asyncio.get_running_loop()
    async with upstream_doing(serve) as script:
        host, port = script.url.removeprefix("http://").rsplit(":", 1)
        _, connection = await loop.create_connection(
            lambda: UpstreamConnection(lost.append, BUFFER_BYTES, WriteBatch()), host, int(port)
        )
        try:
            yield connection, lost
        finally:
            connection.close()
            await asyncio.sleep(0)


async def silent(peer: Peer) -> None:
    while await peer.reader.read(1 << 16):
        pass


async def closing(_: Peer) -> None:
    """Hangs up at once."""


async def test_lost_connection_takes_nothing_and_says_so() -> None:
    async with connection_to(closing) as (connection, lost):
        await until(lambda: bool(lost))
        assert not connection.is_open
        connection.send(GET, method="GET")
        with pytest.raises(BadGateway):
            connection.take()
        with pytest.raises(ContentCut):
            await connection.write(b"more")
        assert connection.write_nowait(b"more"), "nobody is held back for a lost connection"
        connection.fail(GatewayTimeout())
        connection.close()
        connection.close_gracefully()
        with pytest.raises(BadGateway):
            connection.take()
        assert lost == [connection]


@pytest.mark.virtual_time
async def test_time_in_which_somebody_else_is_waited_for_is_not_the_upstreams() -> None:
    async with connection_to(silent) as (connection, _):
        connection.send(GET, method="GET")
        connection.call_on_arrival(lambda: None, 10)
        connection.suspend()
        await asyncio.sleep(100)
        assert connection.is_open
        connection.extend(10)
        await asyncio.sleep(9)
        assert connection.is_open
        connection.extend(10)
        await asyncio.sleep(9)
        assert connection.is_open
        await asyncio.sleep(2)
        assert isinstance(connection.reader.failure, GatewayTimeout)


async def test_writer_is_released_when_the_connection_is_lost() -> None:
    held = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await held.wait()
        peer.reset()

    async with connection_to(serve) as (connection, lost):
        connection.send(GET, method="PUT")
        async with asyncio.timeout(5):
            while connection.write_nowait(b"x" * 65536):
                pass
            writing = asyncio.get_running_loop().create_task(connection.write(b"x"))
            await asyncio.sleep(0.005)
            assert not writing.done()
            held.set()
            await writing
            await until(lambda: bool(lost))
        with pytest.raises(ContentCut):
            await connection.write(b"x")


async def test_silence_is_a_failure_and_the_first_one_stays() -> None:
    async with connection_to(silent) as (connection, lost):
        connection.send(GET, method="GET")
        await connection.arrived(0.01)
        connection.fail(BadGateway())
        with pytest.raises(GatewayTimeout):
            connection.take()
        await until(lambda: bool(lost))


async def test_time_limit_that_was_extended_is_not_over_before() -> None:
    async with connection_to(silent) as (connection, _):
        loop = asyncio.get_running_loop()
        connection.send(GET, method="GET")
        began = loop.time()
        arriving = loop.create_task(connection.arrived(0.01))
        await asyncio.sleep(0)
        connection.extend(0.04)
        await arriving
        assert loop.time() - began > 0.03


async def test_shorter_limit_than_the_last_is_kept_to() -> None:
    async with connection_to(silent) as (connection, lost):
        connection.close_after(3600)
        connection.close_after(0.01)
        await until(lambda: bool(lost))


async def test_what_is_not_taken_is_not_read() -> None:
    sent = 0

    async def serve(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while sent < 100_000_000:
            await peer.answer(b"x" * 100_000)
            sent += 100_000

    async with connection_to(serve) as (connection, lost):
        connection.send(GET, method="GET")
        before = -1
        while sent != before or not sent:
            before = sent
            await asyncio.sleep(0.02)
        assert sent < 100_000_000
        assert connection.reader.content.size < 4 * BUFFER_BYTES
        taken = 0
        async with asyncio.timeout(10):
            while chunk := connection.take():
                taken += len(chunk)
            while taken < 20_000_000:
                await connection.arrived(5)
                while chunk := connection.take():
                    taken += len(chunk)
        connection.close()
        await until(lambda: bool(lost))
