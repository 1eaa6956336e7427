"""Shared budgets against a real Redis: the same decisions as in memory, and life without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway.admission.limits.gcra import SECOND, Rate
from gateway.admission.limits.memory_budgets import Budget, MemoryBudgets, Use
from gateway.admission.limits.redis_budgets import RedisBudgets
from gateway.admission.limits.redis_script import PREFIX, TRIAL_KEY
from gateway.config import RedisConfig
from gateway.protocols.theeye.routes import RouteKind
from tests.support.redis_server import redis_serving
from tests.support.replay import until
from tests.support.upstream import Peer, upstream_doing
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

    from tests.support.redis_server import RedisServer

RATE = Rate(0.01, 10)
"""So slow that no test sees a refill."""


def budget(key: bytes = b"key", rate: Rate = RATE) -> Budget:
    return Budget(RouteKind.OTHER, key, rate, is_known=True)


@asynccontextmanager
async def sharing(
    server: RedisServer,
    answer_seconds: float = 0.05,
    clock: Callable[[], float] = lambda: 0.0,
    **gaps: float,
) -> AsyncIterator[RedisBudgets]:
    config = RedisConfig(url=server.url, answer_seconds=answer_seconds)
    shared = RedisBudgets(config, MemoryBudgets(), clock, lambda: 0.5, **gaps)
    try:
        yield shared
    finally:
        await shared.aclose()


async def take(shared: RedisBudgets, times: int, of: Budget | None = None) -> int:
    """How many of so many requests at one time pass."""
    verdicts = [await shared.use((of or budget(),), Use.TAKE, 0) for _ in range(times)]
    return sum(verdict.refused is None for verdict in verdicts)


async def until_taken(shared: RedisBudgets, rate: Rate) -> None:
    """Ask, by the real clock, until a request passes."""
    loop = asyncio.get_running_loop()
    for _ in range(1000):
        now = int(loop.time() * SECOND)
        if (await shared.use((budget(rate=rate),), Use.TAKE, now)).refused is None:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("not in five seconds")


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with redis_server.client() as client:
        yield client


async def test_two_gateways_admit_one_budget_together(redis_server: RedisServer) -> None:
    async with sharing(redis_server, 5.0) as first, sharing(redis_server, 5.0) as second:
        both = [first, second] * 20
        passed = await asyncio.gather(*(take(shared, 1) for shared in both))
        assert first.stats().decisions == second.stats().decisions == 20
    assert sum(passed) == RATE.burst


async def test_budget_refills_by_the_servers_clock(redis_server: RedisServer) -> None:
    async with sharing(redis_server, 5.0) as shared:
        await until_taken(shared, Rate(50.0, 1))
        await until_taken(shared, Rate(50.0, 1))


async def test_what_is_owed_is_taken_in_the_background(redis_server: RedisServer) -> None:
    async with sharing(redis_server, 5.0) as shared:
        for _ in range(RATE.burst):
            shared.owe((budget(),), 0)
        await until(lambda: shared.stats().decisions == RATE.burst)
        assert await take(shared, 1) == 0


async def test_keys_are_prefixed_hold_no_token_and_expire(
    redis_server: RedisServer, redis: Redis
) -> None:
    async with sharing(redis_server, 5.0) as shared:
        await take(shared, 1, budget(b"\x01\xff", Rate(1.0, 10)))
    key, trial = sorted(await redis.keys())
    assert trial == TRIAL_KEY.encode()
    assert key == f"{PREFIX}other:01ff".encode()
    assert 0 < await redis.pttl(key) <= 61_000


async def test_redis_that_forgot_the_script_is_given_it_again(
    redis_server: RedisServer, redis: Redis
) -> None:
    async with sharing(redis_server, 5.0) as shared:
        assert await take(shared, 3) == 3
        await redis.script_flush()
        assert await take(shared, RATE.burst) == RATE.burst - 3
        assert shared.stats().failures == 0


async def test_clock_set_back_spends_no_budget_for_long(
    redis_server: RedisServer, redis: Redis
) -> None:
    async with sharing(redis_server, 5.0) as shared:
        await redis.set(f"{PREFIX}other:{b'key'.hex()}", "9" * 16)
        assert await take(shared, 1) == 0
        await until_taken(shared, Rate(100_000.0, 1))


@pytest.mark.parametrize("value", ["", "garbage", "-1", "nan"])
async def test_value_that_is_no_time_is_a_full_budget(
    redis_server: RedisServer, redis: Redis, value: str
) -> None:
    async with sharing(redis_server, 5.0) as shared:
        await redis.set(f"{PREFIX}other:{b'key'.hex()}", value)
        assert await take(shared, 1) == 1


async def test_without_redis_this_process_goes_on_and_says_so_once(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with sharing(redis_server) as shared:
        assert await take(shared, 4) == 4
        await redis_server.stop()
        assert await take(shared, 20) == RATE.burst - 4
        stats = shared.stats()
        assert (stats.is_answering, stats.failures, stats.fallbacks) == (False, 1, 20)
    [told] = [record.message for record in caplog.records]
    assert told.startswith("Redis does not decide (ConnectionError: ")
    assert f"Error 111 connecting to 127.0.0.1:{redis_server.port}." in told


@pytest.mark.parametrize(
    "reply",
    [
        b"+OK\r\n",
        b"*1\r\n:0\r\n",
        b":7\r\n",
        b"what?\r\n",
        b"",
        b"*2\r\n:0\r\n+x\r\n",
        b"*2\r\n:0\r\n:-1\r\n",
        b"*2\r\n:-1\r\n:0\r\n",
        b"*2\r\n+x\r\n:0\r\n",
        b"*1\r\n" * 5000,
    ],
)
async def test_what_is_no_redis_at_all_harms_nobody(
    reply: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def serve(peer: Peer) -> None:
        while await peer.reader.read(4096):
            await peer.answer(reply)
            if not reply:
                return

    async with upstream_doing(serve) as script:
        url = script.url.replace("http", "redis")
        config = RedisConfig(url=url, answer_seconds=0.3)
        shared = RedisBudgets(config, MemoryBudgets(), lambda: 0.0, lambda: 0.5)
        verdicts = [await shared.use((budget(),), Use.TAKE, 0) for _ in range(20)]
        await shared.aclose()
    rate = budget().rate
    levels = [min(count * rate.interval, rate.capacity) for count in range(1, 21)]
    assert [verdict.level for verdict in verdicts] == levels
    assert shared.stats().failures == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_attempts_go_on_whatever_the_one_before_met() -> None:
    async def serve(peer: Peer) -> None:
        while await peer.reader.read(4096):
            await peer.answer(b"*1\r\n" * 5000)

    async with upstream_doing(serve) as script:
        config = RedisConfig(url=script.url.replace("http", "redis"), answer_seconds=0.3)
        shared = RedisBudgets(
            config, MemoryBudgets(), lambda: 0.0, lambda: 0.5, first_gap_seconds=0.001
        )
        await take(shared, 1)
        await until(lambda: script.connections > 3)
        await shared.aclose()


async def test_key_of_another_type_is_a_full_budget(
    redis_server: RedisServer, redis: Redis
) -> None:
    async with sharing(redis_server, 5.0) as shared:
        await redis.lpush(f"{PREFIX}other:{b'key'.hex()}", "x")
        assert await take(shared, 20) == RATE.burst
        assert shared.stats().decisions == 20


async def test_redis_without_hello_is_used() -> None:
    """Redis 5, and proxies such as Twemproxy."""
    async with (
        redis_serving("--rename-command", "HELLO", "") as server,
        sharing(server, 5.0) as shared,
    ):
        assert await take(shared, 20) == RATE.burst
        assert shared.stats().decisions == 20


async def test_failover_is_followed_once_there_is_a_server_that_decides(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        redis_serving() as primary,
        sharing(redis_server, 5.0, first_gap_seconds=0.001, max_gap_seconds=0.004) as shared,
    ):
        assert await take(shared, 2) == 2
        await redis_server.command("REPLICAOF", "127.0.0.1", primary.port)
        assert await take(shared, 2) == 2
        for _ in range(5):
            connections = await connections_of(redis_server)
            await until_connected(redis_server, connections + 3)
            assert not shared.stats().is_answering
            await take(shared, 1)
        assert (shared.stats().failures, shared.stats().decisions) == (1, 2)
        [told] = [record.message for record in caplog.records]
        assert "You can't write against a read only replica" in told
        await redis_server.command("REPLICAOF", "NO", "ONE")
        await until(lambda: shared.stats().is_answering)
        await take(shared, 1)
        assert shared.stats().decisions == 3


async def connections_of(server: RedisServer) -> int:
    async with server.client() as client:
        received: int = (await client.info("stats"))["total_connections_received"]
        return received


async def until_connected(server: RedisServer, times: int) -> None:
    """Until so many connections have come, those of this question among them."""
    for _ in range(5000):
        if await connections_of(server) >= 2 * times:
            return
        await asyncio.sleep(0.004)
    raise TimeoutError


async def test_full_redis_is_used_again_when_there_is_room(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with sharing(redis_server, 5.0, first_gap_seconds=0.001) as shared:
        assert await take(shared, 2) == 2
        await redis_server.command("CONFIG", "SET", "maxmemory", 1)
        assert await take(shared, 2) == 2
        assert "used memory > 'maxmemory'" in caplog.text
        await redis_server.command("CONFIG", "SET", "maxmemory", 0)
        await until(lambda: shared.stats().is_answering)
        assert await take(shared, 20) == RATE.burst - 4
        assert shared.stats().failures == 1


async def test_change_of_the_trouble_is_told_once(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with sharing(redis_server, 5.0, first_gap_seconds=0.001) as shared:
        await redis_server.stop()
        await take(shared, 1)
        redis_server.options = ("--maxmemory", "1")
        await redis_server.start()
        await until(lambda: "maxmemory" in caplog.text)
        assert shared.stats().failures == 1
    told = [record.message for record in caplog.records]
    assert len(told) == len(set(told))


async def test_connection_that_was_closed_while_idle_is_made_again_in_silence(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As Redis does after its ``timeout``."""
    async with sharing(redis_server, 5.0) as shared:
        for count in range(1, 4):
            assert await take(shared, 1) == 1
            await redis_server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert shared.stats().decisions == count
        assert (shared.stats().failures, shared.stats().fallbacks) == (0, 0)
    assert caplog.records == []


