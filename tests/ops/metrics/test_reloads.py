from __future__ import annotations

import pytest

from gateway.config import (
    Config,
    IdentityConfig,
    LimitsConfig,
    RedisConfig,
    Rule,
    SyncConfig,
)
from gateway.ops.metrics.reloads import Reloads, config_hash


def test_equal_settings_have_one_hash_and_others_another() -> None:
    some = Config(sync=SyncConfig(first_hold_seconds=1.5))
    assert config_hash(some) == config_hash(Config(sync=SyncConfig(first_hold_seconds=1.5)))
    hashes = {
        config_hash(config)
        for config in (
            Config(),
            some,
            Config(limits=LimitsConfig(rules=(Rule(organization="acme"),))),
            Config(limits=LimitsConfig(rules=(Rule(organization="globex"),))),
        )
    }
    assert len(hashes) == 4
    assert all(len(each) == 12 for each in hashes)


@pytest.mark.parametrize(
    "hidden",
    [
        lambda word: Config(identity=IdentityConfig(secret=word)),
        lambda word: Config(redis=RedisConfig(url=f"redis://:{word}@redis:6379/0")),
    ],
    ids=["a secret", "a password in an address"],
)
def test_secrets_do_not_count(hidden: object) -> None:
    assert callable(hidden)
    assert config_hash(hidden("one")) == config_hash(hidden("other"))


def test_verdicts_are_counted_and_the_last_is_told() -> None:
    reloads = Reloads(Config())
    assert reloads.was_taken
    reloads.refuse()
    assert not reloads.was_taken
    assert reloads.hash == config_hash(Config())
    other = Config(sync=SyncConfig(first_hold_seconds=1.5))
    reloads.take(other)
    assert reloads.was_taken
    assert reloads.hash == config_hash(other)
    assert (reloads.taken, reloads.refused) == (1, 1)
