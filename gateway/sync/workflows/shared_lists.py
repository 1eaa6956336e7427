"""Two lists for all the workflows that are looked at with the same credentials at a time.

A workflow is looked at when one of its task jobs has ended. While the lists for some are on their
way, and a moment longer, those who ask with the same credentials wait, and go together in the next
ones: who is alone loses no time, and a thousand workflows that take a step at once cost a few
requests.

    look() ──► queue of the credentials ──► own jobs, task jobs ──► to each its own
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from gateway.errors import GatewayError, ResponseTooLarge
from gateway.protocols.http.fields import value
from gateway.sync.jobs.listing import Unlisted, max_response_bytes
from gateway.sync.jobs.listing import understood as list_understood
from gateway.sync.workflows.task_jobs import (
    ListedJob,
    capacity,
    own_jobs_target,
    parse_jobs,
    task_jobs_target,
)
from gateway.tasks import Tasks
from gateway.upstream.messages.messages import Heard, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway.admission.limits.buffers import Buffers
    from gateway.errors import Field
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.reader import Requester
    from gateway.tracing.waits import TracedWaits

SPACING_SECONDS = 0.05
"""The least time between two looks with the same credentials, while somebody waits for one."""
LOOK_SECONDS = 15.0
"""A list that takes longer counts as failed."""


@dataclass(frozen=True, slots=True)
class WorkflowLook:
    """What lists say of one workflow."""

    own: ListedJob | None
    """The workflow's own job; None where it is gone, or not for this token's lists."""
    jobs: list[ListedJob]
    """Those of its tasks."""
    at: datetime
    """The upstream's time."""


_Looking = asyncio.Future[WorkflowLook | Unlisted]


class SharedLists:
    """``wall_clock`` gives seconds since 1970, where the upstream does not tell its own time;
    ``waits``: the traced ones, None where nothing is traced."""

    def __init__(
        self,
        upstream: Requester,
        buffers: Buffers,
        wall_clock: Callable[[], float],
        waits: TracedWaits | None = None,
    ) -> None:
        self._upstream = upstream
        self._buffers = buffers
        self._wall_clock = wall_clock
        self._waits = waits
        self._queues: dict[bytes, dict[JobAccess, _Looking]] = {}
        """Who waits for the next lists, by ``JobAccess.batch_key``; no longer than clients do."""
        self._tasks = Tasks()
        self.sent = 0
        """Requests since the start."""

    async def look(self, access: JobAccess) -> WorkflowLook | Unlisted:
        """WorkflowLook at one workflow, in a list that is sent after this was called."""
        queue = self._queues.get(access.batch_key)
        if queue is None:
            queue = self._queues[access.batch_key] = {}
            self._tasks.spawn(self._serve(access.batch_key, queue), name="look at workflows")
        looking = queue.get(access)
        if looking is None:
            looking = queue[access] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(looking)

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def _serve(self, key: bytes, queue: dict[JobAccess, _Looking]) -> None:
        taken: dict[JobAccess, _Looking] = {}
        try:
            await asyncio.sleep(0)  # those who are woken together come together
            while queue:
                most = capacity(next(iter(queue)))
                taken = {access: queue.pop(access) for access in [*queue][:most]}
                said = await self._looks([*taken])
                for access, looking in taken.items():
                    if not looking.done():
                        looking.set_result(said[access])
                if queue and len(taken) < most:
                    await asyncio.sleep(SPACING_SECONDS)
        finally:
            del self._queues[key]
            for looking in (*taken.values(), *queue.values()):
                if not looking.done():
                    looking.set_result(Unlisted.FAILING)

    async def _looks(
        self, accesses: Sequence[JobAccess]
    ) -> dict[JobAccess, WorkflowLook | Unlisted]:
        """What lists say of each; of halves where all of them are too much."""
        said = await self._lists(accesses)
        if isinstance(said, dict):
            return {**said}
        if said is not Unlisted.TOO_MUCH or len(accesses) == 1:
            return dict.fromkeys(accesses, said)
        half = len(accesses) // 2
        return {**await self._looks(accesses[:half]), **await self._looks(accesses[half:])}

    async def _lists(
        self, accesses: Sequence[JobAccess]
    ) -> dict[JobAccess, WorkflowLook] | Unlisted:
        # In this order: what is said of the workflow is never newer than its task jobs.
        owns = await self._list(accesses, own_jobs_target(accesses))
        if isinstance(owns, Unlisted):
            return owns
        tasks = await self._list(accesses, task_jobs_target(accesses))
        if isinstance(tasks, Unlisted):
            return tasks
        own = {job.id.lower(): job for job in owns.jobs}
        of_workflow: dict[str, list[ListedJob]] = {}
        for job in tasks.jobs:
            of_workflow.setdefault((job.workflow_job_id or "").lower(), []).append(job)
        return {
            access: WorkflowLook(
                own.get(access.job_id.lower()),
                of_workflow.get(access.job_id.lower(), []),
                tasks.at,
            )
            for access in accesses
        }

    def _heard(self, accesses: Sequence[JobAccess]) -> Heard | None:
        """For the traces of those whose workflows these are."""
        if self._waits is None:
            return None
        return Heard(self._waits.serve(access.heard.trace for access in accesses))

    async def _list(self, accesses: Sequence[JobAccess], target: str) -> WorkflowLook | Unlisted:
        self.sent += 1
        with self._buffers.of(accesses[0].client) as held:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    reply = await self._upstream.request(
                        "GET",
                        target,
                        accesses[0].poll_fields,
                        purpose=Purpose.POLL,
                        max_bytes=max_response_bytes(len(accesses)),
                        make_room=held.grow,
                        heard=self._heard(accesses),
                    )
            except ResponseTooLarge:
                return Unlisted.TOO_MUCH
            except (GatewayError, TimeoutError):
                return Unlisted.FAILING
            understood = list_understood(reply.status, reply.content)
            if isinstance(understood, Unlisted):
                return understood
            jobs = parse_jobs(reply.content)
            if jobs is None:
                return Unlisted.TOO_MUCH
            return WorkflowLook(None, jobs, time_of(reply.fields, self._wall_clock))


def time_of(fields: Iterable[Field], wall_clock: Callable[[], float]) -> datetime:
    """The time of a response (RFC 9110, 6.6.1), by our own clock where it has none."""
    said = value(fields, b"date")
    try:
        moment = parsedate_to_datetime((said or b"").decode("latin-1"))
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(wall_clock(), UTC)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
