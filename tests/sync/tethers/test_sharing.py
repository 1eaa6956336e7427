from __future__ import annotations

import time

import pytest

from gateway.config import Config, ListenConfig, RedisConfig, SyncConfig
from gateway.sync.tethers.redis_tethers import RedisTethers
from gateway.sync.tethers.sharing import obstacle, patience, shared_tethers, wants_cancelling

REDIS = RedisConfig(url="redis://127.0.0.1:1/0")


def test_processes_share_where_there_is_a_redis() -> None:
    assert shared_tethers(Config(), time.monotonic, lambda: 0.5) is None
    assert isinstance(
        shared_tethers(Config(redis=REDIS), time.monotonic, lambda: 0.5), RedisTethers
    )


@pytest.mark.parametrize(
    ("workers", "redis", "is_possible"),
    [
        (1, RedisConfig(), True),
        (2, RedisConfig(), False),
        (0, RedisConfig(), False),
        (2, REDIS, True),
    ],
)
def test_jobs_are_tied_where_each_process_knows_who_waits(
    workers: int, redis: RedisConfig, is_possible: bool
) -> None:
    config = Config(listen=ListenConfig(workers=workers), redis=redis)
    assert (obstacle(config) == "") is is_possible


def test_settings_that_cancel_are_named() -> None:
    assert wants_cancelling(Config()) == []
    sync = SyncConfig(on_timeout="cancel", on_disconnect="cancel")
    assert wants_cancelling(Config(sync=sync)) == ["sync.on_timeout", "sync.on_disconnect"]


def test_last_sight_counts_longer_where_others_tell_of_it() -> None:
    assert patience(15.0, has_others=False) == 15.0
    assert patience(15.0, has_others=True) == 20.0
