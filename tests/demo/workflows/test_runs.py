"""How a workflow's job goes on, as observed in each version."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.demo.cancellation import NotCancellableError, canceled_by
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.versions import Version
from gateway.demo.workflows.runs import NothingRunsError
from gateway.demo.workflows.workflow import Step
from tests.support.replay import until
from tests.support.workflows import (
    approved,
    asking,
    broken,
    chain,
    empty,
    end_next,
    fork,
    held,
    loop,
    made,
    strayed,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.demo.jobs import StoredJob, WorkflowJob
    from gateway.demo.workflows.workflow import Workflow

EACH = pytest.mark.parametrize("version", list(Version))
OLDER = (Version.ASYNC_ONLY, Version.FIRST_SYNC)
DONE = '{"state":"success","data":["x"]}\n'


@asynccontextmanager
async def started(
    workflow: Workflow, version: Version = Version.NEWEST, **options: Any
) -> AsyncIterator[tuple[Orchestrator, WorkflowJob]]:
    options = {"gap_seconds": 0.0, **options}
    async with Orchestrator.serving(workflows=[workflow], version=version, **options) as running:
        yield running, running.start(workflow.name)


def seen(run: WorkflowJob) -> tuple[str, str, str]:
    """Lifecycle, state and trigger of a workflow's job."""
    return run.lifecycle, run.state, run.ending.trigger_name if run.ending else ""


def steps(orchestrator: Orchestrator, run: WorkflowJob) -> list[str]:
    return [f"{job.task.name} {job.lifecycle}" for job in orchestrator.task_jobs(run)]


async def settled() -> None:
    """All that needs no more than the loop's next rounds has happened."""
    for _ in range(10):
        await asyncio.sleep(0)


@EACH
@pytest.mark.parametrize("wf_version", [None, 1, 2])
async def test_next_job_gets_the_output_and_is_there_after_the_gap(
    version: Version, wf_version: int | None
) -> None:
    second = chain(2, version=wf_version)
    async with started(second, version, gap_seconds=0.02) as (orchestrator, run):
        job = await end_next(orchestrator, run)
        assert steps(orchestrator, run) == ["step-0 finished"]
        await until(lambda: len(orchestrator.task_jobs(run)) == 2)
        assert [job.origin for job in orchestrator.task_jobs(run)] == ["user", "workflow"]
        assert all(job.run is run for job in orchestrator.task_jobs(run))
        assert job.session is orchestrator.task_jobs(run)[1].session


@EACH
async def test_workflows_job_ends_in_version_2_of_the_newest_only(version: Version) -> None:
    async with started(chain(2), version) as (orchestrator, run):
        is_newest = version is Version.NEWEST
        assert seen(run) == (("ready", "in_progress", "") if is_newest else ("", "unknown", ""))
        orchestrator.jobs.assign(orchestrator.task_jobs(run)[0])
        assert seen(run) == (("started", "in_progress", "") if is_newest else ("", "unknown", ""))
        await end_next(orchestrator, run)
        await end_next(orchestrator, run, "failure")
        await settled()
        ended = ("finished", "failure", "failure")
        assert seen(run) == (ended if is_newest else ("", "unknown", ""))
        assert (run.active_paths == 0) is is_newest


@pytest.mark.parametrize("wf_version", [None, 1])
async def test_older_workflow_of_the_newest_stays_started(wf_version: int | None) -> None:
    async with started(chain(1, version=wf_version)) as (orchestrator, run):
        await end_next(orchestrator, run)
        await settled()
        assert (seen(run), run.active_paths) == (("started", "in_progress", ""), 1)


async def test_killed_step_ends_the_workflow_as_it_ended() -> None:
    async with started(chain(2)) as (orchestrator, run):
        await end_next(orchestrator, run, "timeout", lifecycle="terminated")
        await settled()
        assert seen(run) == ("terminated", "timeout", "timeout")
        assert steps(orchestrator, run) == ["step-0 terminated"]


async def test_event_that_leads_nowhere_ends_the_workflow() -> None:
    other = chain(2, prints='{"state":"success","data":[],"event_name":"other"}\n')
    async with started(other) as (orchestrator, run):
        await settled()
        assert seen(run) == ("finished", "success", "other")
        assert steps(orchestrator, run) == ["step-0 finished"]


