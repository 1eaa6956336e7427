"""RFC 6455, 7: how a WebSocket is closed when the gateway goes away, between raw ends."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gateway.proxy.tunnels.tunnel import CLIENT_SECONDS, UPSTREAM_SECONDS
from tests.protocols.websocket.test_frames import frame
from tests.support.harness import RawClient, connected, gateway_before
from tests.support.upstream import Peer, upstream_doing
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.server.server import Server

pytestmark = pytest.mark.virtual_time

UPGRADE = (
    b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
MASK = b"mask"
GOING_AWAY = frame(0x8, b"\x03\xe9")
AS_YOU_WISH = frame(0x8, (4321).to_bytes(2))
FROM_CLIENT = frame(0x8, b"\x03\xe9", mask=MASK)


@dataclass
class Ends:
    """Both ends of a tunnel, and the gateway between them."""

    server: Server
    client: RawClient
    upstream: Peer

    async def upstream_gets(self, data: bytes) -> None:
        assert await self.upstream.reader.readexactly(len(data)) == data

    async def client_gets(self, data: bytes) -> None:
        assert await self.client.reader.readexactly(len(data)) == data

    async def upstream_is_told(self) -> None:
        """The close is masked with what nobody can foretell."""
        told = await self.upstream.reader.readexactly(8)
        assert told == frame(0x8, b"\x03\xe9", mask=told[2:6])


@asynccontextmanager
async def tunnel(**listen: float) -> AsyncIterator[Ends]:
    upgraded: asyncio.Future[Peer] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(SWITCHED)
        upgraded.set_result(peer)
        await over.wait()

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url, listen=listen) as server,
        connected(server.url) as client,
    ):
        await client.send(UPGRADE)
        assert b" 101 " in await client.head()
        try:
            yield Ends(server, client, await upgraded)
        finally:
            over.set()


@asynccontextmanager
async def drained(ends: Ends) -> AsyncIterator[asyncio.Task[None]]:
    """Within the block the drain goes on; it ends by itself."""
    task = asyncio.get_running_loop().create_task(ends.server.drain())
    yield task
    await task


async def test_rfc_6455_7_1_1_both_ends_are_told_that_it_goes_away_and_the_tunnel_ends() -> None:
    async with tunnel() as ends:
        began = now()
        async with drained(ends):
            await ends.upstream_is_told()
            await ends.upstream.answer(GOING_AWAY)
            await ends.client_gets(GOING_AWAY)
            assert now() - began < UPSTREAM_SECONDS / 2
            await ends.client.send(FROM_CLIENT)
            assert await ends.client.until_closed() == b""
        assert now() - began < UPSTREAM_SECONDS
        assert await ends.upstream.reader.read() == b""


async def test_client_is_told_so_whatever_code_the_upstream_closes_with() -> None:
    async with tunnel() as ends, drained(ends):
        await ends.upstream_is_told()
        await ends.upstream.answer(frame(1, b"last words") + AS_YOU_WISH)
        await ends.client_gets(frame(1, b"last words") + GOING_AWAY)
        await ends.client.send(FROM_CLIENT)
        assert await ends.client.until_closed() == b""


async def test_frame_of_the_upstream_is_passed_whole_first() -> None:
    whole = frame(2, bytes(70_000))
    async with tunnel() as ends:
        await ends.upstream.answer(whole[:9])
        await ends.client_gets(whole[:9])
        async with drained(ends):
            await ends.upstream_is_told()
            await ends.upstream.answer(whole[9:500])
            await ends.client_gets(whole[9:500])
            # The upstream is late, and a frame that has begun still ends.
            await asyncio.sleep(UPSTREAM_SECONDS * 2)
            await ends.upstream.answer(whole[500:] + frame(1, b"one too many"))
            await ends.client_gets(whole[500:] + GOING_AWAY)
            await ends.client.send(FROM_CLIENT)
            assert await ends.client.until_closed() == b""


async def test_frame_of_the_client_is_passed_whole_first() -> None:
    whole = frame(1, b"all of it", mask=MASK)
    async with tunnel() as ends:
        await ends.client.send(whole[:3])
        await ends.upstream_gets(whole[:3])
        async with drained(ends):
            await ends.client.send(whole[3:7])
            await ends.upstream_gets(whole[3:7])
            await ends.client.send(whole[7:] + frame(1, b"one too many", mask=MASK))
            await ends.upstream_gets(whole[7:])
            await ends.upstream_is_told()
            await ends.client.send(frame(1, b"another one", mask=MASK))
            await ends.upstream.answer(AS_YOU_WISH)
            await ends.client_gets(GOING_AWAY)
            await ends.client.send(FROM_CLIENT)
            assert await ends.client.until_closed() == b""
        assert await ends.upstream.reader.read() == b""


async def test_rfc_6455_5_4_close_may_come_between_fragments() -> None:
    part = frame(1, b"part", is_last=False)
    async with tunnel() as ends:
        await ends.upstream.answer(part)
        await ends.client_gets(part)
        async with drained(ends):
            await ends.client_gets(GOING_AWAY)
            await ends.client.send(FROM_CLIENT)
            assert await ends.client.until_closed() == b""


async def test_ends_that_do_not_close_are_not_waited_for_long() -> None:
    async with tunnel(drain_seconds=3600.0) as ends:
        began = now()
        async with drained(ends):
            await ends.client_gets(GOING_AWAY)
            assert now() - began == pytest.approx(UPSTREAM_SECONDS, abs=0.1)
            assert await ends.client.until_closed() == b""
        assert now() - began == pytest.approx(UPSTREAM_SECONDS + CLIENT_SECONDS, abs=0.2)


async def test_client_is_told_where_the_upstream_just_hangs_up() -> None:
    async with tunnel() as ends, drained(ends):
        await ends.upstream_is_told()
        ends.upstream.reset()
        await ends.client_gets(GOING_AWAY)
        await ends.client.send(FROM_CLIENT)
        assert await ends.client.until_closed() == b""


async def test_close_that_has_begun_takes_its_own_way() -> None:
    async with tunnel() as ends:
        await ends.upstream.answer(AS_YOU_WISH)
        await ends.client_gets(AS_YOU_WISH)
        async with drained(ends):
            await asyncio.sleep(UPSTREAM_SECONDS * 2)
            answer = frame(0x8, (4321).to_bytes(2), mask=MASK)
            await ends.client.send(answer)
            await ends.upstream_gets(answer)
            ends.upstream.writer.close()
            assert await ends.client.until_closed() == b""


@pytest.mark.parametrize("cut_at", [1, 2])
async def test_close_whose_head_has_begun_is_passed_as_it_is(cut_at: int) -> None:
    async with tunnel() as ends:
        await ends.upstream.answer(AS_YOU_WISH[:cut_at])
        await ends.client_gets(AS_YOU_WISH[:cut_at])
        async with drained(ends):
            await asyncio.sleep(0)
            await ends.upstream.answer(AS_YOU_WISH[cut_at:])
            await ends.client_gets(AS_YOU_WISH[cut_at:])
            await ends.client.send(frame(0x8, (4321).to_bytes(2), mask=MASK))
            ends.upstream.writer.close()
            assert await ends.client.until_closed() == b""


async def test_close_of_the_client_that_crosses_is_not_followed_by_another() -> None:
    async with tunnel() as ends:
        answer = frame(0x8, (4001).to_bytes(2), mask=MASK)
        await ends.client.send(answer[:1])
        await ends.upstream_gets(answer[:1])
        async with drained(ends):
            await asyncio.sleep(0.01)
            await ends.client.send(answer[1:])
            await ends.upstream_gets(answer[1:])
            await ends.upstream.answer(frame(0x8, (4001).to_bytes(2)))
            await ends.client_gets(GOING_AWAY)
            assert await ends.client.until_closed() == b""
        assert await ends.upstream.reader.read() == b""


async def test_what_is_no_websocket_passes_until_the_end() -> None:
    async with tunnel(drain_seconds=5.0) as ends:
        await ends.upstream.answer(b"some other protocol")
        await ends.client_gets(b"some other protocol")
        began = now()
        async with drained(ends):
            await asyncio.sleep(1)
            await ends.client.send(b"from here")
            await ends.upstream_gets(b"from here")
            await ends.upstream.answer(b"from there")
            await ends.client_gets(b"from there")
        assert now() - began == pytest.approx(5, abs=0.1)


async def test_what_becomes_no_websocket_meanwhile_passes_until_the_end() -> None:
    async with tunnel(drain_seconds=5.0) as ends:
        began = now()
        async with drained(ends):
            await ends.upstream_is_told()
            await ends.upstream.answer(b"some other protocol")
            await ends.client_gets(b"some other protocol")
            await asyncio.sleep(1)
            await ends.upstream.answer(b"more of it")
            await ends.client_gets(b"more of it")
        assert now() - began == pytest.approx(5, abs=0.1)


async def test_client_that_reads_slowly_gets_all_and_is_told_then() -> None:
    whole = frame(2, bytes(8_000_000))
    async with tunnel() as ends, asyncio.TaskGroup() as group:
        sending = group.create_task(ends.upstream.answer(whole))
        await ends.client_gets(whole[:10])
        async with drained(ends):
            await ends.upstream_is_told()
            await asyncio.sleep(UPSTREAM_SECONDS * 2)
            await ends.client_gets(whole[10:] + GOING_AWAY)
            await ends.client.send(FROM_CLIENT)
            assert await ends.client.until_closed() == b""
        await sending


async def test_websocket_that_opens_meanwhile_is_closed_at_once() -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await may_answer.wait()
        await peer.answer(SWITCHED)
        await peer.reader.read()

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
        asyncio.TaskGroup() as group,
    ):
        await client.send(UPGRADE)
        await asked.wait()
        group.create_task(server.drain())
        await asyncio.sleep(0)
        may_answer.set()
        assert b" 101 " in await client.head()
        assert await client.reader.readexactly(4) == GOING_AWAY
        await client.send(FROM_CLIENT)
        assert await client.until_closed() == b""
