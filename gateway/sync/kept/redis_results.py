"""Finished jobs in a Redis that several gateways share, and in this process's memory.

A job is put into memory at once and into Redis soon, by a task of its own: no response waits for
it. It is sealed there and bound to its key, so that whoever can read or write in that Redis neither
learns of a job nor can give one to another client. Redis is asked only for what is not in memory.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.protocols.theeye.ecma_json import has_surrogates
from gateway.redis.link import Unanswered
from gateway.sync.jobs.reader import AT_ONCE_BYTES
from gateway.sync.kept.memory_results import SHARE, size
from gateway.sync.kept.record import decoded, encoded
from gateway.sync.kept.seal import OVERHEAD_BYTES
from gateway.sync.kept.turns import Turns
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config import SyncConfig
    from gateway.protocols.theeye.job import Job
    from gateway.sync.kept.memory_results import MemoryResults, StoreStats
    from gateway.sync.kept.redis_records import RedisRecords
    from gateway.sync.kept.result_key import ResultKey
    from gateway.sync.kept.seal import Seal
    from gateway.sync.results.parsing import ParsingThread

PREFIX = "theeye-sync-gateway:result:"
QUEUE_SHARE = 4
"""Jobs that wait to be put into Redis take no more than this part of the bytes."""
READS_AT_ONCE = 4
LINE_SECONDS = 5.0
"""How long a client waits until its result is looked for."""
CLOSE_SECONDS = 1.0
"""Time for what still waits when this process ends."""


class RedisResults:
    """``memory`` keeps what is kept here, too; large jobs are read in ``thread``."""

    def __init__(
        self,
        memory: MemoryResults,
        records: RedisRecords,
        seal: Seal,
        thread: ParsingThread,
        config: SyncConfig,
        *,
        line_seconds: float = LINE_SECONDS,
    ) -> None:
        self._line_seconds = line_seconds
        self._memory = memory
        self._thread = thread
        self._records = records
        self._seal = seal
        self._config = config
        self._queue: OrderedDict[ResultKey, Job] = OrderedDict()
        self._queued_bytes = 0
        self._is_writing = False
        self._turns = Turns(READS_AT_ONCE)
        self._tasks = Tasks()
        self._unqueued = self._given = 0

    def reconfigure(self, config: SyncConfig) -> None:
        self._config = config
        self._memory.reconfigure(config)

    def hold(self, seal_keys: Sequence[bytes]) -> None:
        self._seal.hold(seal_keys)

    def keep(self, key: ResultKey, job: Job) -> None:
        self._memory.keep(key, job)
        if not self._memory.may_keep(job):
            return
        self._take_out(key)
        most_queued = self._config.result_store_bytes // QUEUE_SHARE
        if not self._records.may_answer or self._queued_bytes + size(job) > most_queued:
            self._unqueued += 1
            return
        self._queue[key] = job
        self._queued_bytes += size(job)
        if not self._is_writing:
            self._is_writing = True
            self._tasks.spawn(self._write(), name="put results into Redis")

    def has(self, key: ResultKey) -> bool:
        return self._memory.has(key)

    async def find(self, key: ResultKey) -> Job | None:
        return await self._memory.find(key) or await self._stored(key)

    def stats(self) -> StoreStats:
        kept = self._memory.stats()
        failures = self._records.failures + self._unqueued
        return replace(kept, given={**kept.given, "redis": self._given}, failures=failures)

    async def aclose(self) -> None:
        await self._tasks.aclose(CLOSE_SECONDS)
        await self._records.aclose()

    async def _stored(self, key: ResultKey) -> Job | None:
        """Of what was read and is not a job yet there is a little at a time, for it counts in no
        client's memory; clients are served in turn."""
        try:
            async with asyncio.timeout(self._line_seconds) as line, self._turns.of(key.holder):
                line.reschedule(None)
                return await self._read(key)
        except (TimeoutError, Unanswered):
            return None

    async def _read(self, key: ResultKey) -> Job | None:
        largest = self._config.result_store_bytes // SHARE + OVERHEAD_BYTES
        sealed = await self._records.get(PREFIX + key.digest, largest)
        text = self._seal.opened(sealed, key.context)
        if text is None:
            return None
        if len(text) < AT_ONCE_BYTES or not has_surrogates(text):
            job = decoded(text, key)
        else:
            job = await self._thread.run(key.holder, decoded, text, key)
        self._given += job is not None
        return job

    async def _write(self) -> None:
        try:
            while self._queue:
                key, job = next(iter(self._queue.items()))
                self._take_out(key)
                record = self._seal.seal(encoded(job), key.context)
                try:
                    seconds = self._config.result_seconds
                    await self._records.put(PREFIX + key.digest, record, seconds)
                except Unanswered:
                    # It is in memory; the next one may fare better.
                    continue
        finally:
            self._is_writing = False

    def _take_out(self, key: ResultKey) -> None:
        job = self._queue.pop(key, None)
        if job is not None:
            self._queued_bytes -= size(job)
