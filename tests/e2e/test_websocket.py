"""A WebSocket passes through the gateway with real ends on both sides (aiohttp's)."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError, web
from aiohttp.test_utils import TestServer

from tests.support.harness import connected, gateway_before, process_before
from tests.support.upstream import Peer, upstream_doing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def echo(request: web.Request) -> web.StreamResponse:
    """Sends back what comes; "close" ends it with a code and a reason of its own."""
    if request.query.get("refuse"):
        return web.Response(status=403, text="no")
    socket = web.WebSocketResponse(protocols=("v2", "v1"), heartbeat=None)
    await socket.prepare(request)
    async for message in socket:
        if message.data == "close":
            await socket.close(code=4321, message=b"as you wish")
        elif message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)
    request.app["closed"].set_result(socket.close_code)
    return socket


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[ClientSession, str, asyncio.Future[int]]]:
    app = web.Application()
    closed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    app["closed"] = closed
    app.router.add_get("/echo", echo)
    async with (
        TestServer(app) as upstream,
        gateway_before(str(upstream.make_url("")).rstrip("/")) as server,
        ClientSession() as session,
    ):
        yield session, f"{server.url}/echo", closed


pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")


async def test_messages_pass_both_ways_with_subprotocol_and_close_code() -> None:
    async with echoing() as (session, url, closed):
        async with session.ws_connect(url, protocols=("v1",), compress=15) as socket:
            assert socket.protocol == "v1"
            assert socket.compress == 15
            for data in ("hi", "ñ" * 100_000):
                await socket.send_str(data)
                assert await socket.receive_str() == data
            await socket.send_bytes(b"\0" * 1_000_000)
            assert len(await socket.receive_bytes()) == 1_000_000
            await socket.send_str("close")
            last = await socket.receive()
            assert (last.type, last.data, last.extra) == (WSMsgType.CLOSE, 4321, "as you wish")
        assert await asyncio.wait_for(closed, 2) == 1000, "the client's own answer"


async def test_the_close_code_of_the_client_reaches_the_upstream() -> None:
    async with echoing() as (session, url, closed):
        async with session.ws_connect(url) as socket:
            await socket.close(code=4001)
        assert await asyncio.wait_for(closed, 2) == 4001


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_rfc_6455_7_4_1_sigterm_closes_with_1001_on_both_sides(workers: str) -> None:
    async with AsyncExitStack() as stack:
        app = web.Application()
        closed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        app["closed"] = closed
        app.router.add_get("/echo", echo)
        upstream = await stack.enter_async_context(TestServer(app))
        url = str(upstream.make_url("")).rstrip("/")
        gateway = await stack.enter_async_context(
            process_before(url, "--workers", workers, listen__drain_seconds="60")
        )
        session = await stack.enter_async_context(ClientSession())
        socket = await stack.enter_async_context(
            session.ws_connect(f"{gateway.url}/echo", compress=15)
        )
        # As Socket.IO begins.
        for data in ("2probe", '42["message","ñ"]'):
            await socket.send_str(data)
            assert await socket.receive_str() == data
        gateway.signal(signal.SIGTERM)
        last = await socket.receive()
        assert (last.type, last.data) == (WSMsgType.CLOSE, 1001)
        assert await asyncio.wait_for(closed, 5) == 1001
        # Long before the time of the drain.
        assert await asyncio.wait_for(gateway.ended(), 30) == 0


UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def test_a_client_that_vanishes_ends_the_upstream_side_after_what_it_sent() -> None:
    received = asyncio.get_running_loop().create_future()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(SWITCHED + b"first bytes")
        received.set_result(await peer.reader.read())

    async with upstream_doing(serve) as script, gateway_before(script.url) as server:
        async with connected(server.url) as client:
            await client.send(UPGRADE)
            assert b" 101 " in await client.head()
            assert await client.reader.readexactly(11) == b"first bytes"
            await client.send(b"last bytes")
            client.writer.close()
        assert await asyncio.wait_for(received, 2) == b"last bytes"


async def test_an_upstream_that_hangs_up_ends_the_clients_side() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(SWITCHED + b"all")

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(UPGRADE)
        await client.head()
        assert await client.until_closed() == b"all"


async def test_rfc_9110_7_8_a_refused_upgrade_is_an_ordinary_answer() -> None:
    async with echoing() as (session, url, _):
        with pytest.raises(WSServerHandshakeError) as refused:
            await session.ws_connect(f"{url}?refuse=1")
        assert refused.value.status == 403


async def test_a_slow_reader_holds_the_sender_back_in_both_directions() -> None:
    async with echoing() as (session, url, _), session.ws_connect(url, max_msg_size=0) as socket:
        sent = 0

        async def flood() -> None:
            nonlocal sent
            while True:
                await socket.send_bytes(b"x" * 100_000)
                sent += 1

        flooding = asyncio.get_running_loop().create_task(flood())
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.05)
        assert not flooding.done(), "nobody reads, so the sender waits"
        for _ in range(sent):
            assert len(await socket.receive_bytes()) == 100_000
        flooding.cancel()
        await asyncio.wait([flooding])


async def test_rfc_9110_7_8_other_protocols_are_not_switched_to() -> None:
    async with echoing() as (_, url, _), connected(url.removesuffix("/echo")) as client:
        await client.send(
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n"
        )
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 404 ")
