"""Requests that only pass, on an upstream connection that is already there: what becomes of them
when something other than a whole answer comes.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.downstream.connection import Connection
from gateway.downstream.exchange import Exchange, Outcome
from gateway.downstream.messages.request_reader import RequestReader
from gateway.proxy.cycle import Cycle, CycleState
from gateway.upstream.messages.response_reader import ResponseReader
from tests.support.client import Kept, client
from tests.support.harness import RawClient, connected, gateway_before
from tests.support.pipeline import pipeline_before
from tests.support.replay import until
from tests.support.upstream import Peer, Script, upstream_doing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from gateway.downstream.request import Client
    from gateway.proxy.pipeline import Pipeline
    from gateway.server.server import Server

    Serve = Callable[[Peer], Awaitable[None]]

HOST = ((b"Host", b"x"),)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Record:
    """Keeps the requests that are over, but the one that warms up."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def observe(self, exchange: Exchange) -> None:
        if exchange.target != "/warm-up":
            self.exchanges.append(exchange)


@asynccontextmanager
async def warm(serve: Serve, **sections: dict[str, object]) -> AsyncIterator[Warm]:
    """A client whose next request meets a kept connection to an upstream that does ``serve``."""

    record = Record()

    async def serve_second(peer: Peer) -> None:
        if peer.number == 1:
            await peer.request()
            await peer.answer(OK)
        await serve(peer)

    async with (
        upstream_doing(serve_second) as script,
        gateway_before(script.url, record, **sections) as server,
        connected(server.url) as client,
        asyncio.timeout(5),
    ):
        await client.send(GET.replace(b" / ", b" /warm-up "))
        await client.answer()
        yield Warm(script, server, client, record.exchanges)


class Warm:
    def __init__(
        self, script: Script, server: Server, client: RawClient, observed: list[Exchange]
    ) -> None:
        self.script = script
        self.server = server
        self.client = client
        self.observed = observed
        """Its requests that the observers were told of."""


async def test_whole_answers_come_in_order_to_requests_sent_at_once() -> None:
    async def serve(peer: Peer) -> None:
        while head := await peer.request():
            target = head.split(b" ")[1]
            await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + target)

    async with warm(serve) as ready:
        targets = [b"/%02d" % number for number in range(50)]
        await ready.client.send(b"".join(GET.replace(b"/ ", t + b" ", 1) for t in targets))
        assert [(await ready.client.answer())[1] for _ in targets] == targets
        assert ready.script.connections == 1


@pytest.mark.parametrize("pieces", [(OK[:20], OK[20:]), (OK[:-1], OK[-1:]), (OK[:-2], b"o", b"k")])
async def test_answer_in_pieces_is_passed_on(pieces: tuple[bytes, ...]) -> None:
    async def serve(peer: Peer) -> None:
        for _ in range(2):
            await peer.request()
            for piece in pieces:
                await peer.answer(piece)
                await asyncio.sleep(0.01)

    async with warm(serve) as ready:
        for _ in range(2):
            await ready.client.send(GET)
            assert (await ready.client.answer())[1] == b"ok"
        assert ready.script.connections == 1
    assert [(one.status, one.outcome) for one in ready.observed] == [(200, Outcome.OK)] * 2


async def test_request_on_a_connection_that_was_just_closed_is_sent_again() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        if peer.number > 1:
            await peer.answer(OK)

    async with warm(serve) as ready:
        await ready.client.send(GET)
        assert (await ready.client.answer())[1] == b"ok"
        assert ready.script.connections == 2


async def test_upstream_that_closes_within_its_answer_cuts_the_clients() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(OK[:-1])

    async with warm(serve) as ready:
        await ready.client.send(GET)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await ready.client.answer()


async def test_upstream_that_does_not_answer_in_time_is_504() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read()

    async with warm(serve, upstream={"response_seconds": 0.03}) as ready:
        await ready.client.send(GET)
        head, _ = await ready.client.answer()
        assert head.startswith(b"HTTP/1.1 504 ")
    assert [one.status for one in ready.observed] == [504]


async def test_client_that_leaves_frees_the_upstream_and_is_told_of_once() -> None:
    asked, dropped = asyncio.Event(), asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.reader.read()
        dropped.set()

    async with warm(serve) as ready:
        await ready.client.send(GET)
        await asked.wait()
        ready.client.writer.transport.abort()
        await dropped.wait()
        await until(lambda: bool(ready.observed))
    assert [(one.status, one.outcome) for one in ready.observed] == [(0, Outcome.CLIENT_CLOSED)]
    [left] = ready.observed
    # The upstream had it, and said nothing.
    assert 0 < left.upstream_seconds <= left.handling_seconds
    assert left.upstream_status == 0


