"""An exchange with the upstream, over real sockets: every way an answer can come, or not."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import UpstreamConfig
from gateway.errors import (
    BadGateway,
    ContentCut,
    GatewayError,
    GatewayTimeout,
    Overloaded,
    ResponseTooLarge,
)
from gateway.upstream import Outbound, Purpose, Upstream, UpstreamExchange
from gateway.upstream.connections.pool import PoolStats
from gateway.upstream.signs import Trouble
from gateway.upstream.upload import PLACE_BYTES
from tests.support.replay import until
from tests.support.upstream import Peer, upstream_answering, upstream_doing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BEGINNING = b"x" * PLACE_BYTES


@asynccontextmanager
async def reaching(url: str, **limits: float) -> AsyncIterator[Upstream]:
    config = UpstreamConfig(url=url, **limits)  # type: ignore[arg-type]
    upstream = Upstream(config, time.monotonic)
    try:
        yield upstream
    finally:
        upstream.close()
        await asyncio.sleep(0)


async def get(upstream: Upstream, method: str = "GET", content: bytes = b"") -> tuple[int, bytes]:
    reply = await upstream.request(
        method, "/x?y=%20", (), content, purpose=Purpose.READ, max_bytes=1 << 20
    )
    return reply.status, reply.content


async def whole(exchange: UpstreamExchange) -> bytes:
    """The content of a response."""
    content = b""
    while piece := await exchange.read():
        content += piece
    return content


class Pieces:
    """Content in pieces; None stands for a pause until the test goes on."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = list(pieces)
        self.go_on = asyncio.Event()

    async def read(self) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        if piece == b"...":
            await self.go_on.wait()
            return await self.read()
        return piece


@pytest.mark.parametrize(
    ("response", "content"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n"
            b"0\r\nTrailer: t\r\n\r\n",
            b"hello",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n" + OK, b"ok"),
    ],
    ids=["sized", "empty", "chunked", "204", "304", "after-1xx"],
)
async def test_an_answer_is_read_to_its_end_and_the_connection_used_again(
    response: bytes, content: bytes
) -> None:
    async with upstream_answering(response) as script, reaching(script.url) as upstream:
        assert (await get(upstream))[1] == content
        assert (await get(upstream))[1] == content
        assert script.connections == 1
        assert script.heads[0].startswith(b"GET /x?y=%20 HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_a_trailer_is_no_field_of_the_head() -> None:
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Evil: 1\r\n\r\n"
    async with (
        upstream_answering(response) as script,
        reaching(script.url) as upstream,
        upstream.exchange(Outbound("GET", "/", [(b"Host", b"x")], Purpose.RELAY)) as exchange,
    ):
        assert await exchange.read() == b""
        assert list(exchange.head.fields) == [(b"Transfer-Encoding", b"chunked")]


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    response = b"HTTP/1.1 200 OK\r\n\r\nhello"
    async with upstream_answering(response, close=True) as script, reaching(script.url) as upstream:
        assert (await get(upstream))[1] == b"hello"
        assert (await get(upstream))[1] == b"hello"
        assert script.connections == 2


async def test_a_head_answer_has_no_content_whatever_its_fields_say() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    async with (
        upstream_answering(response, response, OK) as script,
        reaching(script.url) as upstream,
    ):
        assert await get(upstream, "HEAD") == (200, b"")
        assert await get(upstream, "HEAD") == (200, b"")
        assert await get(upstream) == (200, b"ok")
        assert script.connections == 1


@pytest.mark.parametrize(
    "response",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"ICE/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nok",
    ],
    ids=[
        *("no-http", "two-lengths", "length-and-chunked", "gzip", "huge-head", "unasked-101"),
        *("http-2", "http-0.9", "rtsp", "ice", "chunked-in-1.0", "length-that-overflows"),
    ],
)
async def test_what_is_no_http_answer_is_a_bad_gateway(response: bytes) -> None:
    async with upstream_answering(response) as script, reaching(script.url) as upstream:
        with pytest.raises(BadGateway):
            await get(upstream)
        assert upstream.pool.stats().idle == 0


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    ],
    ids=["short", "no-last-chunk", "bad-chunk"],
)
async def test_content_that_breaks_off_is_never_a_clean_end(response: bytes) -> None:
    head, end, content = response.partition(b"\r\n\r\n")
    is_seen = asyncio.Event()

    async def breaking_off(peer: Peer) -> None:
        await peer.request()
        await peer.answer(head + end)
        await is_seen.wait()
        await peer.answer(content)

    async with (
        upstream_doing(breaking_off) as script,
        reaching(script.url) as upstream,
        upstream.exchange(Outbound("GET", "/", [(b"Host", b"x")], Purpose.RELAY)) as exchange,
    ):
        assert exchange.head.status == 200
        is_seen.set()
        with pytest.raises(ContentCut):
            while await exchange.read():
                pass


