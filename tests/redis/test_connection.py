from __future__ import annotations

import msgspec
import pytest
from redis.exceptions import ResponseError

from gateway.config import RedisConfig
from gateway.redis.connection import Closed, RedisConnection, Unusable
from tests.support.redis_server import RedisServer
from tests.support.upstream import Peer, upstream_doing


async def opened(url: str, **settings: float) -> RedisConnection:
    given = {"url": url, "connect_seconds": 5.0, **settings}
    made = RedisConnection(msgspec.convert(given, RedisConfig))
    await made.open()
    return made


async def test_commands_that_are_sent_at_once_get_each_its_reply(redis_server: RedisServer) -> None:
    made = await opened(redis_server.url)
    assert await made.replies([("SET", "a", b"\xff"), ("GET", "a"), ("GET", "b")], 5.0) == [
        b"OK",
        b"\xff",
        None,
    ]
    await made.close()


async def test_error_reply_makes_it_unusable_unless_it_is_expected(
    redis_server: RedisServer,
) -> None:
    made = await opened(redis_server.url)
    failure, answer = await made.replies([("LPUSH",), ("PING",)], 5.0, (ResponseError,))
    assert isinstance(failure, ResponseError)
    assert answer == b"PONG"
    with pytest.raises(Unusable, match="wrong number of arguments"):
        await made.replies([("LPUSH",)], 5.0)
    await made.close()


async def test_connection_that_the_server_has_closed_is_told_from_others(
    redis_server: RedisServer,
) -> None:
    made = await opened(redis_server.url)
    await redis_server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises(Closed):
        await made.replies([("PING",)], 5.0)
    await made.close()


async def test_server_that_hangs_is_given_up(redis_server: RedisServer) -> None:
    made = await opened(redis_server.url)
    redis_server.hang()
    with pytest.raises(Unusable, match=r"no answer within 0\.02 s"):
        await made.replies([("PING",)], 0.02)
    await made.close()
    with pytest.raises(Unusable, match=r"no connection within 0\.02 s"):
        await opened(redis_server.url.replace("/0", "/1"), connect_seconds=0.02)


async def test_what_is_no_redis_is_unusable() -> None:
    async def speak_http(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with upstream_doing(speak_http) as script:
        with pytest.raises(Unusable) as failure:
            await opened(script.url.replace("http", "redis") + "/1")
    assert str(failure.value).isprintable()