class Scripted:
    """A Redis as seen from far away: what it says, command by command."""

    def __init__(self, latency_seconds: float = 0.0, *, closes_after: int = 10**9) -> None:
        self.commands: list[bytes] = []
        self._latency = latency_seconds
        self._closes_after = closes_after

    async def serve(self, peer: Peer) -> None:
        for _ in range(self._closes_after):
            command = await self._command(peer)
            if not command:
                return
            self.commands.append(command)
            await asyncio.sleep(self._latency)
            await peer.answer(b"*2\r\n:0\r\n:7\r\n" if command.startswith(b"EVAL") else b"+OK\r\n")

    async def _command(self, peer: Peer) -> bytes:
        words = []
        for _ in range(int((await peer.reader.readline())[1:] or 0)):
            length = int((await peer.reader.readline())[1:])
            words.append((await peer.reader.readexactly(length + 2))[:-2])
        return words[0] if words else b""


@asynccontextmanager
async def far_away(redis: Scripted, **settings: float) -> AsyncIterator[RedisBudgets]:
    """On virtual time, with the handshake that a password and a database need."""
    async with upstream_doing(redis.serve) as script:
        url = script.url.replace("http://", "redis://:word@") + "/3"
        config = msgspec.convert({"url": url, **settings}, RedisConfig)
        shared = RedisBudgets(config, MemoryBudgets(), now, lambda: 0.5)
        yield shared
        await shared.aclose()


