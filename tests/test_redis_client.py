from __future__ import annotations

import pytest
from redis.exceptions import RedisError

from gateway.config import RedisConfig
from gateway.redis_client import connect, has_known_options, listener
from tests.redis_server import RedisServer


async def test_client_asks_the_redis_of_the_url(redis_server: RedisServer) -> None:
    async with connect(RedisConfig(url=redis_server.url), max_connections=1) as client:
        assert await client.ping()


async def test_redis_that_hangs_is_given_up(redis_server: RedisServer) -> None:
    redis_server.hang()
    config = RedisConfig(url=redis_server.url, answer_seconds=0.01)
    async with connect(config, max_connections=1) as client:
        with pytest.raises(RedisError):
            await client.ping()


def test_options_of_the_url_are_known_or_not() -> None:
    assert has_known_options(RedisConfig(url="redis://r?db=3"))
    assert not has_known_options(RedisConfig(url="redis://r?unheard_of=3"))


def test_listener_has_no_time_limits_whatever_the_url_says() -> None:
    url = "redis://r?socket_timeout=1&socket_connect_timeout=1"
    connection = listener(RedisConfig(url=url))
    assert connection.socket_timeout is None
    assert connection.socket_connect_timeout is None
