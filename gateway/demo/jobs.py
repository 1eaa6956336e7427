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
from gateway.demo.workflows.workflow import Workflow

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
    output: tuple[str | None, ...] = ()
    result: dict[str, Any] = field(default_factory=dict)
    lifecycle: str = "finished"
    event: str = ""
    """The job's ``trigger_name`` where that is not what follows from the state."""
    is_silent: bool = False
    """The job has no ``trigger_name``, and nothing follows it."""

    @property
    def trigger_name(self) -> str:
        """TheEye takes for a success what is in none of its own states. Empty where silent."""
        if self.is_silent:
            return ""
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
    run: WorkflowJob | None = None
    """The workflow's job that it belongs to."""
    origin: str = ""

    @property
    def organization(self) -> Organization:
        """Its creator's, which the older create routes let differ from the task's."""
        return self.session.organization if self.session else self.task.organization

    @property
    def state(self) -> str:
        return self.ending.state if self.ending else "in_progress"

    @property
    def access_list(self) -> tuple[str, ...]:
        return self.task.access_list if self.run is None else self.run.access_list

    @property
    def type_name(self) -> str:
        """TheEye's name of what it is: ``ScriptJob``."""
        return f"{self.task.kind.capitalize()}Job"

    @property
    def family(self) -> str:
        """The id of what its siblings have in common: the workflow's job, else the task."""
        return self.task.id if self.run is None else self.run.id


@dataclass(slots=True)
class WorkflowJob(StoredJob):
    """A workflow's job; ``task`` is the one that it starts with. Its lifecycle may be empty."""

    workflow: Workflow = field(kw_only=True)
    order: int = 0
    begins: str = "unknown"
    """Its state until it ends."""
    active_paths: int = 1

    @property
    def state(self) -> str:
        return self.ending.state if self.ending else self.begins

    @property
    def access_list(self) -> tuple[str, ...]:
        """The workflow's, and whoever started it."""
        given = self.workflow.access_list
        owner = self.session.email if self.session else ""
        return given if not owner or owner in given else (*given, owner)

    @property
    def type_name(self) -> str:
        return "WorkflowJob"

    @property
    def family(self) -> str:
        return self.workflow.id


class Jobs:
    """All jobs, oldest first. Only the newest of a task survive, and those that still run.

    ``assigned`` and ``ended`` are told of each that is taken by an agent, and that ends.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        max_jobs: int = MAX_JOBS,
        ended: Callable[[StoredJob], None] | None = None,
        assigned: Callable[[StoredJob], None] | None = None,
    ) -> None:
        self._now = now
        self._ended = ended
        self._assigned = assigned
        self._max_jobs = max_jobs
        self._jobs: dict[str, StoredJob] = {}
        self._families: dict[str, dict[str, StoredJob]] = {}
        self._count = 0

    def __iter__(self) -> Iterator[StoredJob]:
        return iter(self._jobs.values())

    def get(self, job_id: str) -> StoredJob | None:
        return self._jobs.get(job_id)

    def family(self, family: str) -> list[StoredJob]:
        """The jobs of a task that are no workflow's, the task jobs of a workflow's job, or the
        jobs of a workflow, oldest first."""
        return list(self._families.get(family, {}).values())

    def create(
        self,
        task: Task,
        session: Session | None,
        arguments: tuple[Any, ...],
        lifecycle: str = "ready",
        *,
        run: WorkflowJob | None = None,
        origin: str = "",
    ) -> StoredJob:
        """A new job; an older finished one of its task may go for it, where it is no workflow's.

        Raises TooManyJobsError.
        """
        now, job_id = self._new()
        origin = origin or ("user" if session else "secret")
        job = StoredJob(
            job_id, task, session, arguments, now, now, lifecycle, run=run, origin=origin
        )
        siblings = self._add(job)
        if run is None:
            self._remove_exceeding(siblings, task.kept_jobs)
        return job

    def create_run(
        self,
        workflow: Workflow,
        task: Task,
        session: Session | None,
        arguments: tuple[Any, ...],
        **known: Any,
    ) -> WorkflowJob:
        """A new job of a workflow that begins with ``task``. Raises TooManyJobsError."""
        now, job_id = self._new()
        origin = "user" if session else "secret"
        run = WorkflowJob(
            job_id, task, session, arguments, now, now, origin=origin, workflow=workflow, **known
        )
        self._add(run)
        return run

    def assign(self, job: StoredJob) -> None:
        self.move(job, "assigned")
        if self._assigned is not None:
            self._assigned(job)

    def move(self, job: StoredJob, lifecycle: str) -> None:
        """Change a job's lifecycle, and nothing else."""
        job.lifecycle = lifecycle
        job.updated = self._now()

    def end(
        self, job: StoredJob, ending: Ending, *, again: bool = False, is_told: bool = True
    ) -> None:
        """Ends a job. The first ending stays, a late result of a canceled job is ignored, unless
        it is to end ``again``."""
        if job.ending is None or again:
            job.ending = ending
            self.move(job, ending.lifecycle)
            if self._ended is not None and is_told:
                self._ended(job)

    def remove(self, job_id: str) -> None:
        job = self._jobs.pop(job_id)
        siblings = self._families[job.family]
        del siblings[job_id]
        if not siblings:
            del self._families[job.family]

    def _new(self) -> tuple[datetime, str]:
        if len(self._jobs) >= self._max_jobs:
            raise TooManyJobsError
        now = self._now()
        self._count += 1
        return now, f"{int(now.timestamp()):08x}78d0df5c09{self._count % 0xFFFFFF:06x}"

    def _add(self, job: StoredJob) -> dict[str, StoredJob]:
        """Keeps a job. Its siblings, itself among them."""
        self._jobs[job.id] = job
        siblings = self._families.setdefault(job.family, {})
        siblings[job.id] = job
        return siblings

    def _remove_exceeding(self, siblings: dict[str, StoredJob], kept: int) -> None:
        exceeding = len(siblings) - kept
        if exceeding > 0:
            oldest = islice(siblings.values(), exceeding)
            for job in [job for job in oldest if job.ending is not None]:
                self.remove(job.id)


def strings(values: Iterable[Any]) -> tuple[str, ...]:
    """Values as a job keeps them: strings as they are, the rest as JSON."""
    return tuple(
        value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in values
    )
