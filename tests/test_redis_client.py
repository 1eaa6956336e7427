from __future__ import annotations

import pytest
from redis.exceptions import RedisError

from gateway.config import RedisConfig
from gateway.redis_client import connect
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
