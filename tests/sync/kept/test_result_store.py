from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from gateway.config import Config, RedisConfig, SyncConfig
from gateway.sync.kept.memory_results import MemoryResults
from gateway.sync.kept.redis_results import RedisResults
from gateway.sync.kept.result_store import ResultStore, result_store
from gateway.sync.kept.seal import new_key
from gateway.sync.results.parsing import ParsingThread
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.virtual_time


def made(sync: SyncConfig) -> ResultStore | None:
    config = Config(sync=sync, redis=RedisConfig(url="redis://127.0.0.1:1/0"))
    return result_store(config, ParsingThread(), now, random.random)


async def test_store_is_as_the_settings_have_it(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(new_key())
    assert made(SyncConfig(result_store="off")) is None
    memory = made(SyncConfig())
    assert isinstance(memory, MemoryResults)
    memory.hold([])
    redis = made(SyncConfig(result_store="redis", seal_key_file=str(key)))
    assert isinstance(redis, RedisResults)
    redis.hold([bytes(32)])
    await redis.aclose()
