"""How long nothing has happened in workflows, of which nothing but that tells that they have ended.

The upstream's times tell it at once, of one that ended before anybody asked here. They are those of
several clocks, which may differ: of the orchestrator that wrote a job, and of the one, or a proxy,
that dates the response. So where a workflow was seen to take a step, the time is taken from then,
by this process's own clock; and what the upstream's clocks say can make a wait no longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachetools import TTLCache

from gateway.sync.workflows.standing import silent_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.workflows.shared_lists import WorkflowLook

MAX_SEEN = 20_000
SEEN_SECONDS = 7200.0
"""More than the longest time to wait for: an hour."""


@dataclass(frozen=True, slots=True)
class _Seen:
    jobs: int
    """A hash of the task jobs and their lifecycles."""
    since: float
    took_step: bool
    """It was seen otherwise before."""


class Silences:
    """``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: TTLCache[tuple[bytes, str], _Seen] = TTLCache(MAX_SEEN, SEEN_SECONDS, clock)

    def seconds(self, access: JobAccess, look: WorkflowLook) -> float | None:
        """How long the workflow has been as it is seen; None where it has no task job."""
        jobs = hash(frozenset((job.id, job.lifecycle) for job in look.jobs))
        key = (access.batch_key, access.job_id.lower())
        seen = self._seen.get(key)
        if seen is None or seen.jobs != jobs:
            seen = self._seen[key] = _Seen(jobs, self._clock(), seen is not None)
        if not look.jobs:
            return None
        here = self._clock() - seen.since
        return here if seen.took_step else max(here, silent_seconds(look.jobs, look.at) or 0.0)
