"""What people do with jobs that are on hold."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.demo.orchestrator import Orchestrator
from tests.demo.workflows.test_routes import Caller
from tests.support.replay import until
from tests.support.workflows import APPROVER, approved, asking, end_next

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.demo.jobs import StoredJob


@asynccontextmanager
async def on_hold(name: str) -> AsyncIterator[tuple[Caller, StoredJob]]:
    """The second step of a workflow, which a person has to act on."""
    async with Orchestrator.serving(
        workflows=[approved(), asking()], gap_seconds=0.0
    ) as orchestrator:
        run = orchestrator.start(name)
        await end_next(orchestrator, run, "success", "given")
        await until(lambda: len(orchestrator.task_jobs(run)) == 2)
        yield Caller(orchestrator), orchestrator.task_jobs(run)[1]


@pytest.mark.parametrize(
    ("act", "state", "after"), [("approve", "success", "act"), ("reject", "failure", "drop")]
)
async def test_approver_decides_how_the_workflow_goes_on(act: str, state: str, after: str) -> None:
    async with on_hold("approved") as (call, job):
        assert await call("PUT", f"/acme/job/{job.id}/{act}", APPROVER) == (204, None)
        assert (job.lifecycle, job.state) == ("finished", state)
        run = job.run
        assert run is not None
        await until(lambda: len(call.orchestrator.task_jobs(run)) == 3)
        assert call.orchestrator.task_jobs(run)[2].task.name == after
        again = await call("PUT", f"/acme/job/{job.id}/{act}", APPROVER)
        assert again == (409, "approval request no longer available")


async def test_only_approvers_may_approve_and_only_approvals() -> None:
    async with on_hold("approved") as (call, job):
        refused = await call("PUT", f"/acme/job/{job.id}/approve", "acme-admin")
        assert refused == (403, "unauthorized approver")
        given = await call("PUT", f"/acme/job/{job.id}/input", APPROVER, {"args": []})
        assert given == (400, "job type not allowed. script and dummy")
    async with on_hold("asking") as (call, job):
        refused = await call("PUT", f"/acme/job/{job.id}/approve", APPROVER)
        assert refused == (400, "unexpected job type. only Approvals")


@pytest.mark.parametrize(
    ("body", "arguments"), [({"args": ["x", "dropped"]}, ("x",)), ({}, ()), ([1], ())]
)
async def test_job_runs_once_a_person_has_given_its_arguments(
    body: object, arguments: tuple[str, ...]
) -> None:
    async with on_hold("asking") as (call, job):
        assert (job.lifecycle, job.arguments) == ("onhold", ())
        status, shown = await call("PUT", f"/acme/job/{job.id}/input", body=body)
        assert (status, shown["lifecycle"], job.arguments) == (200, "ready", arguments)
        again = await call("PUT", f"/acme/job/{job.id}/input", body=body)
        assert again == (400, "only on hold jobs allowed")
