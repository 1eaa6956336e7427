from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.cli.trying.finding import Grade
from gateway.cli.trying.redis import try_redis
from gateway.config import RedisConfig

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer


@pytest.mark.parametrize(
    ("policy", "verdict"), [("noeviction", Grade.OK), ("allkeys-lru", Grade.NOTE)]
)
async def test_redis_is_tried_with_its_scripts_and_what_it_forgets(
    redis_server: RedisServer, policy: str, verdict: Grade
) -> None:
    await redis_server.command("CONFIG", "SET", "maxmemory-policy", policy)
    url = redis_server.url.replace("//", "//:hunter2@")
    await redis_server.command("CONFIG", "SET", "requirepass", "hunter2")
    found = await try_redis(RedisConfig(url=url, answer_seconds=5), 5)
    assert [finding.verdict for finding in found] == [Grade.OK, Grade.OK, verdict]
    assert found[2].said == policy
    assert "hunter2" not in "".join(map(str, found))


async def test_redis_without_rights_is_told_of(redis_server: RedisServer) -> None:
    await redis_server.command("ACL", "SETUSER", "some", "on", ">word", "~*", "+ping", "+select")
    url = redis_server.url.replace("//", "//some:word@")
    found = await try_redis(RedisConfig(url=url, answer_seconds=5), 5)
    assert [finding.verdict for finding in found] == [
        Grade.OK,
        Grade.FAILED,
        Grade.OK,
    ]
    assert "eval" in found[1].said.lower()


async def test_redis_that_is_slower_than_the_gateway_is_patient_is_noted(
    redis_server: RedisServer,
) -> None:
    found = await try_redis(RedisConfig(url=redis_server.url, answer_seconds=0.0), 5)
    assert found[0].verdict is Grade.NOTE
    assert "redis.answer_seconds" in found[0].hint


async def test_redis_that_is_not_there_is_told_of() -> None:
    (found,) = await try_redis(RedisConfig(url="redis://:hunter2@127.0.0.1:9/0"), 5)
    assert found.verdict is Grade.FAILED
    assert "hunter2" not in str(found)
