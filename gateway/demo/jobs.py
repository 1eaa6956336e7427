"""The jobs and their life: ready, assigned, ended, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from gateway.demo.sessions import Organization, Session
from gateway.demo.tasks import Task

MAX_JOBS = 20_000
WAITING_LIFECYCLES = frozenset({"ready", "onhold", "syncing", "locked"})
RUNNING_LIFECYCLES = WAITING_LIFECYCLES | {"started", "assigned"}


class TooManyJobsError(Exception):
    """So many jobs are unfinished that no more can be kept."""


_TRIGGERS = frozenset({"failure", "canceled", "timeout"})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended. ``state`` is whatever the agent says, as in 4.4.3."""

    state: str
    output: tuple[str, ...] = ()
    result: dict[str, Any] = field(default_factory=dict)
    lifecycle: str = "finished"
    event: str = ""
    """The job's ``trigger_name`` where that is not what follows from the state."""

    @property
    def trigger_name(self) -> str:
        """TheEye takes for a success what is in none of its own states."""
        return self.event or (self.state if self.state in _TRIGGERS else "success")


@dataclass(slots=True)
class StoredJob:
    id: str
    task: Task
    session: Session | None
    """Who created it; nobody where the task's secret did."""
    arguments: tuple[Any, ...]
    created: datetime
    updated: datetime
    lifecycle: str = "ready"
    ending: Ending | None = None

    @property
    def organization(self) -> Organization:
        """Its creator's, which the older create routes let differ from the task's."""
        return self.session.organization if self.session else self.task.organization

    @property
    def state(self) -> str:
        return self.ending.state if self.ending else "in_progress"


class Jobs:
    """All jobs, oldest first. Only the newest of a task survive, and those that still run.

    ``ended`` is told of each that ends.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        max_jobs: int = MAX_JOBS,
        ended: Callable[[StoredJob], None] | None = None,
    ) -> None:
        self._now = now
        self._ended = ended
        self._max_jobs = max_jobs
        self._jobs: dict[str, StoredJob] = {}
        self._by_task: dict[str, dict[str, StoredJob]] = {}
        self._count = 0

    def __iter__(self) -> Iterator[StoredJob]:
        return iter(self._jobs.values())

    def get(self, job_id: str) -> StoredJob | None:
        return self._jobs.get(job_id)

    def create(
        self,
        task: Task,
        session: Session | None,
        arguments: tuple[Any, ...],
        lifecycle: str = "ready",
    ) -> StoredJob:
        """A new job; an older finished one of its task may go for it. Raises TooManyJobsError."""
        if len(self._jobs) >= self._max_jobs:
            raise TooManyJobsError
        now = self._now()
        self._count += 1
        job_id = f"{int(now.timestamp()):08x}78d0df5c09{self._count % 0xFFFFFF:06x}"
        job = StoredJob(job_id, task, session, arguments, now, now, lifecycle)
        self._jobs[job_id] = job
        siblings = self._by_task.setdefault(task.id, {})
        siblings[job_id] = job
        self._remove_exceeding(siblings, task.kept_jobs)
        return job

    def assign(self, job: StoredJob) -> None:
        self._change(job, "assigned")

    def end(self, job: StoredJob, ending: Ending) -> None:
        """Ends a job. The first ending stays: a late result of a canceled job is ignored."""
        if job.ending is None:
            job.ending = ending
            self._change(job, ending.lifecycle)
            if self._ended is not None:
                self._ended(job)

    def remove(self, job_id: str) -> None:
        job = self._jobs.pop(job_id)
        del self._by_task[job.task.id][job_id]

    def _change(self, job: StoredJob, lifecycle: str) -> None:
        job.lifecycle = lifecycle
        job.updated = self._now()

    def _remove_exceeding(self, siblings: dict[str, StoredJob], kept: int) -> None:
        exceeding = len(siblings) - kept
        if exceeding > 0:
            oldest = islice(siblings.values(), exceeding)
            for job in [job for job in oldest if job.ending is not None]:
                self.remove(job.id)


def canceled_by(session: Session) -> Ending:
    """As 4.4.3 ends a canceled job: whoever canceled it is its output."""
    user = {"email": session.email, "id": session.user_id, "username": session.username}
    return Ending("canceled", strings([user]), {"user": user, "output": [user]})


def strings(values: Iterable[Any]) -> tuple[str, ...]:
    """Values as a job keeps them: strings as they are, the rest as JSON."""
    return tuple(
        value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in values
    )
