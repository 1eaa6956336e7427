"""How a tunnel ends that nobody closes."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.harness import connected, gateway_before
from tests.support.upstream import Peer, upstream_doing

UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize("resets", [True, False])
async def test_client_is_let_go_when_the_upstream_resets_or_stays_silent(resets: bool) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(SWITCHED + b"some")
        if resets:
            await peer.reader.readexactly(2)
            peer.reset()
        await peer.reader.read()

    limits = {"tunnel_idle_seconds": 3600 if resets else 0.02}
    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url, upstream=limits) as server,
        connected(server.url) as client,
    ):
        await client.send(UPGRADE)
        assert b" 101 " in await client.head()
        assert await client.reader.readexactly(4) == b"some"
        if resets:
            await client.send(b"go")
        assert await client.until_closed() == b""


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket, h2c", b"websocketish"])
async def test_rfc_9110_7_8_another_protocol_than_that_asked_for_is_not_passed_on(
    protocol: bytes,
) -> None:
    """Only what was asked for can be switched to."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(SWITCHED.replace(b"websocket", protocol) + b"some")
        await peer.reader.read()

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(UPGRADE)
        assert (await client.head()).startswith(b"HTTP/1.1 502 ")


@pytest.mark.virtual_time
@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_tunnel_stays_open_while_one_side_speaks(who: str) -> None:
    """What passes in either direction shows that somebody is there."""
    said: list[bytes] = []

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(SWITCHED)
        while who == "client" and len(said) < 3:
            said.append(await peer.reader.readexactly(1))
        while len(said) < 3:
            await asyncio.sleep(50)
            said.append(b"u")
            await peer.answer(b"u")
        await peer.answer(b"end")
        await peer.reader.read()

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url, upstream={"tunnel_idle_seconds": 60}) as server,
        connected(server.url) as client,
    ):
        await client.send(UPGRADE)
        await client.head()
        for _ in range(3):
            await asyncio.sleep(50)
            if who == "client":
                await client.send(b"c")
        assert (await client.reader.readuntil(b"end")).strip(b"u") == b"end"
    assert said == [who[:1].encode()] * 3
