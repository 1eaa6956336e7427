"""A wait for a workflow: for its own job, which may tell of the end, and for the newest of its task
jobs that has not ended, before which the workflow cannot.

    a task job is running     wait for either
    the next is to come       wait for its own job, for a moment: then look again
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.sync.watch.state import LastSeen, Share, WaitVerdict
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from typing import Any

    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.reader import Found
    from gateway.sync.watch.state import HeldRequest
    from gateway.sync.watch.watcher import Watcher

FIRST_GAP_SECONDS = 0.05
LONGEST_GAP_SECONDS = 1.0
"""Times after which a workflow is looked at again whose next job is to come: TheEye took 10 to 290
ms to make it (observed)."""
_BY_WEIGHT = (WaitVerdict.ENDED, WaitVerdict.DRAINED, WaitVerdict.TIME_UP)


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a client's wait for a workflow waits for now."""

    job_id: str
    """A task's job that has not ended; empty where the next is to come."""
    last_seen: LastSeen
    """When the client was shown that job."""
    looks: int = 0
    """How often in a row no job was running."""

    @property
    def gap_seconds(self) -> float:
        """The time until the next look; infinite while a job is running."""
        if self.job_id:
            return float("inf")
        return min(FIRST_GAP_SECONDS * 2.0 ** min(self.looks, 10), LONGEST_GAP_SECONDS)

    def put_off(self) -> Awaited:
        """The same, after a look that told nothing."""
        return self if self.job_id else replace(self, looks=self.looks + 1)


def awaited(found: Found, read_at: float, before: Awaited | None) -> Awaited | None:
    """What to wait for after a read at ``read_at``, in the clock's seconds; None where it was not
    of a workflow. ``before``: what was waited for until then."""
    pending = found.pending
    if pending is None:
        return None
    if before is not None and before.job_id == pending.job_id:
        return before.put_off()
    task = (found.job.customer_name, pending.task_id) if pending.task_id else None
    return Awaited(pending.job_id, LastSeen(read_at, task))


async def wait_for(
    watcher: Watcher,
    access: JobAccess,
    awaited: Awaited | None,
    seconds: float,
    *,
    waited_seconds: float,
    last_seen: LastSeen | None,
    false_alarms: int,
    for_client: bool = True,
    request: HeldRequest | None = None,
) -> WaitVerdict:
    """Wait as ``Watcher.wait``, for a job, or for a workflow with what is ``awaited`` of it. Who
    was not shown the job waits by itself. A client counts once, and the gaps between two looks at a
    workflow count for nothing."""
    gap_seconds = awaited.gap_seconds if awaited is not None else float("inf")
    own = watcher.wait(
        access.of_job(access.job_id) if access.workflow_id else access,
        min(seconds, gap_seconds),
        waited_seconds=waited_seconds,
        private=last_seen is None,
        last_seen=last_seen,
        false_alarms=false_alarms,
        for_client=for_client,
        share=Share.ALL if awaited is None else Share.FIRST,
        request=request,
    )
    if awaited is None:
        return await own
    if awaited.job_id:
        task = watcher.wait(
            access.of_job(awaited.job_id),
            seconds,
            last_seen=awaited.last_seen,
            false_alarms=false_alarms,
            for_client=for_client,
            share=Share.FURTHER,
        )
        verdict = await first_verdict([own, task])
    else:
        verdict = await own
        if verdict is WaitVerdict.TIME_UP and gap_seconds < seconds:
            return WaitVerdict.ENDED
    if for_client:
        watcher.count(verdict)
    return verdict


async def first_verdict(waits: Sequence[Coroutine[Any, Any, WaitVerdict]]) -> WaitVerdict:
    """The verdict of the first wait that ends; the others are given up."""
    tasks = Tasks()
    waiting = [tasks.spawn(wait, name="wait for a part of a workflow") for wait in waits]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        verdicts = {task.result() for task in done}
        return next(verdict for verdict in _BY_WEIGHT if verdict in verdicts)
    finally:
        await tasks.aclose()
