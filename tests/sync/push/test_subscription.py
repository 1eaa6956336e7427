"""One subscription at a real Redis, and at what is none."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from gateway.config import RedisConfig
from gateway.redis.client import connection
from gateway.sync.push.subscription import PATTERNS, Lost, Subscription
from tests.support.upstream import Peer, upstream_doing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.redis_server import RedisServer

SECONDS = 5.0


@asynccontextmanager
async def subscription(url: str) -> AsyncIterator[Subscription]:
    """Not open yet; closed in the end."""
    made = Subscription(connection(RedisConfig(url=url)))
    try:
        yield made
    finally:
        await made.close()


async def publish(url: str, *messages: tuple[str, bytes]) -> None:
    async with Redis.from_url(url) as client:
        for channel, payload in messages:
            await client.publish(channel, payload)


async def test_open_subscription_says_what_is_published_to_either_channel(
    redis_server: RedisServer,
) -> None:
    async with subscription(redis_server.url) as opened:
        await opened.open(SECONDS)
        await publish(
            redis_server.url,
            ("o:job-crud:1", b"no pattern is for this"),
            ("o:job-finished:1", b"x"),
            ("o:workflow-job-finished:2", b"\xff\x00"),
        )
        assert await opened.message() == [b"pmessage", PATTERNS[0], b"o:job-finished:1", b"x"]
        assert await opened.message() == [
            b"pmessage",
            PATTERNS[1],
            b"o:workflow-job-finished:2",
            b"\xff\x00",
        ]


@pytest.mark.parametrize("options", ["", "?protocol=3", "?socket_timeout=0.001"])
async def test_subscription_answers_pings_and_shows_no_answer_to_them(
    redis_server: RedisServer, options: str
) -> None:
    async with subscription(redis_server.url + options) as opened:
        await opened.open(SECONDS)
        for _ in range(5):
            await opened.ping()
            await publish(redis_server.url, ("o:job-finished:1", b""))
            assert await opened.message() == [b"pmessage", PATTERNS[0], b"o:job-finished:1", b""]


async def test_redis_that_stopped_answering_is_lost_at_the_third_ping(
    redis_server: RedisServer,
) -> None:
    async with subscription(redis_server.url) as opened:
        await opened.open(SECONDS)
        redis_server.hang()
        await opened.ping()
        await opened.ping()
        with pytest.raises(Lost, match="does not answer"):
            await opened.ping()


async def test_redis_that_ends_is_lost_at_once(redis_server: RedisServer) -> None:
    async with subscription(redis_server.url) as opened:
        await opened.open(SECONDS)
        await redis_server.stop()
        with pytest.raises(Lost, match="ConnectionError"):
            await opened.message()
        with pytest.raises(Lost):
            await opened.open(SECONDS)


async def test_redis_that_accepts_and_hangs_is_given_up_in_time(redis_server: RedisServer) -> None:
    redis_server.hang()
    async with subscription(redis_server.url) as hanging:
        with pytest.raises(Lost, match=r"within 0\.02 s"):
            await hanging.open(0.02)


async def test_user_who_may_not_subscribe_is_told_so(redis_server: RedisServer) -> None:
    await redis_server.command("ACL", "SETUSER", "some", "on", ">word", "+@all", "resetchannels")
    url = redis_server.url.replace("//", "//some:word@")
    async with subscription(url) as refused:
        with pytest.raises(Lost, match="NoPermissionError") as lost:
            await refused.open(SECONDS)
    assert "word" not in str(lost.value)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"-ERR \x1b[31mgo away\r\n" * 9,
        b"+OK\r\n" * 100_000,
        b"*1\r\n" * 100_000,
        b"$99999999999999999999\r\nx\r\n",
        b":no number\r\n" * 9,
        b"x" * 1_000_000,
        b"",
    ],
    ids=["http", "errors", "endless", "nested", "huge", "no number", "no line", "nothing"],
)
async def test_peer_that_is_no_redis_is_lost(said: bytes) -> None:
    async def speak(peer: Peer) -> None:
        await peer.answer(said)

    async with upstream_doing(speak) as script:
        url = script.url.replace("http://", "redis://")
        async with subscription(url) as none:
            with pytest.raises(Lost) as lost:
                await none.open(SECONDS)
    assert len(str(lost.value)) < 300
    assert str(lost.value).isprintable()


async def test_flood_before_the_confirmation_does_not_outlast_the_time_limit() -> None:
    async def speak(peer: Peer) -> None:
        while True:
            await peer.answer(b"+OK\r\n" * 1000)

    async with upstream_doing(speak) as script:
        url = script.url.replace("http://", "redis://")
        async with subscription(url) as flooded:
            with pytest.raises(Lost, match="within"):
                await flooded.open(0.02)
        assert script.connections == 1


async def test_closing_does_not_wait_for_a_redis_that_hangs(redis_server: RedisServer) -> None:
    async with subscription(redis_server.url) as opened:
        await opened.open(SECONDS)
        redis_server.hang()
        async with asyncio.timeout(1):
            await opened.close()


@pytest.mark.parametrize("scheme", ["rediss://127.0.0.1:{port}/0", "unix:///nowhere/redis.sock"])
async def test_redis_that_cannot_be_reached_so_is_lost(
    redis_server: RedisServer, scheme: str
) -> None:
    port = redis_server.url.rpartition(":")[2].partition("/")[0]
    async with subscription(scheme.format(port=port)) as unreachable:
        with pytest.raises(Lost):
            await unreachable.open(0.5)
