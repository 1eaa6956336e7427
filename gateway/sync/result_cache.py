"""Keeps finished jobs for a moment, for clients that have read them once already.

TheEye keeps only the five newest jobs of a task (recording autoremove). A client whose connection
broke while its result came, or that comes back late, may find its job gone. The upstream is still
asked first, each time: what is kept here stands in only where it says that there is no such job. So
a token that has been revoked gets the upstream's 401, not a result.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from cachetools import TTLCache

from gateway.protocols.theeye.cors import carried_fields
from gateway.sync.jobs.reader import Found, Read, Refused
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.admission.identity.identities import Identity
    from gateway.config import SyncConfig
    from gateway.protocols.theeye.job import Job
    from gateway.sync.jobs.access import JobAccess

SHARE = 8
"""No job takes more than this part of the bytes, so that one cannot drive out all others."""
OVERHEAD_BYTES = 1024
"""Size of an entry besides the job's content."""


@dataclass(frozen=True, slots=True)
class _Key:
    holder: bytes
    customer: str
    job_id: str


def holder(access: JobAccess, identity: Identity) -> bytes | None:
    """A hash of what lets this client read the job, its token or the job's secret; None where
    it has neither, and nothing is to be kept for it."""
    if access.secret:
        return blake2b(access.secret.encode(), digest_size=16, person=b"job secret").digest()
    return identity.token_hash


class Results:
    """Reads jobs with ``read`` and keeps the finished ones; ``clock`` gives monotonic seconds.

    ``read`` is told whether nothing but the job's output is wanted once it has ended.
    """

    def __init__(
        self,
        read: Callable[[JobAccess, bool], Awaitable[Read]],
        clock: Callable[[], float],
        config: SyncConfig,
    ) -> None:
        self._read = read
        self._is_on = config.result_cache_seconds > 0
        self._largest = config.result_cache_bytes // SHARE
        self._kept: TTLCache[_Key, Job] = TTLCache(
            config.result_cache_bytes,
            config.result_cache_seconds,
            timer=clock,
            getsizeof=size,
        )
        self._tasks = Tasks()

    async def read(
        self, access: JobAccess, holder: bytes | None, *, has_ended: bool, output_only: bool
    ) -> Read:
        """The job as it stands, or as it stood at its end where the upstream has it no more.

        ``has_ended``: it is said to have ended; then the read goes on also if the client leaves.
        """
        if holder is None or not self._is_on:
            return await self._read(access, output_only)
        if has_ended:
            reads = self._tasks.spawn(
                self._remembered(access, holder, output_only), name="last read"
            )
            return await asyncio.shield(reads)
        return await self._remembered(access, holder, output_only)

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def _remembered(self, access: JobAccess, holder: bytes, output_only: bool) -> Read:
        read = await self._read(access, output_only)
        key = _Key(holder, access.customer, access.job_id.lower())
        if isinstance(read, Found) and read.job.is_finished and size(read.job) <= self._largest:
            self._kept[key] = read.job
        if isinstance(read, Refused) and read.is_gone:
            job = self._kept.get(key)
            if job is not None:
                return Found(job, carried_fields(access.origin, read.response.fields))
        return read


def size(job: Job) -> int:
    """The bytes that keeping a job takes, roughly."""
    return OVERHEAD_BYTES + job.held_bytes
