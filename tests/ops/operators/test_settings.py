from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config import Config, IdentityConfig, LimitsConfig, RedisConfig, Rule
from gateway.config.effective import Effective
from gateway.config.tree import settings
from gateway.ops.operators.settings import settings_route, settings_shown
from gateway.protocols.theeye.redaction import MASK
from tests.support.operators import app_of

if TYPE_CHECKING:
    from pytest_aiohttp.plugin import AiohttpClient


def test_every_setting_is_shown_with_where_it_was_given() -> None:
    shown = settings_shown(Effective(origins={"listen.port": "GATEWAY_LISTEN__PORT"}))
    assert list(shown.settings) == list(settings())
    assert shown.file is None
    assert shown.settings["listen.port"].origin == "GATEWAY_LISTEN__PORT"
    assert shown.settings["listen.host"].origin == "default"


async def test_settings_in_force_at_the_moment_are_told_without_secrets(
    aiohttp_client: AiohttpClient,
) -> None:
    config = Config(
        identity=IdentityConfig(mode="verify", secret="hunter2"),
        redis=RedisConfig(url="redis://:hunter3@redis:6379/0"),
        limits=LimitsConfig(rules=(Rule(organization="acme", holds=3),)),
    )
    effective = Effective(config, {"identity.secret": "a.toml: identity.secret"}, Path("a.toml"))
    held = [Effective()]
    asked = await aiohttp_client(app_of([settings_route(lambda: held[0])]))
    assert (await (await asked.get("/config")).json())["file"] is None
    held[0] = effective
    text = await (response := await asked.get("/config")).text()
    assert "hunter" not in text
    told = await response.json()
    assert told["file"] == "a.toml"
    assert told["settings"]["identity.secret"] == {
        "value": MASK,
        "origin": "a.toml: identity.secret",
    }
    assert told["settings"]["redis.url"]["value"].endswith("@redis:6379/0")
    (rule,) = told["settings"]["limits.rules"]["value"]
    assert (rule["organization"], rule["holds"]) == ("acme", 3)
    assert "token_hash" not in rule
