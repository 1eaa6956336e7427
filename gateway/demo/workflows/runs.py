"""The course of workflows: which job is created once another has ended, and when.

TheEye saves a job that has ended, publishes its event, and creates the next jobs when it has looked
the workflow up: for a while, 10 to 32 ms, none of the workflow's task jobs runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.demo.cancellation import canceled_with_its_workflow
from gateway.demo.delays import Delays
from gateway.demo.jobs import Ending, Jobs, StoredJob, WorkflowJob, strings
from gateway.demo.tasks import TaskKind
from gateway.demo.workflows.workflow import LABELLED

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.demo.sessions import Session
    from gateway.demo.tasks import Task
    from gateway.demo.versions import Version
    from gateway.demo.workflows.workflow import Workflow

GAP_SECONDS = 0.02
_GONE = "cannot create job. script is no longer available"
_TOO_FEW = "InvalidTaskArguments"


class NothingRunsError(Exception):
    """A workflow's job has no task job."""


class Runs:
    """Starts workflows and moves them on. ``take`` has a ready job run.

    ``gap_seconds`` lie between the end of a task job and the next ones, or the end of the
    workflow's job, and may be changed. With ``is_held`` set nothing moves on until released.
    """

    def __init__(
        self,
        jobs: Jobs,
        take: Callable[[StoredJob], None],
        version: Version,
        gap_seconds: float = GAP_SECONDS,
    ) -> None:
        self.gap_seconds = gap_seconds
        self.is_held = False
        self._jobs = jobs
        self._take = take
        self._version = version
        self._held: list[StoredJob] = []
        self._delays = Delays()

    @property
    def held(self) -> int:
        """How many ended task jobs would have moved their workflow on."""
        return len(self._held)

    def start(
        self, workflow: Workflow, session: Session | None, arguments: tuple[Any, ...]
    ) -> tuple[WorkflowJob, StoredJob]:
        """A workflow's new job and its first task job, which nobody has taken yet.

        Raises:
            ValueError: the workflow is empty.
            TooManyJobsError: no more jobs can be kept.
        """
        task = workflow.start
        if task is None:
            raise ValueError("workflow first task not found")
        known: dict[str, Any] = {"lifecycle": ""}
        if self._version.tells_of_workflows:
            earlier = [job.order for job in self.of(workflow)]
            order = max(earlier, default=-1) + 1
            known = {"lifecycle": "ready", "begins": "in_progress", "order": order}
        run = self._jobs.create_run(workflow, task, session, arguments, **known)
        first = self._created(run, task, arguments, run.origin)
        self._remove_exceeding(workflow)
        return run, first

    def of(self, workflow: Workflow) -> list[WorkflowJob]:
        """A workflow's jobs, oldest first."""
        return [job for job in self._jobs.family(workflow.id) if isinstance(job, WorkflowJob)]

    def assigned(self, job: StoredJob) -> None:
        """An agent has taken a job: its workflow has started."""
        run = job.run
        if run is not None and self._version.tells_of_workflows and run.ending is None:
            self._jobs.move(run, "started")

    def ended(self, job: StoredJob) -> None:
        """A job has ended: its workflow moves on in a while."""
        if job.run is None or job.ending is None or job.ending.is_silent:
            return
        self.assigned(job)
        self._delays.after(self.gap_seconds, lambda: self._due(job))

    def release(self) -> None:
        """Move on all that was held, and hold nothing more."""
        self.is_held = False
        held, self._held = self._held, []
        for job in held:
            self._move_on(job)

    def stop(self) -> None:
        """Nothing moves on any more."""
        self._delays.stop()

    def cancel(self, run: WorkflowJob, session: Session) -> None:
        """Cancels the newest task job, and calls the workflow's job terminated. Others run on.

        Raises:
            NothingRunsError: there is no task job.
            NotCancellableError: the newest one has ended.
        """
        task_jobs = self._jobs.family(run.id)
        if not task_jobs:
            raise NothingRunsError("Workflow is not in executing")
        newest = task_jobs[-1]
        ending = canceled_with_its_workflow(session, self._version, newest)
        self._jobs.end(newest, ending)
        canceled = Ending("canceled", lifecycle="terminated", is_silent=True)
        self._jobs.end(run, canceled, again=True, is_told=False)

    def resume(self, job: StoredJob, arguments: tuple[Any, ...]) -> None:
        """Let a job on hold run: a person has given its arguments."""
        job.arguments = arguments
        self._jobs.move(job, "ready")
        self._take(job)

    def remove_ended(self, workflow: Workflow) -> None:
        """Removes the workflow's jobs none of whose task jobs runs, with these."""
        for run in self.of(workflow):
            if self._is_over(run):
                self._remove(run)

    def _due(self, job: StoredJob) -> None:
        if self.is_held:
            self._held.append(job)
        else:
            self._move_on(job)

    def _move_on(self, job: StoredJob) -> None:
        run, ending = job.run, job.ending
        if run is None or ending is None or self._jobs.get(run.id) is None:
            return
        following = run.workflow.after(job.task, ending.trigger_name)
        if self._version.tells_of_workflows and run.workflow.version == LABELLED:
            run.active_paths += len(following) - 1
            if run.active_paths == 0:
                last = Ending(job.state, lifecycle=job.lifecycle, event=ending.trigger_name)
                self._jobs.end(run, last, again=True)
        for task in following:
            self._take(self._created(run, task, ending.output, "workflow"))

    def _created(
        self, run: WorkflowJob, task: Task, arguments: tuple[Any, ...], origin: str
    ) -> StoredJob:
        """A task job of the workflow, on hold where a person has to act, ended where it cannot be.

        One that lacks the workflow's id belongs to no run.
        """
        lifecycle, failure = "ready", ""
        if not task.has_script:
            arguments, failure = (), _GONE
        elif task.has_user_inputs and origin == "workflow":
            arguments, lifecycle = (), "onhold"
        elif len(arguments) < task.arguments:
            failure = _TOO_FEW
        elif task.kind is TaskKind.APPROVAL:
            lifecycle = "onhold"
        owner = None if task in run.workflow.strays else run
        job = self._jobs.create(
            task,
            run.session,
            arguments if failure else arguments[: task.arguments],
            lifecycle,
            run=owner,
            origin=origin,
        )
        if failure:
            (text,) = strings([[failure]])
            said = text[1:-1]
            self._jobs.end(
                job, Ending("error", (said,), {"log": said}, "terminated", is_silent=True)
            )
        return job

    def _remove_exceeding(self, workflow: Workflow) -> None:
        """As a new job of the workflow begins; those that run do not count."""
        runs = self.of(workflow)
        if len(runs) > workflow.kept_runs:
            over = [run for run in runs if self._is_over(run)]
            for run in over[: max(0, len(over) - workflow.kept_runs)]:
                self._remove(run)

    def _is_over(self, run: WorkflowJob) -> bool:
        """Whether all task jobs have ended, as TheEye has it: also between one and the next."""
        task_jobs = self._jobs.family(run.id)
        return bool(task_jobs) and all(job.ending is not None for job in task_jobs)

    def _remove(self, run: WorkflowJob) -> None:
        for job in self._jobs.family(run.id):
            self._jobs.remove(job.id)
        self._jobs.remove(run.id)
