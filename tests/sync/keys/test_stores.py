"""Where keys are kept, by the settings."""

from __future__ import annotations

import pytest

from gateway.config import Config
from gateway.sync.keys.memory_keys import MemoryKeys
from gateway.sync.keys.redis_keys import RedisKeys
from gateway.sync.keys.stores import is_unshared, key_store
from tests.support.harness import settings

REDIS = {"url": "redis://127.0.0.1:9/0"}
UPSTREAM = "http://127.0.0.1:9"


def clock() -> float:
    return 0.0


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (settings(UPSTREAM), MemoryKeys),
        (settings(UPSTREAM, redis=REDIS), RedisKeys),
        (settings(UPSTREAM, redis=REDIS, listen={"workers": 4}), RedisKeys),
    ],
)
async def test_keys_are_kept_in_redis_where_there_is_one_else_in_memory(
    config: Config, kind: type
) -> None:
    store = key_store(config, clock, clock)
    assert isinstance(store, kind)
    assert not is_unshared(config)
    assert store is not None
    await store.aclose()


@pytest.mark.parametrize("workers", [0, 2])
def test_several_workers_without_redis_keep_none(workers: int) -> None:
    config = settings(UPSTREAM, listen={"workers": workers})
    assert key_store(config, clock, clock) is None
    assert is_unshared(config)


def test_nothing_is_amiss_where_no_keys_are_wanted() -> None:
    config = settings(UPSTREAM, listen={"workers": 2}, sync={"idempotency_seconds": 0.0})
    assert not is_unshared(config)
