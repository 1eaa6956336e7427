"""Records at a real Redis, and life without it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from gateway.config import RedisConfig
from gateway.redis.link import Unanswered
from gateway.sync.kept.redis_records import RedisRecords
from tests.support.redis_server import redis_serving
from tests.support.replay import until
from tests.support.upstream import Peer, upstream_doing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.redis_server import RedisServer


@asynccontextmanager
async def records(
    url: str, answer_seconds: float = 5.0, transfer_seconds: float = 5.0
) -> AsyncIterator[RedisRecords]:
    config = RedisConfig(url=url, answer_seconds=answer_seconds, connect_seconds=5.0)
    made = RedisRecords(
        config,
        lambda: 0.0,
        lambda: 1.0,
        transfer_seconds=transfer_seconds,
        first_gap_seconds=0.01,
    )
    try:
        yield made
    finally:
        await made.aclose()


async def until_put(one: RedisRecords) -> None:
    """However busy this machine is."""
    async with asyncio.timeout(30):
        while True:
            with suppress(Unanswered):
                return await one.put("a", b"1", 60)


async def test_record_is_there_for_everybody_until_its_time_is_up(
    redis_server: RedisServer,
) -> None:
    async with records(redis_server.url) as one, records(redis_server.url) as other:
        await one.put("a", b"\x00\xff", 60)
        assert await other.get("a", 2) == b"\x00\xff"
        assert await other.get("b", 2) == b""
        assert 0 < await redis_server.command("PTTL", "a") <= 60_000
        assert one.failures == other.failures == 0


async def test_record_that_is_too_large_is_none_and_is_not_read_whole(
    redis_server: RedisServer,
) -> None:
    async with records(redis_server.url) as one:
        await one.put("a", bytes(1000), 60)
        assert await one.get("a", 999) == b""
        assert await one.get("a", 1000) == bytes(1000)


async def test_many_at_once_get_each_their_own(redis_server: RedisServer) -> None:
    async with records(redis_server.url) as one:
        await asyncio.gather(*(one.put(f"r{n}", b"%d" % n, 60) for n in range(100)))
        found = await asyncio.gather(*(one.get(f"r{n}", 9) for n in range(100)))
    assert found == [b"%d" % n for n in range(100)]


async def test_whoever_leaves_in_the_middle_leaves_no_reply_to_the_next(
    redis_server: RedisServer,
) -> None:
    async with records(redis_server.url) as one:
        await one.put("a", b"1", 60)
        redis_server.hang()
        leaving = asyncio.ensure_future(one.get("a", 9))  # noqa: TID251 - the test owns it
        await asyncio.sleep(0.02)
        leaving.cancel()
        redis_server.resume()
        assert await one.get("b", 9) == b""
        assert await one.get("a", 9) == b"1"


async def test_connection_that_was_closed_while_idle_is_made_again_in_silence(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with records(redis_server.url) as one:
        await one.put("a", b"1", 60)
        await redis_server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await one.get("a", 9) == b"1"
        assert one.failures == 0
    assert caplog.text == ""


async def test_redis_that_is_gone_is_asked_again_after_a_gap_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with redis_serving() as server, records(server.url) as one:
        await one.put("a", b"1", 60)
        await server.stop()
        for _ in range(3):
            with pytest.raises(Unanswered):
                await one.get("a", 9)
        assert not one.may_answer
        assert one.failures == 3
        await server.start()
        await until(lambda: one.may_answer)
        assert await one.get("a", 9) == b""
    first, second = caplog.messages
    assert first.startswith("redis: results are kept in this process only: ConnectionError")
    assert second == "redis: results are kept there again"


async def test_redis_that_hangs_holds_nobody_up_for_long(
    redis_server: RedisServer,
) -> None:
    async with records(redis_server.url, answer_seconds=0.02, transfer_seconds=0.03) as one:
        await until_put(one)
        redis_server.hang()
        for _ in range(2):
            with pytest.raises(Unanswered, match=r"no answer within 0\.05 s"):
                await one.get("a", 9)


async def test_redis_that_is_full_still_gives_what_it_has(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with records(redis_server.url) as one:
        await one.put("a", b"1", 60)
        await redis_server.command("CONFIG", "SET", "maxmemory", "1")
        for _ in range(2):
            with pytest.raises(Unanswered, match="OutOfMemory"):
                await one.put("b", b"2", 60)
        assert await one.get("a", 9) == b"1"
        assert one.may_answer
        await redis_server.command("CONFIG", "SET", "maxmemory", "0")
        for _ in range(2):
            await one.put("b", b"2", 60)
        assert one.failures == 2
    first, second = caplog.messages
    assert "kept in this process only: OutOfMemoryError" in first
    assert second == "redis: results are kept there again"


async def test_redis_that_refuses_is_asked_again_after_a_gap(redis_server: RedisServer) -> None:
    async with records(redis_server.url) as one:
        await one.put("a", b"1", 60)
        await redis_server.command("CONFIG", "SET", "min-replicas-to-write", "3")
        with pytest.raises(Unanswered, match="NOREPLICAS"):
            await one.put("b", b"2", 60)
        assert not one.may_answer


async def test_what_is_no_redis_is_no_store() -> None:
    async def speak_http(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with (
        upstream_doing(speak_http) as server,
        records(server.url.replace("http", "redis")) as one,
    ):
        with pytest.raises(Unanswered):
            await one.put("a", b"1", 60)


async def test_connection_that_is_not_there_in_time_is_not_waited_for(
    redis_server: RedisServer,
) -> None:
    redis_server.hang()
    async with records(redis_server.url + "?db=1", answer_seconds=0.02) as one:
        with pytest.raises(Unanswered, match="no connection in time"):
            await one.get("a", 9)
