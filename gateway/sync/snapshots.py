"""What clients were shown of jobs that had not ended: between two requests of a wait, it saves a
read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachetools import TTLCache

from gateway.errors import Field
from gateway.sync.looks.lessons import task_of
from gateway.sync.responses import KnownJob
from gateway.sync.watch.state import LastSeen
from gateway.sync.workflows.waiting import Awaited, awaited

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.reader import Found

MAX_RESUMED = 20_000
RESUME_SECONDS = 4.0
"""How long after a request the client may come to wait on without the job being read again.
Shorter than hints are remembered."""

_Client = tuple[bytes, str, str, bytes | None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is kept of a job that had not ended when it was read, while the request is held and
    until the client's next comes. No token, and nothing of the job's content."""

    known: KnownJob
    last_seen: LastSeen
    fields: tuple[Field, ...]
    """What responses about the job carry of those that came with it."""
    awaited: Awaited | None = None
    """What a workflow waits for; None for a task's job."""

    def put_off(self) -> Snapshot:
        """The same, after a read that told nothing."""
        return self if self.awaited is None else replace(self, awaited=self.awaited.put_off())

    def has_stepped_since(self, before: Snapshot | None) -> bool:
        """True of a workflow in which something happened, so that it is not said in vain."""
        return before is not None and before.awaited is not self.awaited


class Snapshots:
    """Those of clients that are about to come again, by credentials, job and origin.

    ``may_resume`` tells whether what was seen is new enough; ``clock`` gives monotonic seconds.
    """

    def __init__(self, may_resume: Callable[[LastSeen], bool], clock: Callable[[], float]) -> None:
        self._may_resume = may_resume
        self._kept: TTLCache[_Client, Snapshot] = TTLCache(MAX_RESUMED, RESUME_SECONDS, clock)

    def of(self, access: JobAccess) -> Snapshot | None:
        """What the client saw in the request before, if that is enough to wait on at once: the
        watch goes on where it was, and will notice if its credentials are good no more."""
        snapshot = self._kept.get(_client(access))
        if snapshot is None or not self._may_resume(snapshot.last_seen):
            return None
        return snapshot

    def keep(self, access: JobAccess, snapshot: Snapshot) -> None:
        self._kept[_client(access)] = snapshot


def shown(found: Found, read_at: float, before: Snapshot | None) -> Snapshot:
    """What a client is shown by a read at ``read_at``, in the clock's seconds; ``before``: what it
    was shown by the one before."""
    job = found.job
    known = KnownJob(job.id, job.lifecycle or None, job.state or None)
    goes_on = awaited(found, read_at, before.awaited if before is not None else None)
    return Snapshot(known, LastSeen(read_at, task_of(job)), found.fields, goes_on)


def _client(access: JobAccess) -> _Client:
    """Equal for requests of one client, or of others with the same credentials, for one result: a
    workflow's is another than that of its own job."""
    return access.batch_key, access.job_id.lower(), access.workflow_id.lower(), access.origin