@pytest.mark.virtual_time
async def test_redis_that_is_connected_to_slowly_is_used_once_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Four round trips of 40 ms until it has decided first; 50 ms are what one may take."""

    async with far_away(Scripted(0.04), answer_seconds=0.05) as shared:
        assert (await shared.use((budget(),), Use.TAKE, 0)).level == RATE.interval
        assert now() == pytest.approx(0.05)
        await shared.use((budget(),), Use.TAKE, 0)
        assert now() == pytest.approx(0.05), "nobody waits any more"
        assert not shared.stats().is_answering
        await asyncio.sleep(0.1)
        assert (await shared.use((budget(),), Use.TAKE, 0)).level == 7
        stats = shared.stats()
        assert (stats.failures, stats.decisions, stats.fallbacks) == (0, 1, 2)
    assert caplog.records == []


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("latency", "settings", "told"),
    [
        (0.06, {"answer_seconds": 0.05}, "no answer within 0.05 s"),
        (0.04, {"answer_seconds": 0.05, "connect_seconds": 0.07}, "no connection within 0.07 s"),
    ],
)
async def test_redis_that_is_too_slow_is_told_of_once_with_its_limit(
    latency: float,
    settings: dict[str, float],
    told: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with far_away(Scripted(latency), **settings) as shared:
        for _ in range(100):
            await shared.use((budget(),), Use.TAKE, 0)
            await asyncio.sleep(1)
        stats = shared.stats()
        assert (stats.failures, stats.decisions) == (1, 0)
    [record] = caplog.records
    assert told in record.message


@pytest.mark.virtual_time
async def test_redis_that_closes_every_connection_is_no_endless_loop() -> None:
    # AUTH, SELECT and the trial; the next command finds the connection closed.
    redis = Scripted(closes_after=3)
    async with far_away(redis) as shared:
        await shared.use((budget(),), Use.TAKE, 0)
        assert shared.stats().failures == 1
        assert redis.commands == [b"AUTH", b"SELECT", b"EVAL"] * 2
        for _ in range(600):
            await shared.use((budget(),), Use.TAKE, 0)
            await asyncio.sleep(1)
        assert len(redis.commands) < 300


async def test_redis_that_hangs_is_asked_no_more(redis_server: RedisServer) -> None:
    async with sharing(redis_server, 0.03) as shared:
        redis_server.hang()
        loop = asyncio.get_running_loop()
        asked = await asyncio.gather(*(take(shared, 1) for _ in range(200)))
        assert sum(asked) == RATE.burst
        await until(lambda: shared.stats().failures == 1)
        # Now nothing is waited for: not one of these gives the loop a turn.
        turns = 0

        def turn() -> None:
            nonlocal turns
            turns += 1

        loop.call_soon(turn)
        assert await take(shared, 1000) == 0
        assert turns == 0


async def test_answers_that_come_too_late_are_taken_for_no_other(redis_server: RedisServer) -> None:
    async with sharing(redis_server, 0.03, first_gap_seconds=0.001) as shared:
        redis_server.hang()
        await asyncio.gather(*(take(shared, 1) for _ in range(5)))
        redis_server.resume()
        await until(lambda: shared.stats().is_answering)
        memory, other = MemoryBudgets(), budget(b"another", Rate(0.01, 3))
        for _ in range(6):
            expected = memory.use((other,), Use.TAKE, 0)
            verdict = await shared.use((other,), Use.TAKE, 0)
            assert verdict.refused == expected.refused


async def test_redis_that_is_back_is_used_again(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with sharing(redis_server, 1.0, first_gap_seconds=0.001) as shared:
        await redis_server.stop()
        await take(shared, 1)
        await redis_server.start()
        await until(lambda: shared.stats().is_answering)
        decisions = shared.stats().decisions
        await take(shared, 1)
        assert shared.stats().decisions == decisions + 1
    assert caplog.records[-1].message == "Redis decides again: budgets are shared"


async def test_gaps_between_attempts_grow_and_begin_again_after_a_steady_time(
    redis_server: RedisServer,
) -> None:
    times = [0.0]
    async with sharing(redis_server, 1.0, lambda: times[-1], first_gap_seconds=0.001) as shared:
        gaps = []
        for time in (10.0, 20.0, 100.0):
            times.append(time)
            await redis_server.stop()
            await take(shared, 1)
            gaps.append(shared._link._backoff._next)
            await redis_server.start()
            await until(lambda: shared.stats().is_answering)
    first, second, third = gaps
    assert second > first
    assert third < second


async def test_restart_of_redis_is_no_refill(redis_server: RedisServer) -> None:
    async with (
        sharing(redis_server, 1.0, first_gap_seconds=0.001) as first,
        sharing(redis_server, 1.0, first_gap_seconds=0.001) as second,
    ):
        passed = await take(first, 5) + await take(second, 5)
        await redis_server.stop()
        passed += await take(first, 20) + await take(second, 20)
        await redis_server.start()
        await until(lambda: first.stats().is_answering and second.stats().is_answering)
        assert first.stats().decisions == second.stats().decisions == 5
        passed += await take(first, 20) + await take(second, 20)
    assert RATE.burst <= passed <= 2 * RATE.burst


async def test_client_that_leaves_spoils_no_decision_of_another(redis_server: RedisServer) -> None:
    async with sharing(redis_server, 5.0) as shared:
        await take(shared, 1)
        redis_server.hang()
        leaving = [shared._tasks.spawn(take(shared, 1), name="leaving") for _ in range(8)]
        await asyncio.sleep(0.01)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        redis_server.resume()
        other = budget(b"another", Rate(0.01, 3))
        assert await take(shared, 20, other) == 3
        assert shared.stats().failures == 0
