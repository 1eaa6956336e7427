"""Keys in this process's memory: bounded for each caller in number, in all in bytes and in time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gateway.sync.keys.state import (
    ABSENT,
    LEASE_SECONDS,
    KeyName,
    KeyRecord,
    KeyState,
    check_move,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import SyncConfig

SHARE = 4
"""One caller's keys take no more than this part of all bytes."""
OVERHEAD_BYTES = 1024
"""Size of a key besides what is kept for it, roughly."""


@dataclass(slots=True)
class _KeptKey:
    record: KeyRecord
    sender: bytes
    lease_until: float
    claimed_at: float
    since: float
    """When it came to its state."""

    @property
    def size(self) -> int:
        return OVERHEAD_BYTES + self.record.size


@dataclass(slots=True)
class _Caller:
    """Whose requests are not under way any more; the oldest first."""

    names: OrderedDict[KeyName, None] = field(default_factory=OrderedDict)
    size: int = 0


class MemoryKeys:
    """A key is kept for ``idempotency_seconds`` from its claim on. ``clock`` gives monotonic
    seconds.

    Keys in ``SENDING`` are never dropped for want of room: there are no more of them than requests
    under way.
    """

    def __init__(self, clock: Callable[[], float], config: SyncConfig) -> None:
        self._clock = clock
        self._config = config
        self._kept: OrderedDict[KeyName, _KeptKey] = OrderedDict()
        """The one that was claimed first stands first."""
        self._callers: dict[bytes, _Caller] = {}
        self._bytes = 0

    def reconfigure(self, config: SyncConfig) -> None:
        """Have other bounds; the oldest keys go where there are too many by them."""
        self._config = config
        for caller in [*self._callers.values()]:
            while len(caller.names) > config.idempotency_keys:
                self._drop(next(iter(caller.names)))
        while self._bytes > config.idempotency_bytes:
            self._drop(self._oldest())

    @property
    def count(self) -> int:
        """How many keys are kept, those under way among them."""
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes that all keys take, roughly, but for those under way."""
        return self._bytes

    async def claim(self, name: KeyName, fingerprint: bytes, sender: bytes) -> KeyRecord:
        self._expire()
        now = self._clock()
        kept = self._kept.get(name)
        if kept is None:
            self._begin(name, fingerprint, sender)
            return ABSENT
        record = kept.record
        if record.state is KeyState.SENDING:
            if kept.sender == sender:
                return ABSENT
            if kept.lease_until <= now:
                record = replace(record, state=KeyState.UNKNOWN)
        return replace(record, age_seconds=now - kept.since)

    async def renew(self, name: KeyName, fingerprint: bytes, sender: bytes) -> None:
        kept = self._own(name, fingerprint, sender)
        if kept is not None and kept.record.state is KeyState.SENDING:
            kept.lease_until = self._clock() + LEASE_SECONDS

    async def settle(self, name: KeyName, record: KeyRecord, sender: bytes) -> None:
        kept = self._own(name, record.fingerprint, sender)
        if kept is None or kept.record.state is not KeyState.SENDING:
            return
        check_move(kept.record.state, record.state)
        if record.state is KeyState.ABSENT:
            del self._kept[name]
            return
        kept.record, kept.since = record, self._clock()
        caller = self._callers.setdefault(name.caller, _Caller())
        caller.names[name] = None
        caller.size += kept.size
        self._bytes += kept.size
        if len(caller.names) > self._config.idempotency_keys:
            self._drop(next(iter(caller.names)))
        most_bytes = self._config.idempotency_bytes
        while self._bytes > most_bytes:
            is_over = caller.size > most_bytes // SHARE
            self._drop(next(iter(caller.names)) if is_over else self._oldest())

    async def aclose(self) -> None:
        """Hold nothing but memory."""

    def _begin(self, name: KeyName, fingerprint: bytes, sender: bytes) -> _KeptKey:
        now = self._clock()
        record = KeyRecord(KeyState.SENDING, fingerprint)
        kept = self._kept[name] = _KeptKey(record, sender, now + LEASE_SECONDS, now, now)
        return kept

    def _own(self, name: KeyName, fingerprint: bytes, sender: bytes) -> _KeptKey | None:
        """The sender's own key, also where it was forgotten meanwhile."""
        kept = self._kept.get(name) or self._begin(name, fingerprint, sender)
        return kept if kept.sender == sender else None

    def _oldest(self) -> KeyName:
        return next(
            name for name, kept in self._kept.items() if kept.record.state is not KeyState.SENDING
        )

    def _expire(self) -> None:
        before = self._clock() - self._config.idempotency_seconds
        while self._kept:
            name, kept = next(iter(self._kept.items()))
            if kept.claimed_at > before:
                return
            self._drop(name)

    def _drop(self, name: KeyName) -> None:
        kept = self._kept.pop(name)
        caller = self._callers.get(name.caller)
        if caller is None or name not in caller.names:
            return
        del caller.names[name]
        caller.size -= kept.size
        self._bytes -= kept.size
        if not caller.names:
            del self._callers[name.caller]
