from __future__ import annotations

from pathlib import Path

import pytest

from gateway import __version__, build
from gateway.config import Config, LimitsConfig, UpstreamConfig
from gateway.server.start_line import start_line


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
        ' (upstream unix:/run/theeye, settings "/etc/gateway.toml", workers 4, limits report)'
    )
    assert ", settings without a file, " in line(config)


@pytest.mark.parametrize(
    "url", ["http://user:very-own@host:1", "http://host:1/?token=very-own", "very://own@very-own@h"]
)
def test_start_line_shows_no_secret_of_the_upstreams_address(url: str) -> None:
    assert "very-own" not in line(Config(upstream=UpstreamConfig(url=url)))


def test_start_line_is_one_line_whatever_the_file_is_called() -> None:
    assert "\n" not in line(Config(), Path("/etc/a\nb"))
