"""Finished jobs in this process's memory: bounded in bytes and in time, the oldest go first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.config import SyncConfig
    from gateway.protocols.theeye.job import Job
    from gateway.sync.kept.result_key import ResultKey

SHARE = 8
"""No job takes more than this part of the bytes, so that one cannot drive out all others."""
OVERHEAD_BYTES = 1024
"""Size of an entry besides the job's content."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    entries: int
    """Jobs in memory now, and what they take."""
    bytes: int
    given: Mapping[str, int]
    """Jobs that were found when the upstream had them no more, by where they were."""
    failures: int | None = None
    """How often Redis has not taken a job, or not said whether it has one; None without Redis."""


@dataclass(frozen=True, slots=True)
class _Entry:
    job: Job
    size: int
    until: float


class MemoryResults:
    """Keeps each for ``result_seconds`` since it was last put here, ``result_store_bytes`` of all
    together; ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float], config: SyncConfig) -> None:
        self._clock = clock
        self._config = config
        self._entries: OrderedDict[ResultKey, _Entry] = OrderedDict()
        """The one that was put here first stands first; so it is over first, too."""
        self._bytes = self._given = 0

    def reconfigure(self, config: SyncConfig) -> None:
        """Have other bounds; what is kept goes by them as far as it must."""
        before, self._config = self._config, config
        if config.result_seconds != before.result_seconds:
            later = config.result_seconds - before.result_seconds
            for key, entry in self._entries.items():
                self._entries[key] = replace(entry, until=entry.until + later)
        self._shrink()

    def hold(self, seal_keys: Sequence[bytes]) -> None:
        """Seal nothing: it does not leave this process."""

    def may_keep(self, job: Job) -> bool:
        """Tell whether the job is small enough."""
        return size(job) <= self._config.result_store_bytes // SHARE

    def keep(self, key: ResultKey, job: Job) -> None:
        """Put a job here, in the place of the oldest ones; not where it is too large."""
        self._expire()
        self._drop(key)
        if not self.may_keep(job):
            return
        entry = _Entry(job, size(job), self._clock() + self._config.result_seconds)
        self._entries[key] = entry
        self._bytes += entry.size
        self._shrink()

    def has(self, key: ResultKey) -> bool:
        self._expire()
        return key in self._entries

    async def find(self, key: ResultKey) -> Job | None:
        """The job that is kept under this key; it gets no younger by that."""
        self._expire()
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._given += 1
        return entry.job

    def stats(self) -> StoreStats:
        self._expire()
        return StoreStats(len(self._entries), self._bytes, {"memory": self._given})

    async def aclose(self) -> None:
        """Leave nothing behind."""
        self._entries.clear()
        self._bytes = 0

    def _expire(self) -> None:
        now = self._clock()
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if entry.until > now:
                return
            self._drop(key)

    def _shrink(self) -> None:
        while self._bytes > self._config.result_store_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: ResultKey) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size


def size(job: Job) -> int:
    """The bytes that keeping a job takes, roughly."""
    return OVERHEAD_BYTES + job.held_bytes
