"""What is learned of a job that was waited for and has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.protocols.theeye.job import Job
    from gateway.sync.looks.run_times import TaskKey


def task_of(job: Job) -> TaskKey | None:
    """The task whose run times the job's tell of."""
    return (job.customer_name, job.task_id) if job.task_id else None


class Lessons:
    """``learn`` is told the job's task, its id and for how many seconds it ran; ``ended`` its id,
    and when the last request began, in the clock's seconds, that did not find it ended."""

    def __init__(
        self,
        learn: Callable[[TaskKey, str, float], None],
        ended: Callable[[str, float], None] | None = None,
    ) -> None:
        self._learn = learn
        self._ended = ended

    def take(self, job: Job, unended_at: float) -> None:
        """Of a job that was seen before its end; one that was not says nothing about waits."""
        if self._ended is not None:
            self._ended(job.id, unended_at)
        seconds, task = job.run_seconds, task_of(job)
        if task is not None and seconds is not None:
            self._learn(task, job.id, seconds)
