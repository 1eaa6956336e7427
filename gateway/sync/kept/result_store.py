"""Where finished jobs are kept: as the settings have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.sync.kept.memory_results import MemoryResults
from gateway.sync.kept.seal import Seal, read_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config import Config, SyncConfig
    from gateway.protocols.theeye.job import Job
    from gateway.sync.kept.memory_results import StoreStats
    from gateway.sync.kept.result_key import ResultKey
    from gateway.sync.results.parsing import ParsingThread


class ResultStore(Protocol):
    """Keeps finished jobs."""

    def keep(self, key: ResultKey, job: Job) -> None:
        """Put a finished job here; at once, or soon."""
        raise NotImplementedError

    def has(self, key: ResultKey) -> bool:
        """Tell whether it is in this process's memory."""
        raise NotImplementedError

    async def find(self, key: ResultKey) -> Job | None:
        """The job that was put here under this very key; None also where that cannot be told in
        time."""
        raise NotImplementedError

    def stats(self) -> StoreStats:
        raise NotImplementedError

    def reconfigure(self, config: SyncConfig) -> None:
        """Have other bounds; what is kept stays, as far as it fits."""
        raise NotImplementedError

    def hold(self, seal_keys: Sequence[bytes]) -> None:
        """Seal with the first of these from now on, and open with all."""
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


def result_store(
    config: Config,
    thread: ParsingThread,
    clock: Callable[[], float],
    chance: Callable[[], float],
) -> ResultStore | None:
    """Make the store of the settings; None where nothing is kept.

    Raises:
        UnusableKey: the file of the seal's key is not as it was when the settings were checked.
    """
    sync = config.sync
    if sync.result_store == "off":
        return None
    memory = MemoryResults(clock, sync)
    if sync.result_store == "memory":
        return memory
    from gateway.sync.kept.redis_records import RedisRecords  # noqa: PLC0415 - an extra
    from gateway.sync.kept.redis_results import RedisResults  # noqa: PLC0415

    seal = Seal(read_keys(sync.seal_key_file))
    records = RedisRecords(config.redis, clock, chance)
    return RedisResults(memory, records, seal, thread, sync)
