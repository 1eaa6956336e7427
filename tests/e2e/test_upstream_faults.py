"""What an upstream may do wrong, and what its client gets to see of it: by bytes on both sides."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from tests.support.harness import connected, gateway_before, once
from tests.support.upstream import Peer, upstream_answering, upstream_doing

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
JOB = "64ac6478646bb71ee82e3a72"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "chunks", [b"zz\r\nhello\r\n", b"5\r\nhelloXX", b"5\r\nhello\r\n-1\r\n\r\n"]
)
async def test_rfc_9112_7_1_malformed_chunk_that_comes_with_the_head_is_502(chunks: bytes) -> None:
    async with (
        upstream_answering(CHUNKED + chunks) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        for _ in range(2):
            await client.send(GET)
            head, content = await client.answer()
            assert head.startswith(b"HTTP/1.1 502 ")
            assert b"hello" not in content


async def test_rfc_9112_8_malformed_chunk_that_comes_later_cuts_the_answer() -> None:
    is_seen = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(CHUNKED + b"2\r\nok\r\n")
        await is_seen.wait()
        await peer.answer(b"zz\r\n")

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(GET)
        await client.reader.readuntil(b"2\r\nok\r\n")
        is_seen.set()
        with pytest.raises(ConnectionResetError):
            await client.until_closed()


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nA : b\r\n c\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_answer_that_others_could_read_differently_is_502(response: bytes) -> None:
    async with upstream_answering(response) as script, gateway_before(script.url) as server:
        head, content = await once(server.url, GET)
    assert head.startswith(b"HTTP/1.1 502 ")
    assert b'"BadGateway"' in content


async def test_rfc_9112_5_1_space_before_a_colon_is_removed_on_the_way() -> None:
    response = b"HTTP/1.1 200 OK\r\nX-A : 1 : 2\r\nx-b\t: 3\r\nContent-Length : 2\r\n\r\nok"
    async with upstream_answering(response) as script, gateway_before(script.url) as server:
        head, content = await once(server.url, GET)
    assert head == b"HTTP/1.1 200 OK\r\nX-A: 1 : 2\r\nx-b: 3\r\nContent-Length: 2\r\n\r\n"
    assert content == b"ok"


@pytest.mark.parametrize(
    ("reason", "passed"),
    [
        (b"O\x1b[2JK", b"OK"),
        (b"O\x00K", b"OK"),
        (b"\x7f", b"OK"),
        (b"Fine\tby me \xe9", b"Fine\tby me \xe9"),
        (b"", b""),
    ],
)
async def test_rfc_9112_4_control_characters_of_a_reason_phrase_go_no_further(
    reason: bytes, passed: bytes
) -> None:
    """A reason phrase has visible characters, spaces and tabs."""
    response = b"HTTP/1.1 200 " + reason + b"\r\nContent-Length: 2\r\n\r\nok"
    async with upstream_answering(response) as script, gateway_before(script.url) as server:
        head, _ = await once(server.url, GET)
    assert head == b"HTTP/1.1 200 " + passed + b"\r\nContent-Length: 2\r\n\r\n"


async def test_job_that_comes_as_gzip_without_being_asked_for_is_waited_for_and_formatted() -> None:
    """The client is given the plain result: the coding was between the upstream and us."""
    asked: list[bytes] = []
    known = {"id": JOB, "customer_name": "acme", "state": "success", "output": ['{"a":1}']}

    def zipped(body: object) -> bytes:
        packed = gzip.compress(json.dumps(body).encode(), mtime=0)
        fields = b"Content-Encoding: gzip\r\nContent-Length: %d" % len(packed)
        return b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + packed

    async def serve(peer: Peer) -> None:
        while head := await peer.request():
            asked.append(head)
            job = {**known, "lifecycle": "assigned" if len(asked) < 3 else "finished"}
            await peer.answer(zipped([job] if b"?where" in head else job))

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url, sync={"min_poll_seconds": 0.01}) as server,
    ):
        target = f"/job/{JOB}/result?customer=acme&parse".encode()
        lines = [b"GET %b HTTP/1.1" % target, b"Host: x", b"Accept-Encoding: gzip", b"", b""]
        head, content = await once(server.url, b"\r\n".join(lines))
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-encoding" not in head.lower()
    assert content == b'{"a":1}'
    assert len(asked) >= 3
    assert all(b"\r\nAccept-Encoding: identity\r\n" in head for head in asked)


async def test_rfc_9110_8_6_204_loses_its_length_and_what_follows_is_nobodys_answer() -> None:
    """The content that the length speaks of comes once the next request is there."""
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    requests = 0

    async def serve(peer: Peer) -> None:
        nonlocal requests
        await peer.request()
        requests += 1
        if requests > 1:
            await peer.answer(OK)
            return
        await peer.answer(b"HTTP/1.1 204 No Content\r\nContent-Length: %d\r\n\r\n" % len(evil))
        await peer.request()
        await peer.answer(evil)

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(GET)
        assert await client.head() == b"HTTP/1.1 204 No Content\r\n\r\n"
        await client.send(GET)
        assert (await client.answer())[1] == b"ok"
