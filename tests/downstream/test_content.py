"""How slowly content may come, on virtual time. On sockets: tests/e2e/test_uploads.py."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.downstream.content import FLOOR_SECONDS, FULL_BYTES, RequestContent
from gateway.errors import BadRequest, ClientGone, RequestTimeout
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.errors import ContentCut, GatewayError

pytestmark = pytest.mark.virtual_time
FLOOR = 500.0


def content_of(floor: float = FLOOR, idle_seconds: float = 60.0) -> RequestContent:
    return RequestContent(idle_seconds=idle_seconds, floor=floor, on_taken=lambda: None)


@asynccontextmanager
async def sending(
    *pieces: tuple[float, bytes], floor: float = FLOOR, idle_seconds: float = 60.0
) -> AsyncIterator[RequestContent]:
    """A client's content: each piece after a pause in seconds."""
    content = content_of(floor, idle_seconds)

    async def send() -> None:
        for pause, piece in pieces:
            await asyncio.sleep(pause)
            content.feed([piece] if piece else [], is_last=False)
        content.feed([], is_last=True)

    client = asyncio.get_running_loop().create_task(send())
    yield content
    client.cancel()
    await asyncio.wait([client])


async def read_all(content: RequestContent, pause: float = 0) -> int:
    size = 0
    while piece := await content.read():
        size += len(piece)
        await asyncio.sleep(pause)
    return size


@pytest.mark.parametrize("pause", [3.0, 29.0])
async def test_byte_now_and_then_is_given_up_within_half_a_minute(pause: float) -> None:
    async with sending(*[(pause, b"x")] * 1000) as content:
        with pytest.raises(RequestTimeout):
            await read_all(content)
    assert FLOOR_SECONDS <= now() < FLOOR_SECONDS + 1


async def test_rate_is_that_of_half_a_minute_not_of_a_moment() -> None:
    async with sending(*[(20.0, b"x" * 10_000)] * 10) as content:
        assert await read_all(content) == 100_000
    assert now() == 200.0


async def test_fast_beginning_buys_no_longer_pause_than_others_have() -> None:
    async with sending((0.0, b"x" * 1_000_000), (40.0, b"x")) as content:
        with pytest.raises(RequestTimeout):
            await read_all(content)
    assert now() == FLOOR_SECONDS


async def test_time_that_the_reader_takes_is_not_the_clients() -> None:
    async with sending(*[(0.0, b"x")] * 100) as content:
        assert await read_all(content, pause=100) == 100


@pytest.mark.parametrize(("floor", "idle_seconds"), [(0.0, 60.0), (FLOOR, 20.0)])
async def test_single_pause_is_bounded_with_and_without_a_floor(
    floor: float, idle_seconds: float
) -> None:
    pieces = [*[(idle_seconds - 1, b"x" * 100_000)] * 3, (1000.0, b"")]
    async with sending(*pieces, floor=floor, idle_seconds=idle_seconds) as content:
        with pytest.raises(RequestTimeout):
            await read_all(content)
    assert now() == 3 * (idle_seconds - 1) + idle_seconds


@pytest.mark.parametrize("failure", [ClientGone(), BadRequest("not framed as HTTP says")])
async def test_content_that_cannot_come_any_more_says_why(
    failure: GatewayError | ContentCut,
) -> None:
    content = content_of()
    content.feed([b"x"], is_last=False)
    assert await content.read() == b"x"
    assert not content.is_complete
    content.fail(failure)
    for _ in range(2):
        with pytest.raises(type(failure)):
            await content.read()


async def test_who_waits_for_content_is_told_at_once_that_none_comes() -> None:
    content = content_of()
    asyncio.get_running_loop().call_later(1.0, content.fail, ClientGone())
    with pytest.raises(ClientGone):
        await content.read()
    assert now() == 1.0


async def test_content_that_is_all_there_cannot_fail() -> None:
    content = content_of()
    content.feed([b"wh", b"ole"], is_last=True)
    content.fail(ClientGone())
    assert await read_all(content) == 5


async def test_content_that_nobody_reads_is_full_until_it_was_read() -> None:
    taken: list[float] = []
    content = RequestContent(idle_seconds=60.0, floor=FLOOR, on_taken=lambda: taken.append(now()))
    content.feed([b"x" * FULL_BYTES], is_last=False)
    assert not content.is_full
    content.feed([b"x"], is_last=False)
    assert content.is_full
    assert len(await content.read()) == FULL_BYTES + 1
    assert not content.is_full
    assert taken == [0.0]


async def test_reading_is_at_hand_where_it_need_not_wait() -> None:
    content = content_of()
    assert not content.is_at_hand
    content.feed([b"x"], is_last=False)
    assert content.is_at_hand
    await content.read()
    assert not content.is_at_hand
    content.feed([], is_last=True)
    assert content.is_at_hand