@EACH
async def test_branches_of_a_fork_run_side_by_side(version: Version) -> None:
    async with started(fork(), version) as (orchestrator, run):
        await end_next(orchestrator, run)
        await settled()
        assert steps(orchestrator, run) == ["root finished", "left ready", "right ready"]
        assert run.active_paths == (2 if version is Version.NEWEST else 1)
        await end_next(orchestrator, run)
        await settled()
        assert run.ending is None
        await end_next(orchestrator, run, "failure")
        await settled()
        expected = ("finished", "failure", "failure")
        assert seen(run) == (expected if version is Version.NEWEST else ("", "unknown", ""))


async def test_loop_runs_a_task_until_it_succeeds() -> None:
    async with started(loop()) as (orchestrator, run):
        for state in ("failure", "failure", "success", "success"):
            await end_next(orchestrator, run, state)
        await settled()
        names = [job.task.name for job in orchestrator.task_jobs(run)]
        assert (names, seen(run)[0]) == (["try", "try", "try", "done"], "finished")


@EACH
async def test_step_without_its_script_is_an_error_that_nothing_follows(version: Version) -> None:
    async with started(broken(), version) as (orchestrator, run):
        await end_next(orchestrator, run)
        await settled()
        gone = orchestrator.task_jobs(run)[1]
        assert gone.ending is not None
        assert (gone.lifecycle, gone.state, gone.ending.trigger_name) == ("terminated", "error", "")
        assert seen(run)[0] == ("started" if version is Version.NEWEST else "")


async def test_step_that_gets_too_few_arguments_is_an_error() -> None:
    workflow = chain(1)
    needs = asking().tasks[1]
    needs_one = made("needs", 9, start=needs)
    async with Orchestrator.serving(workflows=[workflow, needs_one]) as orchestrator:
        run = orchestrator.start("needs")
        (job,) = orchestrator.task_jobs(run)
        assert (job.lifecycle, job.state) == ("terminated", "error")


async def test_task_without_the_workflows_id_never_appears() -> None:
    async with started(strayed()) as (orchestrator, run):
        await end_next(orchestrator, run)
        await settled()
        assert steps(orchestrator, run) == ["kept finished"]
        (stray,) = [job for job in orchestrator.jobs if job.task.name == "stray"]
        assert (stray.run, stray.origin) == (None, "workflow")
        orchestrator.finish(stray.id)
        await settled()
        assert seen(run)[0] == "started"


async def test_empty_workflow_cannot_be_started() -> None:
    async with Orchestrator.serving(workflows=[empty()]) as orchestrator:
        with pytest.raises(ValueError, match="first task not found"):
            orchestrator.start("empty")


@pytest.mark.parametrize("workflow", [approved(), asking()])
async def test_step_that_needs_a_person_is_on_hold(workflow: Workflow) -> None:
    async with started(workflow) as (orchestrator, run):
        await end_next(orchestrator, run)
        await settled()
        assert orchestrator.task_jobs(run)[1].lifecycle == "onhold"
        assert seen(run)[0] == "started"


async def test_gap_is_held_open_until_released() -> None:
    async with started(chain(2)) as (orchestrator, run):
        orchestrator.runs.is_held = True
        await end_next(orchestrator, run)
        await until(lambda: orchestrator.runs.held == 1)
        assert steps(orchestrator, run) == ["step-0 finished"]
        orchestrator.runs.release()
        assert steps(orchestrator, run) == ["step-0 finished", "step-1 ready"]


@pytest.mark.virtual_time
async def test_tasks_that_print_walk_through_by_themselves() -> None:
    workflow = chain(5, prints=DONE, seconds=0.5)
    async with started(workflow, gap_seconds=0.02) as (orchestrator, run):
        await asyncio.sleep(0.4)
        assert steps(orchestrator, run) == ["step-0 assigned"]
        await asyncio.sleep(0.11)
        assert steps(orchestrator, run) == ["step-0 finished"]
        await asyncio.sleep(2.2)
        assert [job.state for job in orchestrator.task_jobs(run)] == ["success"] * 5
        assert seen(run) == ("finished", "success", "success")


