from __future__ import annotations

import sys

import pytest
from msgspec import structs

from gateway.cli.checking.advice import advice
from gateway.config import AdminConfig, Config, LimitsConfig, ListenConfig, RedisConfig, SyncConfig


@pytest.mark.parametrize(
    ("workers", "store", "warns"),
    [(1, "memory", False), (2, "memory", True), (0, "memory", True), (2, "redis", False)],
)
def test_several_workers_that_do_not_share_results_are_told_of(
    workers: int, store: str, warns: bool
) -> None:
    sync = structs.replace(SyncConfig(), result_store=store)
    config = Config(listen=ListenConfig(workers=workers), sync=sync)
    assert any("sync.result_store" in said for said in advice(config, sys.maxsize)) is warns


@pytest.mark.parametrize(
    ("sync", "redis", "warns"),
    [
        (SyncConfig(), RedisConfig(), False),
        (SyncConfig(on_timeout="cancel"), RedisConfig(), True),
        (SyncConfig(on_disconnect="cancel"), RedisConfig(), True),
        (SyncConfig(on_disconnect="cancel"), RedisConfig(url="redis://a:1/0"), False),
    ],
)
def test_gateway_that_knows_its_own_clients_only_is_told_of(
    sync: SyncConfig, redis: RedisConfig, warns: bool
) -> None:
    said = [*advice(Config(sync=sync, redis=redis), sys.maxsize)]
    assert any("counts its own clients only" in line for line in said) is warns


@pytest.mark.parametrize(
    ("host", "token", "certificate", "warns"),
    [
        ("0.0.0.0", "token", "", True),
        ("0.0.0.0", "token", "cert", False),
        ("0.0.0.0", "", "", False),
        ("127.0.0.1", "token", "", False),
    ],
)
def test_operators_token_that_goes_over_the_network_in_clear_is_told_of(
    host: str, token: str, certificate: str, warns: bool
) -> None:
    admin = AdminConfig(host=host, token_file=token, tls_cert_file=certificate)
    said = [*advice(Config(admin=admin), sys.maxsize)]
    assert any("in clear" in line for line in said) is warns


def test_too_few_file_descriptors_are_told_of() -> None:
    (said,) = advice(Config(limits=LimitsConfig(holds=10_000)), 256)
    assert "256" in said


@pytest.mark.parametrize(
    ("workers", "seconds", "warns"), [(1, 1.0, False), (2, 1.0, True), (2, 0.0, False)]
)
def test_several_workers_that_do_not_share_keys_are_told_of(
    workers: int, seconds: float, warns: bool
) -> None:
    sync = SyncConfig(idempotency_seconds=seconds)
    config = Config(listen=ListenConfig(workers=workers), sync=sync)
    assert any("idempotency keys" in said for said in advice(config, sys.maxsize)) is warns
