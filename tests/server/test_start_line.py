from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificates

from gateway import __version__, build
from gateway.config import (
    Config,
    LimitsConfig,
    ListenConfig,
    RedisConfig,
    SyncConfig,
    UpstreamConfig,
)
from gateway.server.start_line import start_line
from tests.support.certificates import self_signed

SHARED = RedisConfig(url="redis://cache/0")


def line(config: Config, settings_file: Path | None = None, workers: int = 1) -> str:
    return start_line(
        config, settings_file, workers=workers, url="http://[::]:6090", admin_url="http://[::]:6091"
    )


def test_start_line_tells_what_runs_and_with_what() -> None:
    config = Config(
        upstream=UpstreamConfig(url="unix:/run/theeye"), limits=LimitsConfig(mode="report")
    )
    assert line(config, Path("/etc/gateway.toml"), workers=4) == (
        f"version {__version__} ({build()}) listening on http://[::]:6090,"
        " for operators on http://[::]:6091"
        ' (upstream unix:/run/theeye, settings "/etc/gateway.toml", workers 4, limits report,'
        " TLS off, results memory, keys memory, budgets memory)"
    )
    assert ", settings without a file, " in line(config)


def test_start_line_tells_until_when_the_certificate_holds(tmp_path: Path) -> None:
    made = self_signed(tmp_path, "it")
    listen = ListenConfig(tls_cert_file=str(made.cert), tls_key_file=str(made.key))
    [end] = load_pem_x509_certificates(made.cert.read_bytes())
    told = end.not_valid_after_utc.isoformat().replace("+00:00", "Z")
    assert f", TLS until {told}, " in line(Config(listen=listen))
    made.cert.write_text("renamed meanwhile")
    assert ", TLS on, " in line(Config(listen=listen))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (Config(redis=SHARED), "results memory, keys redis, budgets redis)"),
        (
            Config(redis=SHARED, sync=SyncConfig(result_store="redis", idempotency_seconds=0)),
            "results redis, keys off, budgets redis)",
        ),
        (
            Config(listen=ListenConfig(workers=2), limits=LimitsConfig(mode="off")),
            "results memory, keys off, budgets off)",
        ),
    ],
)
def test_start_line_tells_where_things_are_kept(config: Config, told: str) -> None:
    assert line(config).endswith(told)


@pytest.mark.parametrize(
    "url", ["http://user:very-own@host:1", "http://host:1/?token=very-own", "very://own@very-own@h"]
)
def test_start_line_shows_no_secret_of_the_upstreams_address(url: str) -> None:
    assert "very-own" not in line(Config(upstream=UpstreamConfig(url=url)))


def test_start_line_is_one_line_whatever_the_file_is_called() -> None:
    assert "\n" not in line(Config(), Path("/etc/a\nb"))
