"""One connection that decides, and servers that take commands but decide nothing."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.admission.limits.gcra import Rate
from gateway.admission.limits.memory_budgets import Budget, Use
from gateway.admission.limits.redis_script import ScriptCall, call
from gateway.admission.limits.redis_store import RedisStore
from gateway.config import RedisConfig
from gateway.protocols.theeye.routes import RouteKind
from gateway.redis.connection import Closed, Unusable
from tests.support.redis_server import RedisServer, redis_serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECONDS = 5.0


def decision(key: bytes = b"key") -> ScriptCall:
    return call([Budget(RouteKind.OTHER, key, Rate(0.01, 2), is_known=True)], Use.TAKE, [0])


@asynccontextmanager
async def store(url: str, answer_seconds: float = SECONDS) -> AsyncIterator[RedisStore]:
    """Not open yet; closed in the end."""
    made = RedisStore(RedisConfig(url=url, answer_seconds=answer_seconds, connect_seconds=SECONDS))
    try:
        yield made
    finally:
        await made.close()


async def refused(url: str) -> str:
    """Why no connection can be opened."""
    async with store(url) as made:
        with pytest.raises(Unusable) as failure:
            await made.open()
    assert str(failure.value).isprintable()
    return str(failure.value)


async def test_open_store_decides_on_many_at_once(redis_server: RedisServer) -> None:
    async with store(redis_server.url) as made:
        await made.open()
        verdicts = await made.decide([decision()] * 4)
        assert [verdict.refused is None for verdict in verdicts] == [True, True, False, False]


async def test_script_that_was_forgotten_is_given_again(redis_server: RedisServer) -> None:
    async with store(redis_server.url) as made:
        await made.open()
        await redis_server.command("SCRIPT", "FLUSH")
        verdicts = await made.decide([decision()] * 4)
        assert [verdict.refused is None for verdict in verdicts] == [True, True, False, False]


async def test_server_without_hello_decides() -> None:
    """Redis 5, and proxies such as Twemproxy."""
    async with (
        redis_serving("--rename-command", "HELLO", "") as server,
        store(server.url) as made,
    ):
        await made.open()
        [verdict] = await made.decide([decision()])
        assert verdict.refused is None


async def test_replica_is_not_opened() -> None:
    async with (
        redis_serving() as primary,
        redis_serving("--replicaof", f"127.0.0.1 {primary.port}") as replica,
    ):
        reason = await refused(replica.url)
    assert "You can't write against a read only replica" in reason


async def test_store_that_becomes_a_replica_decides_no_more(redis_server: RedisServer) -> None:
    async with redis_serving() as primary, store(redis_server.url) as made:
        await made.open()
        await redis_server.command("REPLICAOF", "127.0.0.1", primary.port)
        with pytest.raises(Unusable, match="read only replica"):
            await made.decide([decision()])


async def test_full_redis_is_not_opened() -> None:
    async with redis_serving("--maxmemory", "1", "--maxmemory-policy", "noeviction") as server:
        assert "used memory > 'maxmemory'" in await refused(server.url)


@pytest.mark.parametrize(
    ("rights", "words"),
    [
        (("~*", "+@all", "-@scripting"), "no permissions to run the 'eval' command"),
        (("~*", "+@all", "-set"), r"can.t run|permissions to run"),
        (("~other:*", "+@all"), "key"),
    ],
    ids=["no scripts", "no writes", "other keys"],
)
async def test_user_without_the_rights_is_not_let_in(
    redis_server: RedisServer, rights: tuple[str, ...], words: str
) -> None:
    await redis_server.command("ACL", "SETUSER", "some", "on", ">word", *rights)
    reason = await refused(redis_server.url.replace("//", "//some:word@"))
    assert re.search(words, reason)
    assert "word@" not in reason


async def test_user_that_may_run_scripts_and_write_its_keys_is_enough(
    redis_server: RedisServer,
) -> None:
    rights = ("~theeye-sync-gateway:*", "+eval", "+evalsha", "+get", "+set", "+time")
    await redis_server.command("ACL", "SETUSER", "some", "on", ">word", *rights)
    async with store(redis_server.url.replace("//", "//some:word@")) as made:
        await made.open()
        [verdict] = await made.decide([decision()])
        assert verdict.refused is None


async def test_wrong_password_is_told_and_not_shown(redis_server: RedisServer) -> None:
    await redis_server.command("ACL", "SETUSER", "some", "on", ">word")
    reason = await refused(redis_server.url.replace("//", "//some:guessed@"))
    assert "invalid username-password pair" in reason
    assert "guessed" not in reason


async def test_redis_that_cannot_save_is_not_opened() -> None:
    """Nobody can write a file in /proc."""
    async with redis_serving("--save", "3600 1", "--dir", "/proc") as server:
        await server.command("BGSAVE")
        async with server.client() as client:
            for _ in range(5000):
                if (await client.info("persistence"))["rdb_last_bgsave_status"] == "err":
                    break
                await asyncio.sleep(0.004)
        assert "MISCONF" in await refused(server.url)


async def test_redis_that_loads_its_data_is_opened_when_it_has(tmp_path: Path) -> None:
    saved = ("--dir", str(tmp_path), "--save", "3600 1")
    async with redis_serving(*saved) as server:
        async with server.client() as client:
            await client.mset({f"key{number}": "x" for number in range(500)})
            await client.save()
        await server.stop()
        slowly = ("--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
        server.options = (*saved, *slowly)
        await server.start(until=b"Loading RDB")
        assert "loading the dataset in memory" in await refused(server.url)
        is_open = False
        for _ in range(5000):
            async with store(server.url) as made:
                try:
                    await made.open()
                except Unusable:
                    await asyncio.sleep(0.004)
                else:
                    is_open = True
                    break
        assert is_open


async def test_connection_that_the_server_has_closed_is_told_from_others(
    redis_server: RedisServer,
) -> None:
    async with store(redis_server.url) as made:
        await made.open()
        await redis_server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with pytest.raises(Closed):
            await made.decide([decision()])


async def test_redis_that_hangs_is_given_up(redis_server: RedisServer) -> None:
    async with store(redis_server.url, answer_seconds=0.5) as made:
        await made.open()
        redis_server.hang()
        with pytest.raises(Unusable, match=r"no answer within 0\.5 s"):
            await made.decide([decision()])
    assert "no answer" in str(await _hanging(redis_server.url))
    redis_server.resume()


async def _hanging(url: str) -> Unusable:
    async with store(url, 0.02) as made:
        with pytest.raises(Unusable) as failure:
            await made.open()
    return failure.value
