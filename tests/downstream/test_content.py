"""How slowly content may come, on virtual time. On sockets: tests/e2e/test_uploads.py."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol

from gateway.downstream.content import FLOOR_SECONDS, RequestContent
from gateway.errors import BadRequest, ClientGone, RequestTimeout
from tests.support.virtual_time import now, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

FLOOR = 500.0


@asynccontextmanager
async def sending(
    *pieces: tuple[float, bytes], floor: float = FLOOR, idle_seconds: float = 60.0
) -> AsyncIterator[RequestContent]:
    """A client's content: each piece after a pause in seconds."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    transport, protocol = await loop.create_connection(lambda: BaseProtocol(loop), sock=ours)
    payload = StreamReader(protocol, 2**16, loop=loop)

    async def send() -> None:
        for pause, piece in pieces:
            await asyncio.sleep(pause)
            payload.feed_data(piece)
        payload.feed_eof()

    client = loop.create_task(send())
    yield RequestContent(payload, idle_seconds=idle_seconds, floor=floor, on_awaited=lambda: None)
    client.cancel()
    await asyncio.wait([client])
    transport.abort()
    theirs.close()
    await asyncio.sleep(0)


async def read_all(content: RequestContent, pause: float = 0) -> int:
    size = 0
    while piece := await content.read():
        size += len(piece)
        await asyncio.sleep(pause)
    return size


@pytest.mark.parametrize("pause", [3.0, 29.0])
def test_byte_now_and_then_is_given_up_within_half_a_minute(pause: float) -> None:
    async def scenario() -> float:
        async with sending(*[(pause, b"x")] * 1000) as content:
            with pytest.raises(RequestTimeout):
                await read_all(content)
            return now()

    assert FLOOR_SECONDS <= run(scenario()) < FLOOR_SECONDS + 1


def test_rate_is_that_of_half_a_minute_not_of_a_moment() -> None:
    async def scenario() -> tuple[int, float]:
        async with sending(*[(20.0, b"x" * 10_000)] * 10) as content:
            return await read_all(content), now()

    assert run(scenario()) == (100_000, 200.0)


def test_fast_beginning_buys_no_longer_pause_than_others_have() -> None:
    async def scenario() -> float:
        async with sending((0.0, b"x" * 1_000_000), (40.0, b"x")) as content:
            with pytest.raises(RequestTimeout):
                await read_all(content)
            return now()

    assert run(scenario()) == FLOOR_SECONDS


def test_time_that_the_reader_takes_is_not_the_clients() -> None:
    async def scenario() -> int:
        async with sending(*[(0.0, b"x")] * 100) as content:
            return await read_all(content, pause=100)

    assert run(scenario()) == 100


@pytest.mark.parametrize(("floor", "idle_seconds"), [(0.0, 60.0), (FLOOR, 20.0)])
def test_single_pause_is_bounded_with_and_without_a_floor(
    floor: float, idle_seconds: float
) -> None:
    async def scenario() -> float:
        pieces = [*[(idle_seconds - 1, b"x" * 100_000)] * 3, (1000.0, b"")]
        async with sending(*pieces, floor=floor, idle_seconds=idle_seconds) as content:
            with pytest.raises(RequestTimeout):
                await read_all(content)
            return now()

    assert run(scenario()) == 3 * (idle_seconds - 1) + idle_seconds


@pytest.mark.parametrize(
    ("fails", "failure"),
    [(ConnectionResetError, ClientGone), (web.RequestPayloadError, BadRequest)],
)
def test_content_that_cannot_come_any_more_says_why(
    fails: Callable[[], BaseException], failure: type[Exception]
) -> None:
    async def scenario() -> None:
        async with sending((0.0, b"x"), (1000.0, b"")) as content:
            assert await content.read() == b"x"
            assert not content.is_complete
            content.spoil(fails())
            with pytest.raises(failure):
                await content.read()

    run(scenario())


def test_content_that_is_all_there_cannot_be_spoilt() -> None:
    async def scenario() -> int:
        async with sending((0.0, b"whole")) as content:
            await asyncio.sleep(1)
            assert content.is_complete
            content.spoil(ConnectionResetError())
            return await read_all(content)

    assert run(scenario()) == 5


@pytest.mark.parametrize(("seconds", "all_of_it"), [(3.0, True), (1.5, False)])
def test_what_is_left_is_read_off_for_a_while(seconds: float, all_of_it: bool) -> None:
    async def scenario() -> bool:
        async with sending((1.0, b"a"), (1.0, b"b")) as content:
            return await content.read_off(seconds)

    assert run(scenario()) is all_of_it