@pytest.mark.parametrize("chunks", [b"zz\r\nhello\r\n", b"5\r\nhello\r\nzz\r\n", b"5\r\nhelloXX"])
async def test_answer_that_is_broken_as_it_comes_is_a_bad_gateway(chunks: bytes) -> None:
    """Nothing of it was passed on yet."""
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    async with upstream_answering(response) as script, reaching(script.url) as upstream:
        with pytest.raises(BadGateway):
            async with upstream.exchange(Outbound("GET", "/", [(b"Host", b"x")], Purpose.RELAY)):
                pass
        assert upstream.stats().requests == {("relay", "failed"): 1}
        assert upstream.pool.stats() == PoolStats(0, 0, 0)


async def test_an_answer_nobody_asked_for_is_never_given_to_the_next_request() -> None:
    poisoned = OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    async with upstream_answering(poisoned, OK) as script, reaching(script.url) as upstream:
        assert await get(upstream) == (200, b"ok")
        assert await get(upstream) == (200, b"ok")
        assert script.connections == 2


async def test_content_behind_a_head_answer_closes_the_connection() -> None:
    leaking = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    async with upstream_answering(leaking, OK) as script, reaching(script.url) as upstream:
        assert await get(upstream, "HEAD") == (200, b"")
        assert await get(upstream) == (200, b"ok")
        assert script.connections == 2


async def close_after_the_first(peer: Peer) -> None:
    """Keep-alive that ends just when the next request is sent."""
    if await peer.request() and peer.number == 1:
        await peer.answer(OK)
        await peer.request()
        return
    await peer.answer(OK)


async def test_an_idempotent_request_that_met_a_stale_connection_is_sent_again() -> None:
    async with upstream_doing(close_after_the_first) as script, reaching(script.url) as upstream:
        assert await get(upstream) == (200, b"ok")
        assert await get(upstream) == (200, b"ok")
        assert script.connections == 2


async def test_rfc_9110_9_2_2_a_cancellation_that_met_a_stale_connection_is_never_sent_again() -> (
    None
):
    """Though it is a PUT (RFC 9110, 9.2.2): what has ended meanwhile would be overwritten."""
    async with upstream_doing(close_after_the_first) as script, reaching(script.url) as upstream:
        assert await get(upstream) == (200, b"ok")
        with pytest.raises(BadGateway):
            await upstream.request("PUT", "/", (), purpose=Purpose.CANCEL, max_bytes=100)
        assert script.connections == 1


@pytest.mark.parametrize("content", [b"", b"[]"])
async def test_a_post_that_met_a_stale_connection_is_never_sent_again(content: bytes) -> None:
    async with upstream_doing(close_after_the_first) as script, reaching(script.url) as upstream:
        assert await get(upstream) == (200, b"ok")
        with pytest.raises(BadGateway):
            await get(upstream, "POST", content)
        assert script.connections == 1


