from __future__ import annotations

import pytest

from gateway.config import RedisConfig
from gateway.redis.connection import Unusable
from gateway.redis.eviction import eviction_policy, warn_of_eviction
from tests.support.redis_server import RedisServer
from tests.support.upstream import Peer, upstream_doing


def config(url: str) -> RedisConfig:
    return RedisConfig(url=url, connect_seconds=5.0)


@pytest.mark.parametrize(
    ("policy", "is_told"), [("noeviction", False), ("allkeys-lru", True), ("volatile-ttl", True)]
)
async def test_redis_that_may_evict_keys_is_told_of(
    redis_server: RedisServer, policy: str, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    await redis_server.command("CONFIG", "SET", "maxmemory-policy", policy)
    await warn_of_eviction(config(redis_server.url))
    assert (f"maxmemory-policy {policy}" in caplog.text) is is_told


async def test_user_who_may_not_ask_is_told_nothing(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    await redis_server.command("ACL", "SETUSER", "some", "on", ">word", "~*", "+@all", "-info")
    await warn_of_eviction(config(redis_server.url.replace("//", "//some:word@")))
    assert not caplog.records


@pytest.mark.parametrize("reply", [b"+OK\r\n", b"$5\r\nhello\r\n"])
async def test_what_says_no_policy_has_none(reply: bytes) -> None:
    async def serve(peer: Peer) -> None:
        while await peer.reader.read(4096):
            await peer.answer(reply)

    async with upstream_doing(serve) as script:
        assert await eviction_policy(config(script.url.replace("http", "redis"))) == ""


async def test_redis_that_is_not_there_is_asked_a_few_times(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    await redis_server.stop()
    with pytest.raises(Unusable):
        await eviction_policy(config(redis_server.url))
    await warn_of_eviction(config(redis_server.url), gap_seconds=0.0)
    assert not caplog.records


async def test_redis_that_comes_late_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    async def serve(peer: Peer) -> None:
        while script.connections > 1 and await peer.reader.read(4096):
            await peer.answer(b"$27\r\nmaxmemory_policy:volatile-x\r\n")

    async with upstream_doing(serve) as script:
        await warn_of_eviction(config(script.url.replace("http", "redis")), gap_seconds=0.0)
    assert "volatile-x" in caplog.text
