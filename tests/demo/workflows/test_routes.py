"""What the recordings do not show of the routes of workflows."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from gateway.demo.sessions import GLOBEX
from gateway.demo.versions import Version
from tests.support.replay import ask, until
from tests.support.workflows import asking, chain, empty, end_next, made

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FOREIGN = made("foreign", 0xF0, start=chain(1).start, organization=GLOBEX)
HIDDEN = made("hidden", 0xF1, start=chain(1).start, access_list=("acme-viewer@acme.test",))
UNKNOWN = "64ff00000000000000000009"


class Caller:
    """Somebody who asks an orchestrator."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self.orchestrator = orchestrator

    async def __call__(
        self, method: str, path: str, by: str = "acme-user", body: Any = None
    ) -> tuple[int, Any]:
        """Status and content of the answer."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: demo", "Content-Type: application/json"]
        lines.append(f"Content-Length: {len(content)}")
        if by:
            lines.append(f"Authorization: Bearer {self.orchestrator.tokens[by]}")
        message = "\r\n".join([*lines, "", ""]).encode() + content
        response = await ask(self.orchestrator.url, message)
        return int(response.status_line.split()[1]), response.value


@asynccontextmanager
async def calling(version: Version = Version.NEWEST) -> AsyncIterator[Caller]:
    workflows = [chain(2, kept_runs=5), asking(), empty(), FOREIGN, HIDDEN]
    async with Orchestrator.serving(
        workflows=workflows, version=version, gap_seconds=0.0
    ) as orchestrator:
        yield Caller(orchestrator)


def at(call: Caller, name: str) -> str:
    return f"/workflows/{call.orchestrator.workflows[name].id}"


async def test_definition_has_graph_version_and_no_secret() -> None:
    async with calling() as call:
        status, found = await call("GET", at(call, "chain"))
        workflow = call.orchestrator.workflows["chain"]
        assert (status, found["graph"], found["version"]) == (200, workflow.graph(), 2)
        assert found["start_task_id"] == workflow.tasks[0].id
        assert "secret" not in found
        assert (await call("GET", at(call, "empty")))[1]["start_task_id"] is None
        assert call.orchestrator.requests == {Operation.WORKFLOW: 2}


async def test_older_definition_has_no_version() -> None:
    async with Orchestrator.serving(workflows=[chain(2, version=None)]) as orchestrator:
        call = Caller(orchestrator)
        _, found = await call("GET", at(call, "chain"))
        assert "version" not in found


@pytest.mark.parametrize(
    ("path", "by", "expected"),
    [
        ("hidden", "acme-viewer", (200, "hidden")),
        ("hidden", "acme-admin", (200, "hidden")),
        ("hidden", "acme-user", (403, "Forbidden")),
        ("chain", "globex-admin", (200, "chain")),
        ("foreign", "acme-manager", (403, "Forbidden")),
        (UNKNOWN, "acme-user", (404, "workflow not found")),
        ("xyz", "acme-user", (400, "workflow id is invalid")),
        ("chain", "", (401, "Unauthorized")),
    ],
)
async def test_who_may_read_the_graph(path: str, by: str, expected: tuple[int, str]) -> None:
    async with calling() as call:
        known = call.orchestrator.workflows.get(path)
        status, found = await call("GET", f"/workflows/{known.id if known else path}", by)
        assert (status, found["name"] if status == 200 else found) == expected


@pytest.mark.parametrize(
    ("name", "by", "expected"),
    [
        ("chain", "acme-viewer", (403, "forbidden")),
        ("foreign", "acme-user", (401, "forbidden")),
        ("chain", "globex-admin", (401, "forbidden")),
        ("hidden", "acme-user", (403, "Forbidden")),
        ("empty", "acme-user", (400, "workflow first task not found")),
    ],
)
async def test_start_is_refused(name: str, by: str, expected: tuple[int, str]) -> None:
    async with calling() as call:
        assert await call("POST", f"{at(call, name)}/job", by, []) == expected
        assert not list(call.orchestrator.jobs)


async def test_start_needs_the_arguments_of_the_first_task() -> None:
    needs = made("needs", 0xF2, start=asking().tasks[1])
    async with Orchestrator.serving(workflows=[needs]) as orchestrator:
        call = Caller(orchestrator)
        assert (await call("POST", f"{at(call, 'needs')}/job", body=[]))[0] == 400
        secret = needs.secret
        status, run = await call("POST", f"{at(call, 'needs')}/secret/{secret}/job", "", ["x"])
        assert (status, run["task_arguments_values"], run["user"]) == (200, ["x"], {})


async def test_jobs_are_found_by_their_workflow_job_in_lists() -> None:
    async with calling() as call:
        runs = [call.orchestrator.start("chain") for _ in range(3)]
        await end_next(call.orchestrator, runs[2])
        await until(lambda: len(call.orchestrator.task_jobs(runs[2])) == 2)
        query = "&".join(f"where[workflow_job_id][$in][]={run.id}" for run in runs[1:])
        _, found = await call("GET", f"/acme/job?{query}")
        assert [job["workflow_job_id"] for job in found] == [runs[1].id, *[runs[2].id] * 2]
        assert not {"output", "result", "task"} & found[0].keys()
        _, one = await call("GET", f"/acme/job?where[workflow_job_id]={runs[0].id}")
        _, runs_only = await call("GET", "/acme/job?where[_type]=WorkflowJob&sort[_id]=-1")
        assert len(one) == 1
        assert [run["id"] for run in runs_only] == [run.id for run in reversed(runs)]
        _, by_id = await call("GET", f"/acme/job?where[_id][$in][]={runs[0].id}")
        assert [(run["_type"], run["lifecycle"]) for run in by_id] == [("WorkflowJob", "ready")]


async def test_task_jobs_are_those_that_the_caller_may_see() -> None:
    async with calling() as call:
        run = call.orchestrator.start("chain", caller="acme-user")
        path = f"{at(call, 'chain')}/job/{run.id}"
        assert len((await call("GET", f"{path}/jobs", "acme-admin"))[1]) == 1
        assert await call("GET", f"{path}/jobs", "acme-manager") == (200, [])
        task_job = call.orchestrator.task_jobs(run)[0]
        _, read = await call("GET", f"{at(call, 'chain')}/job/{task_job.id}")
        assert (read["_type"], read["workflow_job_id"]) == ("ScriptJob", run.id)


@pytest.mark.parametrize(
    ("path", "by", "expected"),
    [
        ("/workflows/xyz/job/{run}", "acme-user", (400, "workflow invalid value")),
        ("{chain}/job/xyz", "acme-user", (400, "job invalid value")),
        ("{chain}/job/{run}", "globex-admin", (404, "workflow not found")),
        ("{asking}/job/{run}/jobs", "acme-user", (400, "Job does not belong to the Workflow")),
    ],
)
async def test_job_of_a_workflow_is_refused(path: str, by: str, expected: tuple[int, str]) -> None:
    async with calling() as call:
        run = call.orchestrator.start("chain")
        places = {"run": run.id, "chain": at(call, "chain"), "asking": at(call, "asking")}
        status, found = await call("GET", path.format(**places), by)
        assert (status, found["message"]) == expected


async def test_cancel_is_for_admins_and_needs_a_running_step() -> None:
    async with calling(Version.ASYNC_ONLY) as call:
        run = call.orchestrator.start("chain")
        path = f"{at(call, 'chain')}/job/{run.id}/cancel"
        job = call.orchestrator.task_jobs(run)[0]
        wrong = f"{at(call, 'chain')}/job/{job.id}/cancel"
        assert await call("PUT", path, "acme-user") == (403, "forbidden")
        assert (await call("PUT", path, "globex-admin"))[0] == 404
        assert await call("PUT", wrong, "acme-admin") == (400, "parent workflow job required")
        assert await call("PUT", path, "acme-admin") == (200, None)
        assert (run.lifecycle, run.state, job.lifecycle) == ("terminated", "canceled", "canceled")
        status, said = await call("PUT", path, "acme-admin")
        assert (status, said) == (
            500,
            'cannot cancel job. current state lifecycle "canceled" does not allow the transition',
        )


async def test_list_and_removal_of_a_workflows_jobs_are_for_admins() -> None:
    async with calling() as call:
        over, running = (call.orchestrator.start("chain") for _ in range(2))
        call.orchestrator.start("asking")
        call.orchestrator.runs.is_held = True
        await end_next(call.orchestrator, over)
        path = f"{at(call, 'chain')}/job"
        assert await call("GET", path) == (403, "forbidden")
        assert len((await call("GET", path, "acme-admin"))[1]) == 4
        assert await call("DELETE", path) == (403, "forbidden")
        assert await call("DELETE", path, "globex-admin") == (401, "forbidden")
        assert await call("DELETE", path, "acme-admin") == (202, {})
        _, left = await call("GET", path, "acme-admin")
        assert left[0]["id"] == running.id
        assert len(left) == 2


async def test_lifecycle_of_an_older_versions_workflow_job_is_nothing() -> None:
    async with calling(Version.FIRST_SYNC) as call:
        run = call.orchestrator.start("chain")
        assert await call("GET", f"/acme/job/{run.id}/lifecycle") == (200, None)
        assert await call("GET", f"/job/{run.id}/output") == (200, [])
        _, full = await call("GET", f"/acme/job/{run.id}")
        assert ("lifecycle" in full, full["state"]) == (False, "unknown")
