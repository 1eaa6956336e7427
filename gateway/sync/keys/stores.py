"""Where keys are kept: in this process or in Redis, by the same rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.sync.keys.memory_keys import MemoryKeys

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import Config, SyncConfig
    from gateway.sync.keys.state import KeyName, KeyRecord

NOT_SHARED = (
    "several workers do not share idempotency keys without redis.url: requests with a key get 503"
    " (sync.idempotency_seconds = 0 lets them pass, unprotected)"
)


class KeyStore(Protocol):
    """Keeps records of keys for a time, and the newest only.

    Every method raises IdempotencyUnavailable where it cannot be told what is known of a key.
    ``sender`` names who sends the first request; called again with the same, a method has no
    further effect.
    """

    @property
    def count(self) -> int | None:
        """How many keys are kept in this process; None where they are kept elsewhere."""
        raise NotImplementedError

    def reconfigure(self, config: SyncConfig) -> None:
        """Have other bounds; keys that are kept stay, as far as they fit."""
        raise NotImplementedError

    async def claim(self, name: KeyName, fingerprint: bytes, sender: bytes) -> KeyRecord:
        """What is known of the key. If nothing is, the caller is its sender from then on."""
        raise NotImplementedError

    async def renew(self, name: KeyName, fingerprint: bytes, sender: bytes) -> None:
        """The sender is alive: its lease begins anew."""
        raise NotImplementedError

    async def settle(self, name: KeyName, record: KeyRecord, sender: bytes) -> None:
        """The sender says what became of the request; with ``ABSENT`` that nothing did."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Let go of what it holds."""
        raise NotImplementedError


def is_unshared(config: Config) -> bool:
    """Tell whether keys are wanted, and several workers would each keep their own."""
    return config.sync.idempotency_seconds > 0 and not _is_alone(config)


def key_store(
    config: Config, clock: Callable[[], float], chance: Callable[[], float]
) -> KeyStore | None:
    """The store that the settings ask for; None where keys cannot be kept, as several workers would
    each have their own."""
    if config.redis.url:
        from gateway.sync.keys.redis_keys import RedisKeys  # noqa: PLC0415 - an extra

        return RedisKeys(config.redis, clock, chance, config.sync)
    return MemoryKeys(clock, config.sync) if _is_alone(config) else None


def _is_alone(config: Config) -> bool:
    return config.listen.workers == 1 or bool(config.redis.url)