@pytest.mark.parametrize(
    ("lifecycle", "becomes"), [("ready", "canceled"), ("assigned", "terminated")]
)
@EACH
async def test_cancelled_workflow_is_terminated_and_so_is_its_newest_job(
    version: Version, lifecycle: str, becomes: str
) -> None:
    async with started(chain(2), version) as (orchestrator, run):
        (job,) = orchestrator.task_jobs(run)
        orchestrator.jobs.move(job, lifecycle)
        orchestrator.runs.cancel(run, orchestrator.sessions.named("acme-admin"))
        assert seen(run)[:2] == ("terminated", "canceled")
        assert job.ending is not None
        trigger = "canceled" if version is Version.NEWEST else ""
        assert (job.lifecycle, job.ending.trigger_name) == (becomes, trigger)
        assert job.ending.output == (None,)
        orchestrator.finish(job.id)
        await settled()
        assert (job.state, steps(orchestrator, run)) == ("canceled", [f"step-0 {becomes}"])


async def test_workflow_cannot_be_cancelled_between_two_steps_nor_without_any() -> None:
    async with started(chain(2)) as (orchestrator, run):
        orchestrator.runs.is_held = True
        job = await end_next(orchestrator, run)
        admin = orchestrator.sessions.named("acme-admin")
        with pytest.raises(NotCancellableError, match='lifecycle "finished"'):
            orchestrator.runs.cancel(run, admin)
        orchestrator.remove(job.id)
        with pytest.raises(NothingRunsError):
            orchestrator.runs.cancel(run, admin)


async def test_other_branch_of_a_cancelled_fork_runs_on_and_its_end_is_the_workflows() -> None:
    async with started(fork()) as (orchestrator, run):
        await end_next(orchestrator, run)
        await settled()
        orchestrator.runs.cancel(run, orchestrator.sessions.named("acme-admin"))
        await settled()
        assert steps(orchestrator, run) == ["root finished", "left ready", "right canceled"]
        assert seen(run)[:2] == ("terminated", "canceled")
        await end_next(orchestrator, run)
        await settled()
        assert seen(run) == ("finished", "success", "success")


async def test_only_the_newest_ended_jobs_of_a_workflow_survive_with_their_task_jobs() -> None:
    workflow = chain(1, kept_runs=5)
    async with started(workflow, gap_seconds=60.0) as (orchestrator, running):
        ended: list[tuple[WorkflowJob, list[StoredJob]]] = []
        for _ in range(7):
            run = orchestrator.start("chain")
            ended.append((run, orchestrator.task_jobs(run)))
            await end_next(orchestrator, run)
        newest = orchestrator.start("chain")
        assert orchestrator.runs.of(workflow) == [running, *(run for run, _ in ended[2:]), newest]
        kept = {job.id for job in orchestrator.jobs}
        assert [jobs[0].id in kept for _, jobs in ended] == [False, False, *[True] * 5]


async def test_workflow_that_was_removed_does_not_move_on() -> None:
    workflow = chain(2)
    async with started(workflow) as (orchestrator, run):
        orchestrator.runs.is_held = True
        await end_next(orchestrator, run)
        await until(lambda: orchestrator.runs.held == 1)
        orchestrator.runs.remove_ended(workflow)
        orchestrator.runs.release()
        assert list(orchestrator.jobs) == []


@pytest.mark.parametrize("version", OLDER)
async def test_cancelling_an_ended_step_of_an_older_version_moves_the_workflow_on_again(
    version: Version,
) -> None:
    work, undo = chain(1).tasks[0], held("undo", 0x70)
    undone = made("undone", 8, Step(work, "canceled", undo), start=work)
    async with started(undone, version) as (orchestrator, run):
        job = await end_next(orchestrator, run)
        await settled()
        assert steps(orchestrator, run) == ["step-0 finished"]
        admin = orchestrator.sessions.named("acme-admin")
        ending = canceled_by(admin, version, job)
        assert ending is not None
        orchestrator.jobs.end(job, ending, again=True)
        await settled()
        assert steps(orchestrator, run) == ["step-0 finished", "undo ready"]
