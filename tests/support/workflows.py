"""Workflows whose task jobs end when a test says so, or by themselves after a given time."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gateway.demo.tasks import Task, TaskKind
from gateway.demo.workflows.workflow import Step, Workflow
from tests.support.replay import until

if TYPE_CHECKING:
    from gateway.demo.jobs import StoredJob, WorkflowJob
    from gateway.demo.orchestrator import Orchestrator

APPROVER = "acme-user"
"""Who may approve; ``tokens`` and ``sessions`` know the name."""
_APPROVER_ID = "64b000000000000000000002"


def held(name: str, number: int, **options: Any) -> Task:
    """A task whose jobs end only when told to, unless ``prints`` says otherwise."""
    return Task(name, f"64ac0b46c06feba9b89ae{number:03x}", **options)


def made(name: str, number: int, *steps: Step, start: Task | None, **options: Any) -> Workflow:
    return Workflow(name, f"64af0b46c06feba9b89ae{number:03x}", start, steps, **options)


def chain(
    length: int, *, prints: str | None = None, seconds: float = 0.0, **options: Any
) -> Workflow:
    """``chain``: the tasks ``step-0`` … one after the other, each after the success of the last.

    With ``prints`` each ends by itself, ``seconds`` after it was created.
    """
    tasks = [held(f"step-{n}", n, prints=prints, seconds=seconds) for n in range(length)]
    steps = [Step(one, "success", other) for one, other in pairwise(tasks)]
    return made("chain", 0, *steps, start=tasks[0], **{"kept_runs": 1000, **options})


def fork(**options: Any) -> Workflow:
    """``fork``: after ``root`` both ``left`` and ``right``."""
    root, left, right = (held(name, 0x10 + n) for n, name in enumerate(("root", "left", "right")))
    steps = (Step(root, "success", left), Step(root, "success", right))
    return made("fork", 1, *steps, start=root, **options)


def loop(**options: Any) -> Workflow:
    """``loop``: ``try`` again after each failure, ``done`` after its success."""
    again, done = held("try", 0x20), held("done", 0x21)
    steps = (Step(again, "failure", again), Step(again, "success", done))
    return made("loop", 2, *steps, start=again, **options)


def approved(**options: Any) -> Workflow:
    """``approved``: after ``ask`` an approval, then ``act``, or ``drop`` where it is rejected."""
    ask, act, drop = held("ask", 0x30), held("act", 0x31), held("drop", 0x32)
    approve = held("approve", 0x33, kind=TaskKind.APPROVAL, approvers=(_APPROVER_ID,))
    steps = (
        Step(ask, "success", approve),
        Step(approve, "success", act),
        Step(approve, "failure", drop),
    )
    return made("approved", 3, *steps, start=ask, **options)


def asking(**options: Any) -> Workflow:
    """``asking``: after ``before``, ``after`` is on hold until a person gives its argument."""
    before, after = held("before", 0x40), held("after", 0x41, arguments=1, has_user_inputs=True)
    return made("asking", 4, Step(before, "success", after), start=before, **options)


def broken(**options: Any) -> Workflow:
    """``broken``: after ``whole`` comes a task whose script is gone."""
    whole, gone = held("whole", 0x50), held("gone", 0x51, has_script=False)
    return made("broken", 5, Step(whole, "success", gone), start=whole, **options)


def strayed(**options: Any) -> Workflow:
    """``strayed``: after ``kept`` comes a task that lacks the workflow's id."""
    kept, stray = held("kept", 0x60), held("stray", 0x61)
    step = Step(kept, "success", stray)
    return made("strayed", 6, step, start=kept, strays=(stray,), **options)


def empty(**options: Any) -> Workflow:
    """``empty``: no task at all."""
    return made("empty", 7, start=None, **options)


async def end_next(
    orchestrator: Orchestrator, run: WorkflowJob, state: str = "success", *output: Any, **how: Any
) -> StoredJob:
    """Ends the oldest task job that runs, once there is one; ``how`` is for ``finish``."""

    def running() -> list[StoredJob]:
        return [job for job in orchestrator.task_jobs(run) if job.ending is None]

    await until(lambda: bool(running()))
    job = running()[0]
    orchestrator.finish(job.id, state, output, **how)
    return job
