from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from gateway.cli.rendering import explanation, reference, shown, to_toml
from gateway.cli.sources import load
from gateway.config import (
    Config,
    IdentityConfig,
    ListenConfig,
    RedisConfig,
    Section,
    UpstreamConfig,
)
from gateway.config.tree import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = Path(__file__).parents[2] / "config" / "gateway.toml"


class _Store(Section, frozen=True, kw_only=True):
    url: str = "redis://user:hunter2@cache/0"
    password: Annotated[str, Meta(extra={"secret": True})] = ""


class _Tree(Section, frozen=True, kw_only=True):
    store: _Store = _Store()


def test_secrets_are_masked() -> None:
    known = settings(_Tree)
    assert shown("hunter2", known["store.password"]) == '"***"'
    assert shown("", known["store.password"]) == '""'
    assert shown(_Store().url, known["store.url"]) == '"redis://***@cache/0"'


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@cache:6379/0",
        "rediss://user:hunter2@cache",
        "redis://:a/hunter2@b@cache/0",
        "redis://:hunter2?@cache/0",
        "redis://cache/0?db=1&password=hunter2",
        "unix:///run/redis.sock?password=hunter2#x",
        "https://cache/jwks?hunter2",
    ],
)
def test_password_in_an_address_is_not_shown_wherever_it_stands(url: str) -> None:
    config = Config(redis=RedisConfig(url=url), identity=IdentityConfig(secret="hunter2"))
    assert "hunter2" not in to_toml(config)
    assert "cache" in shown(url, settings()["redis.url"]) or url.startswith("unix")


def test_settings_are_printed_as_a_file_that_gives_the_same_settings(tmp_path: Path) -> None:
    config = Config(
        listen=ListenConfig(host='a"b\\c\x7f\té', trusted_proxies=("10.0.0.0/8", "::1")),
        upstream=UpstreamConfig(preserve_host=True, idle_seconds=1e-7),
    )
    file = tmp_path / "gateway.toml"
    file.write_text(to_toml(config), "utf-8")
    assert load(file, {}).config == config


@given(text=st.text(st.characters(codec="utf-8")))
def test_any_text_is_printed_as_toml(text: str) -> None:
    known = settings()["sync.default_customer"]
    printed = tomllib.loads(f"value = {shown(text, known)}")["value"]
    assert printed == text or "***" in printed


def test_the_reference_file_is_made_from_the_settings() -> None:
    """``python -m gateway settings > config/gateway.toml`` makes it."""
    assert REFERENCE.read_text("utf-8") == reference()


def test_the_reference_file_has_every_setting_with_its_default() -> None:
    assert load(REFERENCE, {}).config == Config()
    written = tomllib.loads(REFERENCE.read_text("utf-8"))
    assert list(keys_of(written)) == list(settings())


def keys_of(table: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from keys_of(value, f"{prefix}{name}.")
        else:
            yield prefix + name


@pytest.mark.parametrize("key", settings())
def test_every_setting_says_what_it_does(key: str) -> None:
    assert explanation(Config(), key)


def test_examples_in_an_explanation_stay_as_they_are() -> None:
    assert '#   organization = "acme"\n' in reference()
    assert max(map(len, reference().splitlines())) <= 100
