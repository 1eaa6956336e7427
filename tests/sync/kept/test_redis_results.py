"""Results at a real Redis: for their own clients, on all gateways, and for nobody else."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config import RedisConfig, SyncConfig
from gateway.protocols.theeye.job import Job, parse_job
from gateway.sync.kept.memory_results import MemoryResults
from gateway.sync.kept.redis_records import RedisRecords
from gateway.sync.kept.redis_results import LINE_SECONDS, PREFIX, READS_AT_ONCE, RedisResults
from gateway.sync.kept.result_key import ResultKey
from gateway.sync.kept.seal import Seal, new_key, read_keys
from gateway.sync.results.parsing import ParsingThread
from tests.support.theeye import JOB_ID, finished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.redis_server import RedisServer

KEY = ResultKey(b"1" * 16, "acme", JOB_ID)
OTHERS = [
    KEY._replace(holder=b"2" * 16),
    KEY._replace(customer="globex"),
    KEY._replace(job_id="0" * 24),
]


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text(new_key())
    return str(path)


def job(**members: Any) -> Job:
    made = parse_job(finished(**members))
    assert made is not None
    return made


@asynccontextmanager
async def gateway(
    url: str,
    key_file: str,
    kind: type[RedisRecords] = RedisRecords,
    *,
    line_seconds: float = LINE_SECONDS,
    **config: Any,
) -> AsyncIterator[RedisResults]:
    """The store of one gateway."""
    clock = asyncio.get_running_loop().time
    sync = SyncConfig(**config)
    redis = RedisConfig(url=url, answer_seconds=5.0, connect_seconds=5.0)
    records = kind(redis, clock, lambda: 1.0)
    thread = ParsingThread()
    memory, seal = MemoryResults(clock, sync), Seal(read_keys(key_file))
    made = RedisResults(memory, records, seal, thread, sync, line_seconds=line_seconds)
    try:
        yield made
    finally:
        await made.aclose()
        thread.close()


async def put(url: str, key_file: str, *kept: tuple[ResultKey, Job]) -> None:
    async with gateway(url, key_file) as store:
        for key, one in kept:
            store.keep(key, one)


async def test_result_is_there_on_another_gateway_for_its_client_only(
    redis_server: RedisServer, key_file: str
) -> None:
    async with gateway(redis_server.url, key_file) as one:
        one.keep(KEY, job())
        assert await one.find(KEY) == job()
        assert one.stats().given == {"memory": 1, "redis": 0}
    async with gateway(redis_server.url, key_file, result_seconds=100) as other:
        assert await other.find(KEY) == job()
        for stranger in OTHERS:
            assert await other.find(stranger) is None
        assert other.stats().given == {"memory": 0, "redis": 1}
        assert other.stats().failures == 0
    (name,) = await redis_server.command("KEYS", "*")
    assert 0 < await redis_server.command("PTTL", name) <= 600_000


async def test_large_result_with_surrogates_is_read_in_the_thread(
    redis_server: RedisServer, key_file: str
) -> None:
    large = job(output=["\ud800" + "x" * 300_000])
    await put(redis_server.url, key_file, (KEY, large))
    async with gateway(redis_server.url, key_file) as other:
        assert await other.find(KEY) == large


async def test_record_that_was_changed_or_is_of_another_key_is_ignored(
    redis_server: RedisServer, key_file: str, tmp_path: Path
) -> None:
    await put(redis_server.url, key_file, (KEY, job()))
    name = PREFIX + KEY.digest
    sealed = await redis_server.command("GET", name)
    async with gateway(redis_server.url, key_file) as other:
        for stranger in OTHERS:
            await redis_server.command("SET", PREFIX + stranger.digest, sealed)
            assert await other.find(stranger) is None, "it is bound to its key"
        for changed in (sealed[:-1], sealed + b"x", b"", b"x" * 100, sealed[:40]):
            await redis_server.command("SET", name, changed)
            assert await other.find(KEY) is None
        await redis_server.command("DEL", name)
        await redis_server.command("LPUSH", name, "no text")
        assert await other.find(KEY) is None
    await redis_server.command("SET", name, sealed)
    foreign = tmp_path / "foreign"
    foreign.write_text(new_key())
    async with gateway(redis_server.url, str(foreign)) as stranger_with_a_key:
        assert await stranger_with_a_key.find(KEY) is None


async def test_job_that_is_too_large_is_kept_nowhere(
    redis_server: RedisServer, key_file: str
) -> None:
    async with gateway(redis_server.url, key_file, result_store_bytes=100 * 1024) as one:
        one.keep(KEY, job(output=["x" * 13 * 1024]))
        assert await one.find(KEY) is None
    assert await redis_server.command("DBSIZE") == 0


async def test_flood_of_results_takes_no_more_than_its_bytes_and_blocks_nobody(
    redis_server: RedisServer, key_file: str
) -> None:
    async with gateway(redis_server.url, key_file, result_store_bytes=100 * 1024) as one:
        for number in range(500):
            job_id = f"{number:024x}"
            one.keep(KEY._replace(job_id=job_id), job(id=job_id, output=["x" * 5 * 1024]))
            assert one._queued_bytes <= 100 * 1024 / 4
            assert one.stats().bytes <= 100 * 1024
        failures = one.stats().failures
        assert failures is not None
        assert failures > 400
    assert await redis_server.command("DBSIZE") == 500 - failures


async def test_without_redis_results_are_kept_in_memory_and_nothing_waits(
    redis_server: RedisServer, key_file: str
) -> None:
    await redis_server.stop()
    async with gateway(redis_server.url, key_file) as one:
        assert await one.find(KEY) is None
        one.keep(KEY, job())
        assert await one.find(KEY) == job()
        assert one.stats().failures == 2
        assert not one._queue


class Counting(RedisRecords):
    """Records that are read slowly, and how many at most were being read at once."""

    under_way = most = 0

    async def get(self, name: str, max_bytes: int) -> bytes:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.001)
        try:
            return await super().get(name, max_bytes)
        finally:
            self.under_way -= 1


async def test_flood_of_looks_reads_few_at_once_and_one_of_each_client(
    redis_server: RedisServer, key_file: str
) -> None:
    await put(redis_server.url, key_file, (KEY, job()))
    async with gateway(redis_server.url, key_file, Counting) as one:
        counting = one._records
        assert isinstance(counting, Counting)
        looks = [one.find(KEY) for _ in range(50)]
        assert await asyncio.gather(*looks) == [job()] * 50
        assert counting.most == 1
        others = [KEY._replace(holder=b"%016d" % number) for number in range(50)]
        assert await asyncio.gather(*map(one.find, others)) == [None] * 50
        assert counting.most == READS_AT_ONCE
        assert not len(one._turns)


async def test_look_that_waits_for_too_long_finds_nothing(
    redis_server: RedisServer, key_file: str
) -> None:
    await put(redis_server.url, key_file, (KEY, job()))
    async with gateway(redis_server.url, key_file, line_seconds=0.5) as one:
        assert await one.find(KEY) == job()
        async with one._turns.of(KEY.holder):
            assert await one.find(KEY) is None
        assert await one.find(KEY) == job()
