"""The settings: one frozen tree of sections. Each part gets its own section, never the tree.

A setting is a member of its section: type, range and default, and below it what it does, what zero
means and what it risks. ``config/gateway.toml`` is made from that.
"""

from __future__ import annotations

from gateway.config.limits import KindLimits, KindOverride, LimitsConfig, Rule
from gateway.config.sections import (
    AdminConfig,
    IdentityConfig,
    ListenConfig,
    LogConfig,
    RedisConfig,
    TracesConfig,
    UpstreamConfig,
)
from gateway.config.sync import SyncConfig
from gateway.config.values import MAX_COUNT, Section

__all__ = [
    "MAX_COUNT",
    "AdminConfig",
    "Config",
    "IdentityConfig",
    "KindLimits",
    "KindOverride",
    "LimitsConfig",
    "ListenConfig",
    "LogConfig",
    "RedisConfig",
    "Rule",
    "Section",
    "SyncConfig",
    "TracesConfig",
    "UpstreamConfig",
]


class Config(Section, frozen=True, kw_only=True):
    listen: ListenConfig = ListenConfig()
    upstream: UpstreamConfig = UpstreamConfig()
    sync: SyncConfig = SyncConfig()
    identity: IdentityConfig = IdentityConfig()
    limits: LimitsConfig = LimitsConfig()
    redis: RedisConfig = RedisConfig()
    admin: AdminConfig = AdminConfig()
    log: LogConfig = LogConfig()
    traces: TracesConfig = TracesConfig()
