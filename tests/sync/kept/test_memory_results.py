from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import SyncConfig
from gateway.protocols.theeye.job import Job, parse_job
from gateway.sync.kept.memory_results import OVERHEAD_BYTES, SHARE, MemoryResults, size
from gateway.sync.kept.result_key import ResultKey
from tests.support.theeye import finished
from tests.support.virtual_time import now, run

pytestmark = pytest.mark.virtual_time

KIB = 1024


def key(number: int) -> ResultKey:
    return ResultKey(b"1" * 16, "acme", f"{number:024x}")


def job(number: int = 0, **members: Any) -> Job:
    made = parse_job(finished(id=f"{number:024x}", **members))
    assert made is not None
    return made


def memory(**config: Any) -> MemoryResults:
    return MemoryResults(now, SyncConfig(**config))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40 * KIB)), max_size=40))
def test_results_never_take_more_than_their_bytes(jobs: list[tuple[int, int]]) -> None:
    async def scenario() -> None:
        kept = memory(result_store_bytes=100 * KIB)
        for number, length in jobs:
            one = job(number, output=["x" * length])
            kept.keep(key(number), one)
            held = [entry.job for entry in kept._entries.values()]
            assert sum(map(size, held)) == kept.stats().bytes <= 100 * KIB
            assert all(size(one) <= 100 * KIB / SHARE for one in held)
            assert (await kept.find(key(number)) is one) is kept.may_keep(one)

    run(scenario())


async def test_oldest_results_make_room_for_new_ones_however_often_they_are_asked_for() -> None:
    kept = memory(result_store_bytes=100 * KIB)
    for number in range(60):
        kept.keep(key(number), job(number, output=["x" * 3 * KIB]))
        await kept.find(key(0))
    assert await kept.find(key(0)) is None
    assert await kept.find(key(59)) is not None
    assert 20 < kept.stats().entries < 33


async def test_result_is_kept_for_its_time_since_it_was_put_here() -> None:
    kept = memory(result_seconds=60)
    kept.keep(key(0), job())
    await asyncio.sleep(40)
    kept.keep(key(0), job())
    kept.keep(key(1), job(1))
    await asyncio.sleep(59)
    assert await kept.find(key(0)) is not None
    await asyncio.sleep(1)
    assert await kept.find(key(0)) is None
    assert (kept.stats().entries, kept.stats().bytes) == (0, 0)
    assert kept.stats().given == {"memory": 1}


async def test_nothing_is_left_in_the_end() -> None:
    kept = memory()
    kept.keep(key(0), job())
    await kept.aclose()
    assert (kept.stats().entries, kept.stats().bytes) == (0, 0)


def test_size_counts_the_content_and_a_copy_of_it_where_there_is_one() -> None:
    plain = job(result={"a": "b" * 1000})
    surrogates = job(result={"a": "b" * 1000, "c": "\ud800"})
    assert size(plain) == OVERHEAD_BYTES + len(plain.raw)
    assert size(surrogates) == OVERHEAD_BYTES + 2 * len(surrogates.raw)


async def test_store_tells_what_it_has_without_giving_it() -> None:
    kept = memory(result_seconds=10.0)
    kept.keep(key(1), job(1))
    assert (kept.has(key(1)), kept.has(key(2))) == (True, False)
    await asyncio.sleep(11)
    assert not kept.has(key(1))
    assert kept.stats().given == {"memory": 0}


async def test_smaller_bounds_let_the_oldest_results_go_and_longer_ones_keep_them() -> None:
    kept = memory(result_store_bytes=100 * KIB, result_seconds=10.0)
    for number in range(8):
        kept.keep(key(number), job(number, output=["x" * 8 * KIB]))
    entries = kept.stats().entries
    kept.reconfigure(SyncConfig(result_store_bytes=50 * KIB, result_seconds=20.0))
    assert 0 < kept.stats().entries < entries
    assert kept.stats().bytes <= 50 * KIB
    assert kept.has(key(7))
    await asyncio.sleep(15)
    assert kept.has(key(7))
    kept.reconfigure(SyncConfig(result_store_bytes=50 * KIB, result_seconds=12.0))
    assert kept.stats().entries == 0
