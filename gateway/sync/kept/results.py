"""Keeps finished jobs for a while, for the clients that waited for them.

TheEye keeps only the five newest jobs of a task (recording autoremove). A client whose connection
broke while its result came, or that comes back late, may find its job gone. The upstream is still
asked first, each time: what is kept here stands in only where it says that there is no such job. So
a token that has been revoked gets the upstream's 401, not a result.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.protocols.theeye.cors import carried_fields
from gateway.sync.jobs.reader import Found, Read, Refused
from gateway.sync.kept.result_key import holder, key_of
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gateway.admission.identity.identities import Identity
    from gateway.config import SyncConfig
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.kept.memory_results import StoreStats
    from gateway.sync.kept.result_key import ResultKey
    from gateway.sync.kept.result_store import ResultStore


class Results:
    """Reads jobs with ``read`` and keeps the finished ones in ``store``, if there is one.

    ``read`` is told whether nothing but the job's output is wanted once it has ended.
    """

    def __init__(
        self,
        read: Callable[[JobAccess, bool], Awaitable[Read]],
        store: ResultStore | None,
    ) -> None:
        self._read = read
        self._store = store
        self._tasks = Tasks()

    async def read(
        self, access: JobAccess, holder: bytes | None, *, has_ended: bool, output_only: bool
    ) -> Read:
        """The job as it stands, or as it stood at its end where the upstream has it no more.

        ``holder``: whose result it is (``holder``), None where nothing is to be kept.
        ``has_ended``: it is said to have ended; then the read goes on also if the client leaves.
        """
        store = self._store
        if holder is None or store is None:
            return await self._read(access, output_only)
        key = key_of(access, holder)
        reading = self._remembered(store, access, key, output_only)
        if has_ended:
            return await asyncio.shield(self._tasks.spawn(reading, name="last read"))
        return await reading

    def has(self, key: ResultKey) -> bool:
        """Tell whether the result is in this process's memory."""
        return self._store is not None and self._store.has(key)

    def stats(self) -> StoreStats | None:
        """What the store counts, None where there is none."""
        return None if self._store is None else self._store.stats()

    def reconfigure(self, config: SyncConfig, seal_keys: Sequence[bytes]) -> None:
        """Have other bounds, and keys, for what is kept."""
        if self._store is not None:
            self._store.reconfigure(config)
            if seal_keys:
                self._store.hold(seal_keys)

    async def of_client(self, access: JobAccess, identity: Identity) -> Read:
        """The job as it stands, or as it was kept for this client."""
        whose = holder(access, identity)
        return await self.read(access, whose, has_ended=False, output_only=False)

    async def aclose(self) -> None:
        await self._tasks.aclose()
        if self._store is not None:
            await self._store.aclose()

    async def _remembered(
        self, store: ResultStore, access: JobAccess, key: ResultKey, output_only: bool
    ) -> Read:
        read = await self._read(access, output_only)
        if isinstance(read, Found) and read.job.is_finished:
            store.keep(key, read.job)
        elif isinstance(read, Refused) and read.is_gone:
            job = await store.find(key)
            if job is not None:
                return Found(job, carried_fields(access.origin, read.response.fields))
        return read
