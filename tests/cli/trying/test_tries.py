from __future__ import annotations

import pytest

from gateway.cli.main import main
from gateway.cli.trying.tries import try_all
from gateway.config import Config, RedisConfig, UpstreamConfig


def test_all_that_the_settings_name_is_tried() -> None:
    url = "http://127.0.0.1:9"
    (found,) = try_all(Config(upstream=UpstreamConfig(url=url)))
    assert found.what == f"upstream.url {url}"
    redis = RedisConfig(url="redis://127.0.0.1:9/0")
    both = try_all(Config(upstream=UpstreamConfig(url=url), redis=redis))
    assert [finding.what.split()[0] for finding in both] == ["upstream.url", "redis.url"]


def test_check_tells_what_it_found_and_fails_where_something_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GATEWAY_COMPILE", raising=False)
    monkeypatch.setenv("GATEWAY_UPSTREAM__URL", "http://127.0.0.1:9")
    assert main(["check", "--connect"]) == 1
    assert capsys.readouterr().out == (
        "FAILED upstream.url http://127.0.0.1:9: the connection is refused\n"
        "       does it run, and is this its address?\n"
    )
