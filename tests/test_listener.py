"""Requests that turn out not to be HTTP: answered as far as they can be, at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.harness import connected, gateway_before
from tests.upstream.scripted import Peer, upstream_doing

CHUNKED = b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("start", [b"PUT /", b"POST /job?wait_result=true", b"POST /job"])
@pytest.mark.parametrize("rest", [b"zz\r\n", b"-1\r\n", b"2\r\nabc\r\n"])
async def test_content_that_is_not_framed_as_it_says_is_refused_at_once(
    start: bytes, rest: bytes
) -> None:
    dropped = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read()
        dropped.set()

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(start + CHUNKED)
        await asyncio.sleep(0.02)
        await client.send(rest)
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"\r\nConnection: close\r\n" in head
        assert await client.until_closed() == b""
        if script.connections:
            async with asyncio.timeout(5):
                await dropped.wait()


async def test_garbage_behind_a_whole_request_is_answered_after_it() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.reader.readexactly(2)
        await asyncio.sleep(0.04)
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
        await asyncio.sleep(0.01)
        await client.send(b"garbage\r\n\r\n")
        assert (await client.answer())[1] == b"ok"
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert await client.until_closed() == b""


@pytest.mark.parametrize("start", [b"PUT /", b"POST /job?wait_result=true"])
async def test_content_that_went_wrong_while_its_request_had_to_wait_is_refused_at_once(
    start: bytes,
) -> None:
    asked, goes_on = asyncio.Event(), asyncio.Event()

    async def serve(peer: Peer) -> None:
        while await peer.request():
            asked.set()
            await goes_on.wait()
            await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + start + CHUNKED)
        await asked.wait()
        await client.send(b"zz\r\n")
        await asyncio.sleep(0.02)
        goes_on.set()
        assert (await client.answer())[1] == b"ok"
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert await client.until_closed() == b""