async def test_client_that_leaves_takes_no_memory_until_the_collector_comes() -> None:
    asked = asyncio.Event()

    async def serve(peer: Peer) -> None:
        while head := await peer.request():
            if b" / " in head:
                asked.set()
            else:
                await peer.answer(OK)

    def alive() -> int:
        return sum(
            isinstance(it, (Connection, RequestReader, ResponseReader)) for it in gc.get_objects()
        )

    def is_forgotten() -> bool:
        ready.observed.clear()
        return alive() == 0

    gc.collect()
    gc.disable()
    try:
        async with warm(serve) as ready:
            await ready.client.send(GET)
            await asked.wait()
            assert alive() == 3
            ready.client.writer.transport.abort()
            await until(is_forgotten)
    finally:
        gc.enable()


async def test_drain_waits_for_the_answer_and_closes_the_connection_after_it() -> None:
    asked, goes_on = asyncio.Event(), asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await goes_on.wait()
        await peer.answer(OK)

    async with warm(serve) as ready, asyncio.TaskGroup() as group:
        await ready.client.send(GET)
        await asked.wait()
        draining = group.create_task(ready.server.drain())
        await asyncio.sleep(0.01)
        assert not draining.done()
        goes_on.set()
        head, content = await ready.client.answer()
        assert b"\r\nConnection: close\r\n" in head
        assert content == b"ok"
        assert await ready.client.until_closed() == b""


async def test_request_that_waits_at_the_end_of_the_process_is_cut() -> None:
    asked = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.reader.read()

    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        async with warm(serve) as ready:
            await ready.client.send(GET)
            await asked.wait()
            await ready.server.__aexit__(None, None, None)
            await ready.client.answer()
    assert [one.outcome for one in ready.observed] == [Outcome.CUT]


async def test_client_that_takes_no_answer_is_asked_for_no_further_request() -> None:
    content = b"x" * 200_000

    async def serve(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + content)

    async with warm(serve) as ready:
        await ready.client.send(GET * 200)
        await until(lambda: len(ready.observed) > 2)
        await asyncio.sleep(0.05)
        # Some MB fit into the sockets' buffers.
        assert len(ready.observed) < 100
        for _ in range(200):
            assert (await ready.client.answer())[1] == content
    assert [one.bytes_sent for one in (e.client for e in ready.observed)] == [200_000] * 200


async def answering(peer: Peer) -> None:
    while await peer.request():
        await peer.answer(OK)


class Broken(Kept):
    """Fails when it is to be written to."""

    def is_closing(self) -> bool:
        if self.written == b"":
            self.written = b"broken"
            raise ZeroDivisionError("an internal detail")
        return super().is_closing()


async def run(pipeline: Pipeline, of: Client) -> None:
    """One request, to its end."""
    cycle, progress = Cycle(pipeline, of), asyncio.Event()
    if cycle.begin_at_once(lambda _: progress.set()):
        await progress.wait()
    if cycle.state is not CycleState.OVER:
        await cycle.run()


async def test_client_that_is_gone_before_its_answer_is_written_is_told_of_once() -> None:
    record, transport = Record(), Kept()
    async with upstream_doing(answering) as script:
        with pipeline_before(script.url, record) as pipeline:
            await run(pipeline, client("GET", "/warm-up", HOST))
            transport.close()
            await run(pipeline, client("GET", "/", HOST, transport=transport))
    assert [one.outcome for one in record.exchanges] == [Outcome.CLIENT_CLOSED]
    assert transport.written == b""


async def test_unexpected_failure_cuts_the_client_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    record, transport = Record(), Broken()
    async with upstream_doing(answering) as script:
        with pipeline_before(script.url, record) as pipeline:
            await run(pipeline, client("GET", "/warm-up", HOST))
            await run(pipeline, client("GET", "/", HOST, transport=transport))
    assert [one.outcome for one in record.exchanges] == [Outcome.CUT]
    assert transport.written == b"broken"
    assert transport.is_closing()
    assert "an internal detail" in caplog.text


async def test_connection_is_closed_when_it_was_idle_for_long_but_never_before_its_answer() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.05)
        await peer.answer(OK)
        await peer.reader.read()

    async with warm(serve, listen={"keepalive_seconds": 0.02}) as ready:
        await ready.client.send(GET)
        assert (await ready.client.answer())[1] == b"ok"
        assert await ready.client.until_closed() == b""
