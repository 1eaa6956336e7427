"""The way to a shared Redis. The library is an extra: it is imported where a URL is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.connection import AbstractConnection

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


def has_known_options(config: RedisConfig) -> bool:
    """Whether the library takes what stands behind the URL's ``?``."""
    try:
        listener(config)
    except Exception:
        # Any, as the library has no one kind for these. Nothing has been connected.
        return False
    return True


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


def listener(config: RedisConfig) -> AbstractConnection:
    """A connection that belongs to no pool, not yet connected, to listen on.

    It has no time limits and tries nothing again: who listens knows how long to be patient, and
    redis-py's own limits may lose a cancellation (they use ``asyncio.wait_for``, Python 3.11).
    """
    from redis.asyncio import ConnectionPool  # noqa: PLC0415 - an extra
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    pool = ConnectionPool.from_url(config.url, protocol=2, retry=Retry(NoBackoff(), 0))
    connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    # The URL's query can name limits too; a listener that hears nothing for long is well.
    connection.socket_timeout = connection.socket_connect_timeout = None
    return connection
