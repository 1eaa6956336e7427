from __future__ import annotations

from typing import Annotated

from msgspec import Meta, structs

from gateway.config import Config, Rule, Section
from gateway.config.tree import settings


class _Store(Section, frozen=True, kw_only=True):
    url: str = "redis://cache/0"
    password: Annotated[str, Meta(extra={"secret": True})] = ""


class _Tree(Section, frozen=True, kw_only=True):
    store: _Store = _Store()


def test_settings_have_a_key_a_variable_and_a_default_each() -> None:
    known = settings(_Tree)
    assert [*known] == ["store.url", "store.password"]
    assert known["store.url"].variable == "GATEWAY_STORE__URL"
    assert known["store.url"].default == "redis://cache/0"
    assert [setting.is_secret for setting in known.values()] == [False, True]


def test_setting_that_is_a_list_of_tables_knows_what_they_are() -> None:
    known = settings()
    assert known["limits.rules"].table is Rule
    assert known["listen.trusted_proxies"].table is None
    assert known["listen.port"].table is None


def test_every_section_is_frozen_and_every_setting_has_a_default() -> None:
    for section in structs.fields(Config):
        assert section.type.__struct_config__.frozen
        assert section.type() == section.default
