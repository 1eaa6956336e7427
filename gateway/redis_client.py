"""The way to a shared Redis. The library is an extra: it is imported where a URL is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from gateway.config import RedisConfig


_SCHEMES = frozenset({"redis", "rediss", "unix"})


def is_url(text: str) -> bool:
    """Whether it names a Redis: ``redis://``, ``rediss://`` (TLS) or ``unix://``."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return False
    return bool(url.path if url.scheme == "unix" else url.hostname) and url.scheme in _SCHEMES


def connect(config: RedisConfig, *, max_connections: int) -> Redis:
    """A client that connects when it is first used; every answer must come in ``answer_seconds``.

    Nothing is tried again: who asks has something else to go on with.
    """
    from redis.asyncio import Redis  # noqa: PLC0415 - an extra
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    return Redis.from_url(
        config.url,
        max_connections=max_connections,
        socket_timeout=config.answer_seconds,
        socket_connect_timeout=config.answer_seconds,
        retry=Retry(NoBackoff(), 0),
    )