async def test_an_upstream_that_refuses_is_a_bad_gateway_and_known_to_fail() -> None:
    async with upstream_answering(OK) as script:
        url = script.url
    async with reaching(url) as upstream:
        assert upstream.signs.failing_since is None
        with pytest.raises(BadGateway):
            await get(upstream)
        assert upstream.signs.failing_since is not None
        assert not await upstream.probe(5)
        assert upstream.stats().requests == {("read", "failed"): 1, ("probe", "failed"): 1}
        assert upstream.pool.stats() == (type(upstream.pool.stats()))(0, 0, 0)


async def test_a_probe_finds_the_upstream_reachable() -> None:
    async with upstream_answering(OK) as script, reaching(script.url) as upstream:
        assert await upstream.probe(5)
        assert upstream.signs.failing_since is None


async def test_an_upstream_that_says_nothing_is_a_gateway_timeout() -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.request()

    async with upstream_doing(silent) as script, reaching(script.url, response_seconds=0.02) as up:
        with pytest.raises(GatewayTimeout):
            await get(up)
        assert up.pool.stats().busy == 0


TRICKLES = {
    "head": b"HTTP/1.1 200 OK\r\nX: ",
    "interim": b"HTTP/1.1 100 Continue\r\nX: ",
    "chunk-extension": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;",
    "trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: ",
    "content": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
}


@pytest.mark.parametrize("beginning", TRICKLES.values(), ids=TRICKLES)
async def test_an_answer_that_trickles_is_given_up_in_time(beginning: bytes) -> None:
    async def trickling(peer: Peer) -> None:
        await peer.request()
        await peer.answer(beginning)
        while True:
            await peer.answer(b"x")
            await asyncio.sleep(0.002)

    limits = {"response_seconds": 0.03, "idle_seconds": 0.03}
    async with upstream_doing(trickling) as script, reaching(script.url, **limits) as upstream:
        with pytest.raises((GatewayTimeout, BadGateway)):
            async with asyncio.timeout(5):
                await get(upstream)
        assert upstream.pool.stats().busy == 0


async def test_a_probe_needs_no_place_among_the_connections() -> None:
    async def answering_the_second(peer: Peer) -> None:
        await peer.request()
        if peer.number > 1:
            await peer.answer(OK)
        await peer.request()

    async with (
        upstream_doing(answering_the_second) as script,
        reaching(script.url, max_connections=1) as upstream,
    ):
        waiting = asyncio.get_running_loop().create_task(get(upstream))
        await until(lambda: script.connections == 1)
        assert await upstream.probe(5)
        assert upstream.pool.waiting_since() is not None
        waiting.cancel()
        await asyncio.wait([waiting])


@pytest.mark.parametrize(
    ("response", "trouble"),
    [
        (b"", Trouble.SILENT),
        (b"HTTP/1.1 200", Trouble.SILENT),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Trouble.UNREACHABLE),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", Trouble.REFUSING),
    ],
)
async def test_a_probe_counts_answers_not_connections(response: bytes, trouble: Trouble) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(response)
        await peer.request()

    async with upstream_doing(serve) as script, reaching(script.url) as upstream:
        assert not await upstream.probe(0.05)
        assert upstream.signs.failure is trouble
        assert upstream.signs.failing_since is not None


async def test_a_probe_takes_any_answer_but_5xx_and_has_no_token() -> None:
    missing = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
    async with upstream_answering(missing) as script, reaching(script.url) as upstream:
        assert await upstream.probe(5)
        assert upstream.stats().requests == {("probe", "4xx"): 1}
        (head,) = script.heads
        assert head.startswith(b"GET /api HTTP/1.1\r\nHost: ")
        assert b"uthorization" not in head


async def test_requests_that_wait_for_an_answer_are_known_by_the_oldest() -> None:
    async with upstream_answering(OK) as script, reaching(script.url) as upstream:
        await get(upstream)
        assert upstream.pool.stats().idle == 1
        assert upstream.pool.waiting_since() is None


