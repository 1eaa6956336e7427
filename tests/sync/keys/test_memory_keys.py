from __future__ import annotations

from typing import Any

import pytest

from gateway.config import SyncConfig
from gateway.sync.keys.memory_keys import OVERHEAD_BYTES, MemoryKeys
from gateway.sync.keys.state import ABSENT, LEASE_SECONDS, KeyName, KeyRecord, KeyState

MIB = 1024 * 1024
PRINT = b"f" * 16
CREATED = KeyRecord(KeyState.CREATED, PRINT, b"sealed")
UNKNOWN = KeyRecord(KeyState.UNKNOWN, PRINT)


def name(key: int, caller: bytes = b"c" * 16) -> KeyName:
    return KeyName(caller, b"%016d" % key)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def keys(clock: Clock, **config: Any) -> MemoryKeys:
    return MemoryKeys(clock, SyncConfig(**config))


async def settled(store: MemoryKeys, at: KeyName, record: KeyRecord = CREATED) -> None:
    assert await store.claim(at, PRINT, b"s") == ABSENT
    await store.settle(at, record, b"s")


async def state(store: MemoryKeys, at: KeyName) -> KeyState:
    return (await store.claim(at, PRINT, b"looks")).state


async def test_first_claim_makes_its_sender_and_others_see_that(clock: Clock) -> None:
    store = keys(clock)
    assert await store.claim(name(1), PRINT, b"s") == ABSENT
    assert await store.claim(name(1), PRINT, b"s") == ABSENT
    seen = await store.claim(name(1), b"another", b"other")
    assert seen == KeyRecord(KeyState.SENDING, PRINT)


async def test_sender_that_does_not_renew_is_taken_for_dead(clock: Clock) -> None:
    store = keys(clock)
    await store.claim(name(1), PRINT, b"s")
    clock.now += LEASE_SECONDS - 1
    await store.renew(name(1), PRINT, b"s")
    await store.renew(name(1), PRINT, b"other")
    clock.now += LEASE_SECONDS - 1
    assert await state(store, name(1)) is KeyState.SENDING
    clock.now += 1
    assert await state(store, name(1)) is KeyState.UNKNOWN


async def test_sender_that_was_taken_for_dead_may_still_say_what_came_of_it(clock: Clock) -> None:
    store = keys(clock)
    await store.claim(name(1), PRINT, b"s")
    clock.now += 2 * LEASE_SECONDS
    assert await state(store, name(1)) is KeyState.UNKNOWN
    await store.settle(name(1), CREATED, b"s")
    clock.now += 7
    seen = await store.claim(name(1), PRINT, b"other")
    assert seen == KeyRecord(KeyState.CREATED, PRINT, b"sealed", 7.0)


async def test_only_the_sender_settles_and_only_once(clock: Clock) -> None:
    store = keys(clock)
    await store.claim(name(1), PRINT, b"s")
    await store.settle(name(1), CREATED, b"other")
    assert await state(store, name(1)) is KeyState.SENDING
    await store.settle(name(1), UNKNOWN, b"s")
    await store.settle(name(1), ABSENT, b"s")
    await store.renew(name(1), PRINT, b"s")
    assert await state(store, name(1)) is KeyState.UNKNOWN


async def test_key_without_a_job_is_free_again(clock: Clock) -> None:
    store = keys(clock)
    await store.claim(name(1), PRINT, b"s")
    await store.settle(name(1), ABSENT, b"s")
    assert store.count == 0
    assert await store.claim(name(1), PRINT, b"other") == ABSENT


async def test_sender_is_remembered_though_its_key_was_forgotten(clock: Clock) -> None:
    store = keys(clock)
    await store.renew(name(1), PRINT, b"s")
    assert await state(store, name(1)) is KeyState.SENDING
    await store.settle(name(2), CREATED, b"s")
    assert await state(store, name(2)) is KeyState.CREATED


async def test_key_is_forgotten_when_its_time_is_over(clock: Clock) -> None:
    store = keys(clock, idempotency_seconds=60)
    await settled(store, name(1))
    clock.now += 59
    await settled(store, name(2))
    assert await state(store, name(1)) is KeyState.CREATED
    clock.now += 1
    assert await state(store, name(1)) is KeyState.ABSENT
    assert await state(store, name(2)) is KeyState.CREATED


async def test_oldest_key_of_a_caller_makes_room_for_its_next(clock: Clock) -> None:
    store = keys(clock, idempotency_keys=2)
    await store.claim(name(0), PRINT, b"s")
    for number in range(1, 4):
        await settled(store, name(number))
    await settled(store, name(9, b"d" * 16))
    assert await state(store, name(0)) is KeyState.SENDING
    assert await state(store, name(1)) is KeyState.ABSENT
    for kept in (name(2), name(3), name(9, b"d" * 16)):
        assert await state(store, kept) is KeyState.CREATED


async def test_flood_of_one_caller_takes_a_share_and_drives_out_nobody(clock: Clock) -> None:
    store = keys(clock, idempotency_bytes=MIB)
    mine = name(1, b"d" * 16)
    await settled(store, mine)
    for number in range(5000):
        await settled(store, name(number))
        assert store.size <= MIB
    assert await state(store, mine) is KeyState.CREATED
    assert await state(store, name(4999)) is KeyState.CREATED
    assert store.count <= MIB // OVERHEAD_BYTES + 1


async def test_flood_of_many_callers_is_bounded_and_the_oldest_go_first(clock: Clock) -> None:
    store = keys(clock, idempotency_bytes=MIB)
    await store.claim(name(0), PRINT, b"s")
    for number in range(1, 3001):
        await settled(store, name(number, b"%016d" % number))
    assert store.size <= MIB
    assert store.count <= MIB // OVERHEAD_BYTES + 1
    assert len(store._callers) < store.count
    assert await state(store, name(0)) is KeyState.SENDING
    assert await state(store, name(3000, b"%016d" % 3000)) is KeyState.CREATED
    assert await state(store, name(1, b"%016d" % 1)) is KeyState.ABSENT


async def test_smaller_bounds_let_the_oldest_keys_go_but_none_under_way(clock: Clock) -> None:
    store = keys(clock)
    await store.claim(name(0), PRINT, b"s")
    for number in range(1, 11):
        await settled(store, name(number))
    store.reconfigure(SyncConfig(idempotency_keys=3))
    assert store.count == 4
    assert await state(store, name(0)) is KeyState.SENDING
    assert await state(store, name(10)) is KeyState.CREATED
    large = KeyRecord(KeyState.CREATED, PRINT, b"x" * MIB)
    store.reconfigure(SyncConfig())
    for number in range(11, 15):
        await settled(store, name(number, b"%016d" % number), large)
    store.reconfigure(SyncConfig(idempotency_bytes=2 * MIB))
    assert store.size <= 2 * MIB
    clock.now += 100
    store.reconfigure(SyncConfig(idempotency_seconds=50.0))
    assert await state(store, name(14, b"%016d" % 14)) is KeyState.ABSENT
