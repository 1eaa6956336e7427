"""The way to a shared Redis. The library is an extra: it is imported where a URL is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from gateway.config import RedisConfig


_SCHEMES = frozenset({"redis", "rediss", "unix"})
_REASON_LENGTH = 200


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
        connection(config)
    except Exception:
        # Any, as the library has no one kind for these. Nothing has been connected.
        return False
    return True


def connection(config: RedisConfig) -> AbstractConnection:
    """A connection that belongs to no pool, not yet connected.

    It speaks RESP2, which every Redis and what stands before one understands, and sends nothing but
    what the URL asks for and its user commands: no name of a library. It has no time limits and
    tries nothing again: who uses it knows how long to be patient, and redis-py's own limits may
    lose a cancellation (they use ``asyncio.wait_for``, Python 3.11).
    """
    from redis.asyncio import ConnectionPool  # noqa: PLC0415 - an extra
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    pool = ConnectionPool.from_url(config.url, protocol=2, retry=Retry(NoBackoff(), 0))
    made: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    # The URL's query can name limits too; one that hears nothing for long is well.
    made.socket_timeout = made.socket_connect_timeout = None
    for name in ("driver_info", "lib_name", "lib_version"):  # of newer releases, and of older ones
        setattr(made, name, None)
    return made


def reason(failure: Exception) -> str:
    """What went wrong, on one printable line, in the server's words where it said some."""
    return f"{type(failure).__name__}: {str(failure)[:_REASON_LENGTH]!r}"