async def test_content_that_stalls_is_cut() -> None:
    async def stalling(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        await peer.request()

    async with upstream_doing(stalling) as script, reaching(script.url, idle_seconds=0.02) as up:
        with pytest.raises(BadGateway, match="ended early"):
            await get(up)


async def test_content_of_unknown_length_is_sent_in_chunks() -> None:
    received: list[bytes] = []

    async def reading(peer: Peer) -> None:
        while head := await peer.request():
            received.append(head)
            received.append(b"")
            while not received[-1].endswith(b"\r\n0\r\n\r\n"):
                received[-1] += await peer.reader.read(PLACE_BYTES)
            await peer.answer(OK)

    fields = [(b"Host", b"x"), (b"Transfer-Encoding", b"chunked")]
    async with upstream_doing(reading) as script, reaching(script.url) as upstream:
        outbound = Outbound("POST", "/", fields, Purpose.RELAY)
        async with upstream.exchange(outbound, Pieces(BEGINNING, b"he", b"llo")) as exchange:
            assert await whole(exchange) == b"ok"
        async with upstream.exchange(outbound, Pieces(b"he", b"llo")) as exchange:
            assert await whole(exchange) == b"ok"
    assert received[1] == b"10000\r\n" + BEGINNING + b"\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    assert received[3] == b"5\r\nhello\r\n0\r\n\r\n"


async def test_an_answer_before_the_end_of_the_content_is_passed_on_at_once() -> None:
    async def hasty(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await peer.request()

    content = Pieces(BEGINNING, b"...")
    fields = [(b"Host", b"x"), (b"Content-Length", b"65600")]
    async with upstream_doing(hasty) as script, reaching(script.url) as upstream:
        outbound = Outbound("POST", "/", fields, Purpose.RELAY)
        async with upstream.exchange(outbound, content) as exchange:
            assert exchange.head.status == 413
            assert await whole(exchange) == b"no"
        assert upstream.pool.stats().idle == 0, "its state is in doubt"


async def test_a_client_that_leaves_while_its_upload_ends_leaves_no_connection_taken() -> None:
    async def hasty(peer: Peer) -> None:
        await peer.request()
        await peer.answer(OK)
        await peer.reader.read()

    class LeavesWhenStopped:
        began = False

        async def read(self) -> bytes:
            if not self.began:
                self.began = True
                return BEGINNING
            try:
                return await asyncio.Future[bytes]()
            finally:
                asking.cancel()

    async def ask() -> None:
        outbound = Outbound("POST", "/", [(b"Content-Length", b"65600")], Purpose.RELAY)
        async with upstream.exchange(outbound, LeavesWhenStopped()) as exchange:
            await whole(exchange)

    async with upstream_doing(hasty) as script, reaching(script.url) as upstream:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask())
        assert asking.cancelled()
        assert upstream.pool.stats() == PoolStats(busy=0, idle=0, queued=0)


async def test_a_client_that_fails_to_send_its_content_ends_the_request() -> None:
    async def waiting(peer: Peer) -> None:
        await peer.request()
        assert await peer.reader.read() == BEGINNING

    content = Pieces(BEGINNING, ContentCut("client gone"))
    fields = [(b"Host", b"x"), (b"Content-Length", b"65600")]
    async with upstream_doing(waiting) as script, reaching(script.url) as upstream:
        outbound = Outbound("POST", "/", fields, Purpose.RELAY)
        with pytest.raises(ContentCut, match="client gone"):
            await upstream.exchange(outbound, content).__aenter__()
        assert upstream.pool.stats().busy == 0


def zipped(content: bytes, coding: bytes = b"gzip") -> bytes:
    packed = gzip.compress(content, mtime=0)
    fields = b"Content-Encoding: %b\r\nContent-Length: %d" % (coding, len(packed))
    return b"HTTP/1.1 200 OK\r\nA: b\r\n" + fields + b"\r\n\r\n" + packed


@pytest.mark.parametrize("purpose", [Purpose.READ, Purpose.POLL])
async def test_reading_for_ourselves_asks_for_no_coding_and_undoes_one_that_comes(
    purpose: Purpose,
) -> None:
    async with upstream_answering(zipped(b"a job")) as script, reaching(script.url) as upstream:
        reply = await upstream.request("GET", "/", (), purpose=purpose, max_bytes=1000)
        [head] = script.heads
    assert head.endswith(b"\r\nAccept-Encoding: identity\r\n\r\n")
    assert reply.content == b"a job"
    assert reply.fields == [(b"A", b"b"), (b"Content-Length", b"5")]


async def test_job_that_is_created_for_a_client_comes_in_the_coding_that_the_client_takes() -> None:
    accepted = ((b"Accept-Encoding", b"gzip"),)
    async with upstream_answering(zipped(b"a job")) as script, reaching(script.url) as upstream:
        reply = await upstream.request(
            "POST", "/", accepted, b"[]", purpose=Purpose.CREATE, max_bytes=1000
        )
        [head] = script.heads
    assert b"\r\nAccept-Encoding: gzip\r\n" in head
    assert b"identity" not in head
    assert gzip.decompress(reply.content) == b"a job"


async def test_coding_is_undone_within_the_limit_alone() -> None:
    bomb = zipped(b"\0" * 10_000_000)
    async with upstream_answering(bomb) as script, reaching(script.url) as upstream:
        with pytest.raises(ResponseTooLarge, match="more than 1048576 bytes"):
            await get(upstream)


@pytest.mark.parametrize("coding", [b"br", b"gzip, gzip"])
async def test_coding_that_cannot_be_undone_is_a_bad_gateway(coding: bytes) -> None:
    response = zipped(b"a job", coding)
    async with upstream_answering(response) as script, reaching(script.url) as upstream:
        with pytest.raises(BadGateway):
            await get(upstream)


async def test_an_answer_larger_than_the_limit_names_both_sizes() -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000
    async with upstream_answering(large) as script, reaching(script.url) as upstream:
        with pytest.raises(ResponseTooLarge, match="2000000 bytes; the limit here is 1048576"):
            await get(upstream)


@pytest.mark.no_cover
async def test_answer_in_tiny_chunks_is_read_whole_in_little_more_memory_than_it_has() -> None:
    size = 250_000
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    response += b"2\r\nok\r\n" * (size // 2) + b"0\r\n\r\n"
    limits = {"buffer_bytes": 65536}
    async with upstream_answering(response) as script, reaching(script.url, **limits) as upstream:
        assert await get(upstream) == (200, b"ok" * (size // 2))
        tracemalloc.start()
        try:
            await get(upstream)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 10 * size


async def test_a_reader_that_is_slow_holds_the_upstream_back() -> None:
    sent = 0
    total = 64 << 20

    async def flooding(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent < total:
            await peer.answer(b"x" * (1 << 20))
            sent += 1 << 20

    async with upstream_doing(flooding) as script, reaching(script.url) as upstream:
        outbound = Outbound("GET", "/", [(b"Host", b"x")], Purpose.RELAY)
        async with upstream.exchange(outbound) as exchange:
            assert await exchange.read()
            await asyncio.sleep(0.05)
            assert sent < total // 2
            received = 1
            while chunk := await exchange.read():
                received += len(chunk)
        assert sent == total


async def test_connections_are_bounded_and_given_out_in_turn() -> None:
    at_once = most = 0

    async def slow(peer: Peer) -> None:
        nonlocal at_once, most
        while await peer.request():
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.001)
            at_once -= 1
            await peer.answer(OK)

    async with upstream_doing(slow) as script, reaching(script.url, max_connections=3) as upstream:
        order: list[int] = []

        async def one(number: int) -> None:
            assert await get(upstream) == (200, b"ok")
            order.append(number)

        await asyncio.gather(*(one(number) for number in range(30)))
        assert most <= 3
        assert script.connections <= 3
        assert [n // 3 for n in order] == sorted(n // 3 for n in order)


async def test_who_waits_too_long_for_a_connection_is_told_to_come_back() -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.request()

    limits = {"max_connections": 1, "connect_seconds": 0.03, "response_seconds": 0.5}
    async with upstream_doing(silent) as script, reaching(script.url, **limits) as upstream:
        first = asyncio.get_running_loop().create_task(get(upstream))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            await get(upstream)
        assert refused.value.fields == ((b"Retry-After", b"1"),)
        first.cancel()
        await asyncio.wait([first])
        assert upstream.pool.stats().busy == 0


async def test_who_leaves_the_queue_loses_no_place_for_the_others() -> None:
    async with upstream_answering(OK) as script, reaching(script.url, max_connections=1) as up:
        requests = [asyncio.get_running_loop().create_task(get(up)) for _ in range(12)]
        await asyncio.sleep(0)
        for request in requests[1::2]:
            request.cancel()
        results = await asyncio.gather(*requests, return_exceptions=True)
        assert results[::2] == [(200, b"ok")] * 6
        assert await get(up) == (200, b"ok")
        assert script.connections == 1


async def test_a_connection_is_given_up_before_the_upstream_closes_it() -> None:
    announced = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok"
    async with upstream_answering(announced) as script, reaching(script.url) as upstream:
        await get(upstream)
        await get(upstream)
        assert script.connections == 2


async def test_an_idle_connection_is_closed_in_time() -> None:
    async with upstream_answering(OK) as script, reaching(script.url, keepalive_seconds=0.02) as up:
        await get(up)
        assert up.pool.stats().idle == 1
        await asyncio.sleep(0.05)
        assert up.pool.stats().idle == 0


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_split_of_an_answers_bytes_reads_the_same(data: st.DataObject) -> None:
    response = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Fine thing\r\nA: 1\r\nTransfer-Encoding: "
        b"chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(response)), max_size=8)))
    pieces = [response[a:b] for a, b in zip([0, *cuts], [*cuts, len(response)], strict=True)]

    async def serve(peer: Peer) -> None:
        while await peer.request():
            for piece in pieces:
                peer.writer.write(piece)
                await asyncio.sleep(0)

    async def read() -> None:
        async with upstream_doing(serve) as script, reaching(script.url) as upstream:
            outbound = Outbound("GET", "/", [(b"Host", b"x")], Purpose.RELAY)
            for _ in range(2):
                async with upstream.exchange(outbound) as exchange:
                    assert exchange.head.reason == b"Fine thing"
                    assert exchange.head.fields[0] == (b"A", b"1")
                    assert await whole(exchange) == b"abcdefg"
            assert script.connections == 1

    asyncio.run(read())


async def test_failures_of_the_upstream_are_all_gateway_errors() -> None:
    async def resetting(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async with upstream_doing(resetting) as script, reaching(script.url) as upstream:
        with pytest.raises(GatewayError):
            await get(upstream)


@pytest.mark.parametrize("end", ["take_whole", "pause", "abandon", "lost"])
async def test_exchange_counts_as_under_way_while_it_goes_by_callbacks(end: str) -> None:
    outbound = Outbound("GET", "/", [(b"Host", b"x")], Purpose.RELAY)
    async with upstream_answering(OK, OK) as script, reaching(script.url) as upstream:
        await get(upstream)
        assert upstream.write_batch.under_way == 0
        exchange, arrived = upstream.exchange(outbound), asyncio.Event()
        assert exchange.begin_at_once(arrived.set)
        assert upstream.write_batch.under_way == 1
        await arrived.wait()
        if end == "take_whole":
            assert exchange.take_whole() == b"ok"
        elif end == "pause":
            exchange.pause()
        elif end == "lost":
            exchange.connection.close()
            exchange.abandon()
        assert upstream.write_batch.under_way == (end == "abandon")
        exchange.abandon()
        assert upstream.write_batch.under_way == 0


async def test_exchange_that_finds_no_kept_connection_is_not_under_way() -> None:
    outbound = Outbound("GET", "/", [(b"Host", b"x")], Purpose.RELAY)
    async with upstream_answering(OK) as script, reaching(script.url) as upstream:
        assert not upstream.exchange(outbound).begin_at_once(lambda: None)
        assert upstream.write_batch.under_way == 0
