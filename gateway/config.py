"""The settings: one frozen tree of sections. Each part gets its own section, never the tree.

Defaults stand here; ``config/gateway.toml`` lists them for operators, and a test keeps both equal.
Names end in their unit: ``_seconds``, ``_bytes``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86400)]
MAX_COUNT = 1_000_000
Count = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Bytes = Annotated[int, Meta(ge=1024, le=2**31)]
PerSecond = Annotated[float, Meta(ge=0.001, le=100_000)]
MIB = 1024 * 1024


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the settings file; an unknown key is an error."""


class ListenConfig(Section, frozen=True, kw_only=True):
    host: str = "0.0.0.0"
    port: Port = 6090
    tls_cert_file: str = ""
    tls_key_file: str = ""
    workers: Annotated[int, Meta(ge=0, le=256)] = 1
    trusted_proxies: tuple[str, ...] = ()
    keepalive_seconds: Seconds = 75.0
    idle_seconds: Seconds = 60.0
    min_content_bytes_per_second: Annotated[float, Meta(ge=0, le=2**31)] = 500.0
    drain_seconds: Annotated[float, Meta(ge=0, le=3600)] = 25.0


class UpstreamConfig(Section, frozen=True, kw_only=True):
    url: str = "http://127.0.0.1:60080"
    ca_file: str = ""
    preserve_host: bool = False
    max_connections: Count = 512
    connect_seconds: Seconds = 5.0
    response_seconds: Seconds = 60.0
    idle_seconds: Seconds = 60.0
    keepalive_seconds: Seconds = 4.0
    tunnel_idle_seconds: Seconds = 3600.0
    buffer_bytes: Bytes = 256 * 1024


class SyncConfig(Section, frozen=True, kw_only=True):
    profile: Literal["4.6", "4.15"] = "4.6"
    default_limit: Count = 10
    default_hold_seconds: Annotated[int, Meta(ge=1, le=3600)] = 5
    max_hold_seconds: Annotated[int, Meta(ge=1, le=3600)] = 60
    parse_bytes: Bytes = 1024 * 1024
    result_cache_seconds: Annotated[float, Meta(ge=0, le=3600)] = 60.0
    result_cache_bytes: Bytes = 32 * 1024 * 1024
    default_customer: str = ""
    secret_routes: bool = False
    max_polls_per_second: Annotated[float, Meta(ge=0.1, le=10_000)] = 20.0
    poll_share_of_age: Annotated[float, Meta(ge=0.01, le=1)] = 0.1
    min_poll_seconds: Annotated[float, Meta(ge=0.01, le=60)] = 0.1
    max_poll_seconds: Annotated[float, Meta(ge=0.01, le=60)] = 5.0
    safety_net_seconds: Annotated[float, Meta(ge=0.01, le=3600)] = 10.0


class IdentityConfig(Section, frozen=True, kw_only=True):
    mode: Literal["opaque", "verify"] = "opaque"
    secret: Annotated[str, Meta(extra={"secret": True})] = ""
    secret_file: str = ""
    public_key_file: str = ""
    jwks_url: str = ""
    verify_expiry: bool = False
    reject_seconds: Annotated[float, Meta(ge=0, le=3600)] = 10.0


class KindLimits(Section, frozen=True, kw_only=True):
    """What requests of one kind may do."""

    per_second: PerSecond
    burst: Count
    content_bytes: Bytes


class KindOverride(Section, frozen=True, kw_only=True):
    """What a rule changes of that."""

    per_second: PerSecond | None = None
    burst: Count | None = None
    content_bytes: Bytes | None = None


class Rule(Section, frozen=True, kw_only=True):
    """Whom it is for, all that is given must match; and what they may do."""

    organization: str | None = None
    credential: str | None = None
    user: str | None = None
    token_hash: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")] | None = None
    create: KindOverride = KindOverride()
    result: KindOverride = KindOverride()
    other: KindOverride = KindOverride()
    holds: Count | None = None


class LimitsConfig(Section, frozen=True, kw_only=True):
    mode: Literal["off", "report", "enforce"] = "enforce"
    headers: bool = False
    anonymous_share: Annotated[float, Meta(ge=0.001, le=1)] = 0.1
    holds_per_token: Count = 200
    holds: Count = 10_000
    connections_per_address: Annotated[int, Meta(ge=0, le=1_000_000)] = 1000
    target_bytes: Bytes = 16 * 1024
    fields_bytes: Bytes = 64 * 1024
    inspect_bytes: Bytes = MIB
    result_bytes: Bytes = 17 * MIB
    buffered_bytes: Bytes = 128 * MIB
    rules: tuple[Rule, ...] = ()
    create: KindLimits = KindLimits(per_second=20.0, burst=40, content_bytes=MIB)
    result: KindLimits = KindLimits(per_second=50.0, burst=100, content_bytes=MIB)
    other: KindLimits = KindLimits(per_second=100.0, burst=200, content_bytes=100 * MIB)


class RedisConfig(Section, frozen=True, kw_only=True):
    url: str = ""
    connect_seconds: Annotated[float, Meta(ge=0.001, le=60)] = 2.0
    answer_seconds: Annotated[float, Meta(ge=0.001, le=10)] = 0.05
    ping_seconds: Annotated[float, Meta(ge=0.01, le=60)] = 0.25


class AdminConfig(Section, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: Port = 6091


class LogConfig(Section, frozen=True, kw_only=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"
    access: bool = True


class Config(Section, frozen=True, kw_only=True):
    listen: ListenConfig = ListenConfig()
    upstream: UpstreamConfig = UpstreamConfig()
    sync: SyncConfig = SyncConfig()
    identity: IdentityConfig = IdentityConfig()
    limits: LimitsConfig = LimitsConfig()
    redis: RedisConfig = RedisConfig()
    admin: AdminConfig = AdminConfig()
    log: LogConfig = LogConfig()
