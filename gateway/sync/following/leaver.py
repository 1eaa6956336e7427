"""What is kept of a client that leaves a job behind, and of the job while it is followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.sync.jobs.access import JobAccess
from gateway.sync.kept.result_key import ResultKey
from gateway.sync.watch.state import LastSeen
from gateway.sync.workflows.waiting import Awaited

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True, slots=True)
class Leaver:
    """One client's interest in a job, as far as it outlives a request."""

    access: JobAccess
    holder: bytes | None
    """For whom the result is kept, None for nobody: then the job is not followed."""
    output_only: bool
    """The client takes nothing but the job's output."""


@dataclass(eq=False, slots=True)
class FollowedJob:
    """A job whose client has left."""

    key: ResultKey
    leaver: Leaver
    last_seen: LastSeen
    born: float
    """When the job was first waited for, and when it is given up, in the clock's seconds."""
    until: float
    awaited: Awaited | None = None
    """What a workflow waits for; None until it was read, and for a task's job."""
    timer: asyncio.TimerHandle | None = None
    """Until the client might have come again."""
    task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.task is not None:
            self.task.cancel()
