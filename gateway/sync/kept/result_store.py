"""Where finished jobs are kept: as the settings have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.sync.kept.memory_results import MemoryResults
from gateway.sync.kept.seal import Seal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.config import Config
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

    @property
    def renewals(self) -> Mapping[str, Callable[[], None]]:
        """What reads a file again, by the setting that names it; each may raise UnusableKey."""
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

    seal = Seal(sync.seal_key_file)
    records = RedisRecords(config.redis, clock, chance)
    return RedisResults(memory, records, seal, thread, sync)
