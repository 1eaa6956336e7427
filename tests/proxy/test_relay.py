"""Content passes as it comes, both ways, before there is more of it."""

from __future__ import annotations

import asyncio

from gateway.proxy.relay import Resumed
from gateway.upstream.upload import PLACE_BYTES
from tests.support.harness import connected, gateway_before
from tests.support.upstream import Peer, upstream_doing


class Rest:
    async def read(self) -> bytes:
        return b"rest"


async def test_content_that_was_read_already_comes_first() -> None:
    resumed = Resumed(b"first", Rest())
    assert [await resumed.read(), await resumed.read()] == [b"first", b"rest"]
    assert await Resumed(b"", Rest()).read() == b"rest"


async def test_each_piece_of_the_answer_passes_before_the_next_is_there() -> None:
    taken = asyncio.Queue[None]()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        for piece in (b"a", b"b"):
            await taken.get()
            await peer.answer(piece)

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
        asyncio.timeout(5),
    ):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.head()
        for piece in (b"a", b"b"):
            taken.put_nowait(None)
            assert await client.reader.readexactly(1) == piece


async def test_each_piece_of_the_request_passes_before_the_next_is_there() -> None:
    """Once the beginning is there, with which it takes a connection."""
    taken = asyncio.Queue[bytes]()

    async def serve(peer: Peer) -> None:
        taken.put_nowait((await peer.request())[:4])
        await peer.reader.readexactly(PLACE_BYTES)
        for _ in range(2):
            taken.put_nowait(await peer.reader.readexactly(1))
        await peer.answer(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
        asyncio.timeout(5),
    ):
        length = PLACE_BYTES + 2
        await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length)
        await client.send(b"x" * PLACE_BYTES)
        assert await taken.get() == b"PUT "
        for piece in (b"a", b"b"):
            await client.send(piece)
            assert await taken.get() == piece
        assert (await client.head()).startswith(b"HTTP/1.1 204 ")


async def test_answer_that_comes_before_the_request_is_whole_passes() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\nno")

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        length = PLACE_BYTES + 9
        await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length)
        await client.send(b"x" * PLACE_BYTES)
        head, content = await client.answer()
    assert head.startswith(b"HTTP/1.1 413 Payload Too Large\r\n")
    assert content == b"no"
