"""Tells operators of a Redis that forgets what it must keep, for want of memory."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from gateway.redis.connection import RedisConnection, Unusable

if TYPE_CHECKING:
    from gateway.config import RedisConfig

ATTEMPTS = 10
GAP_SECONDS = 30.0
_POLICY = re.compile(rb"^maxmemory_policy:([a-z-]{1,32})\r?$", re.MULTILINE)
_log = logging.getLogger(__name__)


async def eviction_policy(config: RedisConfig) -> str:
    """The server's ``maxmemory-policy``, empty where it does not tell.

    Over a connection of its own: some proxies close one on which they are asked this.

    Raises:
        Unusable: it cannot be asked.
    """
    connection = RedisConnection(config)
    try:
        await connection.open()
        [told] = await connection.replies(
            [("INFO", "memory")], config.connect_seconds, (ResponseError,)
        )
    finally:
        await connection.close()
    found = _POLICY.search(told) if isinstance(told, bytes) else None
    return "" if found is None else found[1].decode("ascii")


async def warn_of_eviction(config: RedisConfig, *, gap_seconds: float = GAP_SECONDS) -> None:
    """Log that idempotency keys may be evicted, if so; once the server can be asked."""
    for _ in range(ATTEMPTS):
        try:
            policy = await eviction_policy(config)
        except Unusable:
            await asyncio.sleep(gap_seconds)
            continue
        if policy not in {"", "noeviction"}:
            _log.warning(
                "Redis may evict idempotency keys (maxmemory-policy %s): a request whose key it has"
                " forgotten makes another job when it is repeated; set noeviction",
                policy,
            )
        return
