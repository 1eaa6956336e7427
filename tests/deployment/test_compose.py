"""config/compose.yaml is what Compose takes, and fits the gateway."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from gateway.cli.sources import load
from gateway.config import Config
from tests.deployment.tools import ROOT, by_schemas

FILE: dict[str, Any] = yaml.safe_load((ROOT / "config" / "compose.yaml").read_text("utf-8"))
GATEWAY: dict[str, Any] = FILE["services"]["gateway"]


def environ() -> dict[str, str]:
    """What the gateway gets where nothing but UPSTREAM is set."""

    def value(found: re.Match[str]) -> str:
        name, default = found.groups()
        return "http://theeye.example:60080" if name == "UPSTREAM" else default

    text = GATEWAY["environment"].items()
    return {name: re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", value, str(each)) for name, each in text}


@pytest.mark.deployment
def test_file_is_what_the_schema_of_compose_says() -> None:
    assert by_schemas(compose=[FILE]) == []
    assert by_schemas(compose=[{**FILE, "services": {"gateway": {"port": []}}}])


def test_settings_are_those_that_the_gateway_knows() -> None:
    config = load(None, environ()).config
    assert config.upstream.url == "http://theeye.example:60080"
    assert config.redis.url == "redis://redis:6379/0"
    assert config.listen.workers == 1
    assert config.admin.host == "0.0.0.0"


def test_ports_are_the_gateways_and_the_admin_listener_is_for_this_machine() -> None:
    public, admin = GATEWAY["ports"]
    assert public.endswith(f":{Config().listen.port}")
    assert admin == f"127.0.0.1:{Config().admin.port}:{Config().admin.port}"
    assert "ports" not in FILE["services"]["redis"]


def test_gateway_has_drained_before_it_is_killed() -> None:
    grace = int(GATEWAY["stop_grace_period"].removesuffix("s"))
    assert load(None, environ()).config.listen.drain_seconds < grace


def test_redis_neither_evicts_nor_forgets_keys() -> None:
    command = FILE["services"]["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--appendonly"] == "yes"


def test_gateway_may_do_no_more_than_it_needs() -> None:
    assert GATEWAY["read_only"] is True
    assert GATEWAY["cap_drop"] == ["ALL"]
    assert GATEWAY["security_opt"] == ["no-new-privileges:true"]
