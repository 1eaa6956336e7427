"""Trying all that the settings name, side by side."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.cli.trying.keys import try_certificates, try_keys
from gateway.cli.trying.upstream import try_upstream

if TYPE_CHECKING:
    from gateway.cli.trying.finding import Finding
    from gateway.config import Config

TRY_SECONDS = 5.0
"""What the other side gets for each answer."""


def try_all(config: Config, seconds: float = TRY_SECONDS) -> list[Finding]:
    """What was found, in the order of the settings file."""
    return asyncio.run(_tried(config, seconds))


async def _tried(config: Config, seconds: float) -> list[Finding]:
    async with asyncio.TaskGroup() as group:
        upstream = group.create_task(try_upstream(config.upstream, seconds))
        keys = group.create_task(try_keys(config.identity, seconds))
        redis = group.create_task(_redis(config, seconds))
    certificates = try_certificates(config, datetime.now(UTC).timestamp())
    return [upstream.result(), *keys.result(), *redis.result(), *certificates]


async def _redis(config: Config, seconds: float) -> list[Finding]:
    if not config.redis.url:
        return []
    from gateway.cli.trying.redis import try_redis  # noqa: PLC0415 - an extra

    return await try_redis(config.redis, seconds)
