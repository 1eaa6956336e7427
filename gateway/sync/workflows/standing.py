"""The rule that tells whether a workflow has ended, and which job's result is its own. Pure.

TheEye 4.4.3 and 4.6.0 never say that a workflow has ended; 4.15.3 says it of one of version 2 only.
*All task jobs ended* is not the end: the next job is created after the last one was saved (10 to
290 ms, observed), or when its task's grace time is over. So it is counted, with the graph: to begin
with there is one job of the first task, and each job that ended with an event is followed by one
job of each task behind the event.

    stage      what is there
    RUNNING    a task job that has not ended
    BETWEEN    all have ended, and the graph says that more will come
    SILENT     all have ended, and there is no graph that tells whether more will come
    ENDED      all have ended, and nothing can follow; or the workflow's own job says so

A job that was cut short by its workflow's cancellation, or whose script is gone, has no event
(``trigger_name``): nothing follows it, also where the workflow's own job stays started for ever.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from gateway.protocols.theeye.job_state import FINISHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sync.workflows.graph import Graph
    from gateway.sync.workflows.task_jobs import ListedJob


class Stage(Enum):
    """See the table of the module."""

    RUNNING = auto()
    BETWEEN = auto()
    SILENT = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Standing:
    stage: Stage
    running: ListedJob | None = None
    """The newest of the jobs that have not ended: the workflow does not end before it does."""
    last: ListedJob | None = None
    """The job whose result is the workflow's, if that has ended or does so now."""
    missing: tuple[str, ...] = ()
    """Tasks of which a job is still to come."""
    is_explained: bool = True
    """There is no job that the graph does not lead to."""


def standing(lifecycle: str | None, jobs: Sequence[ListedJob], graph: Graph | None) -> Standing:
    """Where a workflow stands; ``lifecycle`` is that of its own job, ``jobs`` are its tasks'."""
    last = _last(jobs, graph)
    if lifecycle in FINISHED:
        return Standing(Stage.ENDED, last=last)
    missing, is_explained = _compared(jobs, graph) if graph is not None else ((), True)
    running = [job for job in jobs if not job.has_ended]
    if running:
        newest = max(running, key=lambda job: job.id.lower())
        return Standing(Stage.RUNNING, newest, None, missing, is_explained)
    if graph is None:
        return Standing(Stage.SILENT, last=last)
    stage = Stage.BETWEEN if missing else Stage.ENDED
    return Standing(stage, None, last, missing, is_explained)


def silent_seconds(jobs: Sequence[ListedJob], now: datetime) -> float | None:
    """How long nothing has happened, by the upstream's clock; None where the jobs do not tell."""
    updates = [update for job in jobs if (update := _moment(job.last_update)) is not None]
    return (now - max(updates)) / timedelta(seconds=1) if updates else None


def _compared(jobs: Sequence[ListedJob], graph: Graph) -> tuple[tuple[str, ...], bool]:
    """The tasks of which a job is missing, and whether no job is there that none led to."""
    expected = Counter([graph.start] if graph.start else [])
    # By task and event, as there may be as many jobs as followers: thousands.
    ends = Counter(
        (job.task_id.lower(), job.trigger_name or "")
        for job in jobs
        if job.has_ended and job.task_id
    )
    for (task_id, event), times in ends.items():
        for follower in graph.after(task_id, event):
            expected[follower] += times
    there = Counter(job.task_id.lower() for job in jobs if job.task_id)
    missing = expected - there
    if jobs and expected[graph.start] == missing[graph.start] == 1:
        del missing[graph.start]  # it has begun: the first job was removed since
    return tuple(sorted(missing)), not there - expected


def _last(jobs: Sequence[ListedJob], graph: Graph | None) -> ListedJob | None:
    """The last ended one of those that nothing follows; of all where each is followed."""
    ended = [job for job in jobs if job.has_ended]
    final = [
        job
        for job in ended
        if graph is None or not graph.after(job.task_id or "", job.trigger_name or "")
    ]
    return max(final or ended, key=lambda job: (job.last_update or "", job.id), default=None)


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
