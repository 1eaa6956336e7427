"""What one connection may take of an iteration of the event loop, and in what order it is answered.

Iterations are counted, not seconds: in each of them everybody else has a turn.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from gateway.downstream.messages.portions import LINES
from tests.support.harness import connected, gateway_before
from tests.support.upstream import Peer, upstream_doing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNKED = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Iterations:
    """Of the running loop, so far."""

    def __init__(self) -> None:
        self.count = 0
        self.is_over = False

    def _next(self) -> None:
        self.count += 1
        if not self.is_over:
            asyncio.get_running_loop().call_soon(self._next)

    @classmethod
    @asynccontextmanager
    async def counted(cls) -> AsyncIterator[Iterations]:
        iterations = cls()
        iterations._next()
        try:
            yield iterations
        finally:
            iterations.is_over = True


async def content_of(peer: Peer) -> bytes:
    """The content of a request that comes in chunks."""
    content = b""
    while size := int(await peer.reader.readuntil(b"\r\n"), 16):
        content += (await peer.reader.readexactly(size + 2))[:-2]
    await peer.reader.readuntil(b"\r\n")
    return content


@pytest.mark.parametrize(
    "first", [b"", b"PUT /sized HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"]
)
async def test_chunks_of_one_byte_take_many_turns(first: bytes) -> None:
    chunks = 20_000
    contents: list[bytes] = []

    async def serve(peer: Peer) -> None:
        while head := await peer.request():
            is_sized = b"/sized" in head
            contents.append(await (peer.reader.readexactly(1) if is_sized else content_of(peer)))
            await peer.answer(OK)

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
        Iterations.counted() as iterations,
    ):
        await client.send(first + CHUNKED + b"1\r\na\r\n" * chunks + b"0\r\n\r\n")
        for _ in range(1 + bool(first)):
            assert (await client.answer())[1] == b"ok"
        assert contents[-1] == b"a" * chunks
        assert iterations.count > 2 * chunks / LINES


@pytest.mark.parametrize("is_sized", [True, False])
async def test_content_in_large_pieces_takes_few_turns(is_sized: bool) -> None:
    content = b"\r\n" * 100_000

    async def serve(peer: Peer) -> None:
        while await peer.request():
            whole = peer.reader.readexactly(len(content)) if is_sized else content_of(peer)
            assert await whole == content
            await peer.answer(OK)

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
        Iterations.counted() as iterations,
    ):
        head = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(content)
        chunked = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
        await client.send(head + content if is_sized else chunked)
        assert (await client.answer())[1] == b"ok"
        assert iterations.count < len(content) / LINES


async def test_rfc_9112_9_3_2_requests_that_come_in_one_read_are_all_answered_in_their_order() -> (
    None
):
    async def serve(peer: Peer) -> None:
        while head := await peer.request():
            path = head.split()[1]
            await peer.answer(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path)
            )

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        paths = [b"/%d" % number for number in range(1000)]
        await client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in paths))
        for path in paths:
            assert (await client.answer())[1] == path


async def test_rfc_9112_7_1_1_chunk_extensions_that_outweigh_the_content_are_refused() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read()

    extended = b"1;" + b"e" * 15_000 + b"\r\na\r\n"
    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(CHUNKED)
        sent = 0
        with suppress(ConnectionError):
            while sent < 2_000_000 and not client.reader._buffer:  # type: ignore[attr-defined]
                await client.send(extended)
                sent += len(extended)
                await asyncio.sleep(0.001)
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"\r\nConnection: close\r\n" in head
        assert sent < 100_000


async def test_what_comes_behind_a_head_that_was_too_long_is_dropped_until_it_is_answered() -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await release.wait()
        await peer.answer(OK)

    small = {"target_bytes": 1024, "fields_bytes": 1024}
    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url, limits=small) as server,
        connected(server.url) as client,
    ):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asked.wait()
        field = b"X-A: " + b"a" * 1000 + b"\r\n"
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n" + field * 400)
        for _ in range(10):
            await client.send(field * 100)
            await asyncio.sleep(0.005)
        release.set()
        assert (await client.answer())[1] == b"ok"
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 431 ")


GET = b"GET /first HTTP/1.1\r\nHost: x\r\n"
SIZED = b"PUT /first HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
IN_CHUNKS = b"PUT /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
MALFORMED = [
    b"garbage\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nbad field\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n",
    b"\x00",
]


async def echo(peer: Peer) -> None:
    while head := await peer.request():
        if b"chunked" in head.lower():
            await content_of(peer)
        elif b"ontent-Length: 2" in head:
            await peer.reader.readexactly(2)
        await peer.answer(OK)


@pytest.mark.parametrize("malformed", MALFORMED)
@pytest.mark.parametrize(
    "first", [GET + b"\r\n", SIZED + b"\r\nhi", IN_CHUNKS + b"\r\n2\r\nhi\r\n0\r\n\r\n"]
)
async def test_request_is_answered_though_something_malformed_comes_in_the_same_read(
    first: bytes, malformed: bytes
) -> None:
    async with (
        upstream_doing(echo) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(first + first + malformed)
        for _ in range(2):
            assert (await client.answer())[1] == b"ok"
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert await client.until_closed() == b""


@pytest.mark.parametrize("behind", [*MALFORMED, GET + b"\r\n", b"\r\n"])
@pytest.mark.parametrize(
    "first", [GET + b"%b\r\n", SIZED + b"%b\r\nhi", IN_CHUNKS + b"%b\r\n2\r\nhi\r\n0\r\n\r\n"]
)
async def test_rfc_9112_9_6_what_comes_behind_the_last_request_is_ignored(
    first: bytes, behind: bytes
) -> None:
    async with (
        upstream_doing(echo) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(first % b"Connection: close\r\n" + behind)
        head, content = await client.answer()
        assert content == b"ok"
        assert b"\r\nConnection: close\r\n" in head
        with suppress(ConnectionResetError):
            assert await client.until_closed() == b""


LIMITS = {"mode": "enforce", "other": {"per_second": 0.001, "burst": 1, "content_bytes": 1024}}
REQUEST = b"GET /p HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("field", [b"", b"Authorization: Bearer made.up\r\n"])
async def test_requests_that_are_refused_from_memory_leave_the_others_a_turn(field: bytes) -> None:
    requests, head = 2000, b""
    async with (
        gateway_before("http://127.0.0.1:9", limits=LIMITS) as server,
        connected(server.url) as client,
        Iterations.counted() as iterations,
    ):
        await client.send((REQUEST + field + b"\r\n") * requests)
        for _ in range(requests):
            head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 429 ")
        assert iterations.count > requests
