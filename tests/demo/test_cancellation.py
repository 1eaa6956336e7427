"""What cancelling does in each version, as observed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.demo.orchestrator import Orchestrator
from gateway.demo.tasks import Task
from gateway.demo.versions import Version
from tests.support.replay import ask

if TYPE_CHECKING:
    from gateway.demo.jobs import StoredJob
    from tests.support.replay import Response

OLD = (Version.ASYNC_ONLY, Version.FIRST_SYNC)
FIXED = Task("fixed", "64ac0b46c06feba9b89ad7f0", is_cancellable=False)
LISTED = Task("held", "64ac0b46c06feba9b89ad79d", access_list=("acme-user@acme.test", "viewer"))


async def cancel(
    orchestrator: Orchestrator, job: StoredJob, caller: str = "acme-admin", path: str = "acme"
) -> Response:
    token = orchestrator.tokens[caller]
    line = f"PUT /{path}/job/{job.id}/cancel?access_token={token} HTTP/1.1"
    return await ask(orchestrator.url, f"{line}\r\nHost: demo\r\n\r\n".encode())


def status(response: Response) -> int:
    return int(response.status_line.split()[1])


@pytest.mark.parametrize(
    ("version", "lifecycle", "expected"),
    [
        *((Version.ASYNC_ONLY, lifecycle, ("finished", "canceled", "canceled")) for lifecycle in (
            "ready", "onhold", "syncing", "assigned", "finished",
        )),
        *((Version.FIRST_SYNC, lifecycle, ("finished", "success", "canceled")) for lifecycle in (
            "ready", "onhold", "syncing", "assigned", "finished",
        )),
        (Version.NEWEST, "ready", ("canceled", "canceled", "canceled")),
        (Version.NEWEST, "onhold", ("canceled", "canceled", "canceled")),
        (Version.NEWEST, "assigned", ("terminated", "canceled", "canceled")),
        (Version.NEWEST, "syncing", ("syncing", "in_progress", "")),
        (Version.NEWEST, "finished", ("finished", "success", "success")),
    ],
)  # fmt: skip
async def test_job_becomes_what_the_version_makes_of_it(
    version: Version, lifecycle: str, expected: tuple[str, str, str]
) -> None:
    async with Orchestrator.serving(version=version) as orchestrator:
        job = orchestrator.create("held")
        if lifecycle == "finished":
            orchestrator.finish(job.id, output=["done"])
        else:
            orchestrator.jobs.move(job, lifecycle)
        for _ in range(2):
            assert status(await cancel(orchestrator, job)) == 204
            trigger = job.ending.trigger_name if job.ending else ""
            assert (job.lifecycle, job.state, trigger) == expected
        if job.ending is not None and expected[2] == "canceled":
            assert '"username":"acme-admin"' in str(job.ending.output[0])
            assert job.ending.result["output"] == [job.ending.result["user"]]


@pytest.mark.parametrize("version", list(Version))
async def test_late_result_of_a_cancelled_job_is_ignored(version: Version) -> None:
    async with Orchestrator.serving(version=version) as orchestrator:
        job = orchestrator.create("held")
        orchestrator.jobs.assign(job)
        await cancel(orchestrator, job)
        before = job.ending
        orchestrator.finish(job.id, output=["late"])
        assert job.ending is before


@pytest.mark.parametrize(
    ("caller", "version", "expected"),
    [
        *(
            (f"acme-{name}", version, 204)
            for name in ("viewer", "user", "integration", "owner")
            for version in Version
        ),
        *((f"acme-{name}", version, 403) for name in ("manager", "agent") for version in OLD),
        ("acme-manager", Version.NEWEST, 204),
        ("acme-agent", Version.NEWEST, 204),
        ("globex-admin", Version.ASYNC_ONLY, 409),
        ("unknown", Version.NEWEST, 401),
    ],
)
async def test_who_may_cancel(caller: str, version: Version, expected: int) -> None:
    async with Orchestrator.serving(version=version, tasks=[LISTED]) as orchestrator:
        job = orchestrator.create("held")
        response = await cancel(orchestrator, job, caller)
        assert status(response) == expected
        assert (job.ending is not None) is (expected == 204)
        if expected == 403:
            assert response.value == "Forbidden"


@pytest.mark.parametrize("version", list(Version))
async def test_job_of_another_organization_is_cancelled(version: Version) -> None:
    async with Orchestrator.serving(version=version) as orchestrator:
        job = orchestrator.create("held")
        assert status(await cancel(orchestrator, job, "globex-admin", "globex")) == 204
        assert job.ending is not None


@pytest.mark.parametrize(("caller", "expected"), [("acme-user", 403), ("acme-admin", 204)])
async def test_task_that_cannot_be_cancelled_is_cancelled_by_an_admin_only(
    caller: str, expected: int
) -> None:
    async with Orchestrator.serving(tasks=[FIXED]) as orchestrator:
        response = await cancel(orchestrator, orchestrator.create("fixed"), caller)
        assert status(response) == expected
        if expected == 403:
            assert response.value == "Job is not cancellable"
