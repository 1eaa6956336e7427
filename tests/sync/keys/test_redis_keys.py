"""Keys in a real Redis: by the rules that MemoryKeys has."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config import RedisConfig, SyncConfig
from gateway.errors import IdempotencyUnavailable
from gateway.sync.keys.memory_keys import MemoryKeys
from gateway.sync.keys.redis_keys import MAX_UNSURE, RedisKeys
from gateway.sync.keys.redis_scripts import PREFIX, key_of
from gateway.sync.keys.state import ABSENT, KeyName, KeyRecord, KeyState
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.redis_server import RedisServer

PRINT = b"\xff" * 16
CREATED = KeyRecord(KeyState.CREATED, PRINT, b"\x00sealed\xff")
UNKNOWN = KeyRecord(KeyState.UNKNOWN, PRINT)
CALLER = b"c" * 16


def name(key: int, caller: bytes = CALLER) -> KeyName:
    return KeyName(caller, b"%016d" % key)


@asynccontextmanager
async def keys_in(
    redis: RedisServer, answer_seconds: float = 1.0, **config: Any
) -> AsyncIterator[RedisKeys]:
    store = RedisKeys(
        RedisConfig(url=redis.url, connect_seconds=5.0),
        time.monotonic,
        lambda: 1.0,
        SyncConfig(**config),
        first_gap_seconds=0.001,
        answer_seconds=answer_seconds,
    )
    try:
        yield store
    finally:
        await store.aclose()


async def state(store: RedisKeys, at: KeyName) -> KeyState:
    return (await store.claim(at, PRINT, b"looks")).state


async def settled(store: RedisKeys, at: KeyName, record: KeyRecord = CREATED) -> None:
    await store.claim(at, PRINT, b"s")
    await store.settle(at, record, b"s")


async def lose_lease(redis: RedisServer, at: KeyName) -> None:
    """As if the sender had said nothing for a lease."""
    await redis.command("HSET", key_of(at), "lease", "1")


@pytest.mark.parametrize("seed", range(5))
async def test_keys_in_redis_and_in_memory_go_the_same_ways(
    redis_server: RedisServer, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - for a test
    memory = MemoryKeys(time.monotonic, SyncConfig())
    async with keys_in(redis_server) as shared:
        for _ in range(300):
            at, number = name(chance.randrange(4)), chance.randrange(3)
            sender, fingerprint = b"s%d" % number, b"%d" % number * 16
            match chance.randrange(4):
                case 0 | 1:
                    seen = [await s.claim(at, fingerprint, sender) for s in (memory, shared)]
                    mine, theirs = (replace(record, age_seconds=0.0) for record in seen)
                    assert mine == theirs
                case 2:
                    record = chance.choice((CREATED, UNKNOWN, ABSENT))
                    record = replace(record, fingerprint=fingerprint)
                    record = replace(record, fingerprint=fingerprint)
                    record = replace(record, fingerprint=fingerprint)
                    for store in (memory, shared):
                        await store.settle(at, record, sender)
                case _:
                    for store in (memory, shared):
                        await store.renew(at, fingerprint, sender)


async def test_of_a_thousand_claims_one_is_the_first(redis_server: RedisServer) -> None:
    async with keys_in(redis_server) as one, keys_in(redis_server) as other:
        claims = [
            store.claim(name(1), PRINT, b"%d %d" % (number, at))
            for number in range(500)
            for at, store in enumerate((one, other))
        ]
        seen = await asyncio.gather(*claims)
        assert seen.count(ABSENT) == 1
        assert {record.state for record in seen} == {KeyState.ABSENT, KeyState.SENDING}


async def test_sender_without_a_lease_is_taken_for_dead_and_may_come_back(
    redis_server: RedisServer,
) -> None:
    async with keys_in(redis_server) as store:
        await store.claim(name(1), PRINT, b"s")
        await lose_lease(redis_server, name(1))
        assert await state(store, name(1)) is KeyState.UNKNOWN
        await store.renew(name(1), PRINT, b"other")
        assert await state(store, name(1)) is KeyState.UNKNOWN
        await store.renew(name(1), PRINT, b"s")
        assert await state(store, name(1)) is KeyState.SENDING
        await lose_lease(redis_server, name(1))
        await store.settle(name(1), CREATED, b"s")
        seen = await store.claim(name(1), PRINT, b"other")
        assert 0 <= seen.age_seconds < 60
        assert replace(seen, age_seconds=0.0) == CREATED


async def test_keys_end_with_their_time(redis_server: RedisServer) -> None:
    async with keys_in(redis_server, idempotency_seconds=100) as store:
        await store.claim(name(1), PRINT, b"s")
        await settled(store, name(2))
        for key in await redis_server.command("KEYS", "*"):
            assert key.startswith(PREFIX.encode())
            assert 90_000 < await redis_server.command("PTTL", key) <= 100_000


async def test_oldest_key_of_a_caller_makes_room_for_its_next(redis_server: RedisServer) -> None:
    async with keys_in(redis_server, idempotency_keys=3) as store:
        await store.claim(name(0), PRINT, b"s")
        for number in range(1, 8):
            await settled(store, name(number))
            await asyncio.sleep(0.002)
        await settled(store, name(9, b"d" * 16))
        assert await state(store, name(0)) is KeyState.SENDING
        kept = [await redis_server.command("EXISTS", key_of(name(n))) for n in range(1, 8)]
        assert kept == [0, 0, 0, 0, 1, 1, 1]
        assert await state(store, name(9, b"d" * 16)) is KeyState.CREATED


async def test_flood_of_keys_is_bounded_in_redis(redis_server: RedisServer) -> None:
    async with keys_in(redis_server, idempotency_keys=50) as store:
        for number in range(500):
            await settled(store, name(number))
        assert await redis_server.command("DBSIZE") == 51


async def test_connection_that_was_closed_meanwhile_is_made_again(
    redis_server: RedisServer,
) -> None:
    async with keys_in(redis_server) as store:
        await settled(store, name(1))
        await redis_server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await state(store, name(1)) is KeyState.CREATED


async def test_redis_that_is_gone_is_told_and_found_again(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with keys_in(redis_server) as store:
        await settled(store, name(1))
        await redis_server.stop()
        for _ in range(3):
            with pytest.raises(IdempotencyUnavailable) as refused:
                await store.claim(name(1), PRINT, b"other")
            assert (b"Retry-After", b"1") in refused.value.fields
        assert caplog.text.count("Redis keeps no idempotency keys") == 1
        await redis_server.start()
        async with asyncio.timeout(30):
            while True:
                try:
                    await store.settle(name(2), CREATED, b"s")
                except IdempotencyUnavailable:
                    await asyncio.sleep(0.02)
                else:
                    break
        assert "keeps idempotency keys again" in caplog.text
        assert await state(store, name(2)) is KeyState.CREATED


async def test_redis_that_hangs_fails_in_time_and_what_waited_fails_with_it(
    redis_server: RedisServer,
) -> None:
    async with keys_in(redis_server) as store:
        await settled(store, name(1))
        redis_server.hang()
        began = time.monotonic()
        claims = [store.claim(name(n), PRINT, b"other") for n in range(20)]
        failures = await asyncio.gather(*claims, return_exceptions=True)
        redis_server.resume()
        assert all(isinstance(failure, IdempotencyUnavailable) for failure in failures)
        assert time.monotonic() - began < 10


async def test_answer_of_a_command_that_was_cancelled_is_nobody_elses(
    redis_server: RedisServer,
) -> None:
    async with keys_in(redis_server) as store:
        await settled(store, name(1))
        redis_server.hang()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await store.claim(name(1), PRINT, b"other")
        redis_server.resume()
        assert await state(store, name(2)) is KeyState.ABSENT
        assert await state(store, name(1)) is KeyState.CREATED


async def test_what_is_not_ours_in_its_place_is_refused(redis_server: RedisServer) -> None:
    async with keys_in(redis_server) as store:
        await redis_server.command("HSET", key_of(name(1)), "state", "odd", "since", "1")
        with pytest.raises(IdempotencyUnavailable):
            await store.claim(name(1), PRINT, b"s")
        await until_answering(store)
        await redis_server.command("SET", key_of(name(2)), "x")
        with pytest.raises(IdempotencyUnavailable):
            await store.claim(name(2), PRINT, b"s")


async def until_answering(store: RedisKeys) -> None:
    await until(lambda: store._link.is_answering)


async def test_key_whose_claim_was_not_answered_is_free_again(redis_server: RedisServer) -> None:
    """Its request was refused with 503, which says that a repetition is sent like a first one."""
    async with keys_in(redis_server, 0.5) as store, keys_in(redis_server) as other:
        await settled(store, name(1))
        redis_server.hang()
        with pytest.raises(IdempotencyUnavailable):
            await store.claim(name(2), PRINT, b"first")
        redis_server.resume()
        await until_answering(store)
        assert await state(store, name(2)) is KeyState.ABSENT
        assert (await other.claim(name(2), PRINT, b"x")).state is KeyState.SENDING
        assert not store._unsure


async def test_key_that_was_claimed_in_vain_is_released_though_nobody_asks_again(
    redis_server: RedisServer,
) -> None:
    async with keys_in(redis_server) as store, keys_in(redis_server) as other:
        await settled(store, name(1))
        await store.claim(name(2), PRINT, b"first")
        await store.claim(name(3), PRINT, b"another's")
        store._doubt(name(2), b"first")
        store._doubt(name(3), b"third")
        await until(lambda: not store._is_releasing)
        assert await state(other, name(2)) is KeyState.ABSENT
        assert await state(other, name(3)) is KeyState.SENDING


async def test_keys_that_may_have_been_claimed_in_vain_are_bounded(
    redis_server: RedisServer,
) -> None:
    await redis_server.stop()
    async with keys_in(redis_server) as store:
        for number in range(MAX_UNSURE + 10):
            store._doubt(name(number), b"%d" % number)
        assert len(store._unsure) == MAX_UNSURE
        with pytest.raises(IdempotencyUnavailable):
            await store._release()
        assert len(store._unsure) == MAX_UNSURE


async def test_claim_that_was_never_sent_leaves_nothing_to_release(
    redis_server: RedisServer,
) -> None:
    await redis_server.stop()
    async with keys_in(redis_server) as store:
        for _ in range(3):
            with pytest.raises(IdempotencyUnavailable):
                await store.claim(name(1), PRINT, b"s")
        assert not store._unsure
