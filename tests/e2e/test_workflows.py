"""Workflows that are waited for, in every version of TheEye, by curl and real sockets."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config.timing import USUAL, Timing
from gateway.demo.jobs import WorkflowJob
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from gateway.demo.versions import Version
from tests.support.harness import (
    Shown,
    curl,
    gateway_timed,
    nameless,
)
from tests.support.replay import until
from tests.support.workflows import (
    approved,
    broken,
    chain,
    empty,
    end_next,
    fork,
    loop,
    strayed,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from gateway.demo.jobs import StoredJob
    from gateway.demo.workflows.workflow import Workflow
    from gateway.server.server import Server

EACH = pytest.mark.parametrize("version", list(Version))
DONE = '{"state":"success","data":["{\\"n\\":1}"]}\n'


class Running:
    """A gateway before an orchestrator with one workflow."""

    def __init__(self, orchestrator: Orchestrator, server: Server, workflow: Workflow) -> None:
        self.orchestrator = orchestrator
        self.server = server
        self.workflow = workflow

    @property
    def runs(self) -> list[WorkflowJob]:
        """The workflow's jobs."""
        jobs = self.orchestrator.jobs.family(self.workflow.id)
        return [job for job in jobs if isinstance(job, WorkflowJob)]

    @property
    def run(self) -> WorkflowJob:
        """Its only job."""
        (run,) = self.runs
        return run

    async def started(self) -> WorkflowJob:
        await until(lambda: bool(self.runs))
        return self.run

    async def end(self, state: str = "success", *output: Any, **how: Any) -> StoredJob:
        """Ends the next of its task jobs."""
        return await end_next(self.orchestrator, await self.started(), state, *output, **how)

    async def create(self, query: str = "", *fields: str, caller: str = "acme-user") -> Shown:
        """The first response to a request that creates it."""
        return (await self.curl(f"job?{query}", "--data", "[]", *fields, caller=caller))[0]

    async def waited(self, query: str = "timeout=20") -> Shown:
        """The last response to a request that creates it and follows redirects."""
        target = f"job?wait_result=true&{query}"
        return (await self.curl(target, "--location", "--data", "[]"))[-1]

    async def curl(self, path: str, *options: str, caller: str = "acme-user") -> list[Shown]:
        token = f"Authorization: Bearer {self.orchestrator.tokens[caller]}"
        content = ("--header", "Content-Type: application/json") if "--data" in options else ()
        target = f"{self.server.url}/workflows/{self.workflow.id}/{path}"
        return await curl("--header", token, *content, *options, target)


@asynccontextmanager
async def running(
    workflow: Workflow,
    version: Version = Version.NEWEST,
    others: Sequence[Workflow] = (),
    timing: Timing = USUAL,
    **sync: Any,
) -> AsyncIterator[Running]:
    """A gateway before an orchestrator with the workflow."""
    options: dict[str, Any] = {
        "workflows": [workflow, *others],
        "version": version,
        "gap_seconds": 0.02,
    }
    async with (
        Orchestrator.serving(**options) as orchestrator,
        gateway_timed(timing, orchestrator.url, sync=sync) as server,
    ):
        yield Running(orchestrator, server, workflow)


@EACH
async def test_chain_of_five_is_waited_for_through_redirects(version: Version) -> None:
    async with running(chain(5, prints=DONE), version) as wf:
        responses = await wf.curl(
            "job?wait_result=true&parse&timeout=20", "--location", "--data", "[]"
        )
        assert [shown.status for shown in responses] == [303, 200]
        assert nameless(responses[0]["Location"]) == (
            f"/workflows/{wf.workflow.id}/job/{wf.run.id}/result"
            "?wait_result=true&parse&timeout=20&counter=0&limit=10"
        )
        assert json.loads(responses[-1].content) == {"n": 1}
        assert responses[-1]["X-TheEye-Job-State"] == "success"
        assert responses[-1]["X-TheEye-Job-Id"] == wf.run.id
        assert len(wf.orchestrator.task_jobs(wf.run)) == 5


@EACH
async def test_chain_is_the_response_to_the_creating_request_with_prefer(version: Version) -> None:
    async with running(chain(5, prints=DONE), version) as wf:
        shown = await wf.create("parse", "--header", "Prefer: wait=20")
        assert (shown.status, json.loads(shown.content)) == (200, {"n": 1})
        assert shown["Preference-Applied"] == "wait=20"
        assert shown["Content-Location"].startswith(f"/workflows/{wf.workflow.id}/job/{wf.run.id}/")


@EACH
async def test_failure_in_the_middle_is_the_result(version: Version) -> None:
    async with running(chain(5), version) as wf, asyncio.TaskGroup() as group:
        waiting = group.create_task(wf.waited("output&timeout=20"))
        await wf.end()
        await wf.end()
        await wf.end("failure", "why")
        shown = await waiting
        assert (shown.status, json.loads(shown.content)) == (500, ["why"])
        assert shown["X-TheEye-Job-State"] == "failure"


@EACH
async def test_moment_between_two_jobs_is_not_the_end(version: Version) -> None:
    async with running(chain(2), version) as wf, asyncio.TaskGroup() as group:
        wf.orchestrator.runs.is_held = True
        waiting = group.create_task(wf.waited())
        await wf.end("success", "first")
        await until(lambda: bool(wf.orchestrator.runs.held))
        before = wf.orchestrator.requests[Operation.LIST]
        await until(lambda: wf.orchestrator.requests[Operation.LIST] >= before + 4)
        assert not waiting.done()
        wf.orchestrator.runs.release()
        wf.orchestrator.runs.is_held = False
        await wf.end("success", "second")
        assert json.loads((await waiting).content) == ["second"]


@EACH
async def test_fork_ends_with_the_last_of_its_branches(version: Version) -> None:
    async with running(fork(), version) as wf, asyncio.TaskGroup() as group:
        waiting = group.create_task(wf.waited())
        await wf.end()
        await wf.end("success", "one")
        await wf.end("success", "other")
        assert json.loads((await waiting).content) == ["other"]


@EACH
async def test_loop_is_followed_until_it_is_left(version: Version) -> None:
    async with running(loop(), version) as wf, asyncio.TaskGroup() as group:
        waiting = group.create_task(wf.waited())
        await wf.end("failure")
        await wf.end("failure")
        await wf.end("success")
        await wf.end("success", "done")
        shown = await waiting
        assert (shown.status, json.loads(shown.content)) == (200, ["done"])


@EACH
async def test_script_that_is_gone_ends_it_though_its_own_job_stays_started(
    version: Version,
) -> None:
    async with running(broken(), version) as wf, asyncio.TaskGroup() as group:
        waiting = group.create_task(wf.waited())
        await wf.end()
        shown = await waiting
        assert (shown.status, shown["X-TheEye-Job-State"]) == (500, "error")


@EACH
async def test_killed_job_ends_it(version: Version) -> None:
    async with running(chain(2), version) as wf, asyncio.TaskGroup() as group:
        waiting = group.create_task(wf.waited())
        await wf.end("timeout", lifecycle="terminated")
        shown = await waiting
        assert (shown.status, shown["X-TheEye-Job-State"]) == (500, "timeout")


@EACH
async def test_approval_is_waited_for(version: Version) -> None:
    async with running(approved(), version) as wf, asyncio.TaskGroup() as group:
        waiting = group.create_task(wf.waited())
        await wf.end()
        await until(lambda: len(wf.orchestrator.task_jobs(wf.run)) == 2)
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await wf.end("success")
        await wf.end("success", "acted")
        assert json.loads((await waiting).content) == ["acted"]


@EACH
async def test_canceled_workflow_is_told_to_all_who_wait(version: Version) -> None:
    async with running(chain(2), version) as wf, asyncio.TaskGroup() as group:
        waiting = group.create_task(wf.waited())
        run = await wf.started()
        await until(lambda: wf.orchestrator.requests[Operation.LIST] >= 2)
        (canceled,) = await wf.curl(
            f"job/{run.id}/result", "--request", "DELETE", caller="acme-admin"
        )
        assert canceled.status == 202
        shown = await waiting
        assert (shown.status, shown["X-TheEye-Job-State"]) == (500, "canceled")


async def test_ended_workflow_is_not_canceled() -> None:
    async with running(chain(1, prints=DONE), Version.ASYNC_ONLY) as wf:
        await wf.waited()
        before = wf.orchestrator.requests[Operation.CANCEL]
        (refused,) = await wf.curl(
            f"job/{wf.run.id}/result", "--request", "DELETE", caller="acme-admin"
        )
        assert refused.status == 409
        assert refused["Location"].startswith(f"/workflows/{wf.workflow.id}/job/{wf.run.id}/result")
        assert wf.orchestrator.requests[Operation.CANCEL] == before


@EACH
async def test_task_without_the_workflows_id_makes_the_end_presumed(version: Version) -> None:
    async with (
        running(strayed(), version, workflow_quiet_seconds=0.5) as wf,
        asyncio.TaskGroup() as group,
    ):
        waiting = group.create_task(wf.waited())
        await wf.end("success", "kept")
        shown = await waiting
        assert (shown.status, json.loads(shown.content)) == (200, ["kept"])
        assert shown["X-TheEye-Job-State"] == "presumed"
        (refused,) = await wf.curl(f"job/{wf.run.id}/result", "--request", "DELETE")
        assert (refused.status, refused["X-TheEye-Job-State"]) == (409, "presumed")


@EACH
async def test_empty_workflow_makes_no_job_and_no_wait(version: Version) -> None:
    async with running(empty(), version) as wf:
        shown = await wf.create("wait_result=true")
        assert shown.status >= 400
        assert shown.all("Location") == []


@EACH
async def test_full_is_the_workflows_job_with_its_task_jobs(version: Version) -> None:
    async with running(chain(3, prints=DONE), version) as wf:
        shown = await wf.waited("full&timeout=20")
        body = json.loads(shown.content)
        assert (body["id"], body["_type"]) == (wf.run.id, "WorkflowJob")
        assert [job["task_id"] for job in body["jobs"]] == [
            job.task.id for job in wf.orchestrator.task_jobs(wf.run)
        ]


async def test_wait_asked_in_the_body_is_one() -> None:
    async with running(chain(1, prints=DONE)) as wf:
        content = '{"wait_result":true,"task_arguments":[]}'
        (shown,) = await wf.curl("job", "--data", content)
        assert shown.status == 303
        assert shown["Location"].startswith(f"/workflows/{wf.workflow.id}/job/")


async def test_repeated_idempotency_key_starts_one_workflow() -> None:
    async with running(chain(2, prints=DONE)) as wf:
        key = ("--header", 'Idempotency-Key: "one"', "--header", "Prefer: wait=20")
        first, second = [await wf.create("", *key) for _ in range(2)]
        assert first.status == second.status == 200
        assert second["Idempotent-Replayed"] == "true"
        assert first["X-TheEye-Job-Id"] == second["X-TheEye-Job-Id"]
        assert len(wf.runs) == 1


@EACH
async def test_result_is_kept_of_a_workflow_whose_client_did_not_wait(version: Version) -> None:
    async with running(chain(2, prints=DONE), version) as wf:
        created = await wf.create("parse", "--header", "Prefer: respond-async")
        assert created.status == 202
        results = wf.server._gateway._sync.results
        await until(lambda: (stats := results.stats()) is not None and stats.entries == 1)
        run = wf.run
        for job_id in (*(one.id for one in wf.orchestrator.task_jobs(run)), run.id):
            wf.orchestrator.remove(job_id)
        shown = (await wf.curl(f"job/{run.id}/result?parse"))[0]
        assert (shown.status, json.loads(shown.content)) == (200, {"n": 1})


async def test_repeated_key_of_a_workflow_that_was_removed_leads_to_its_kept_result() -> None:
    workflow = chain(1, prints=DONE, kept_runs=1)
    async with running(workflow, timing=Timing(fresh_seconds=0)) as wf:
        key = ("--header", 'Idempotency-Key: "one"', "--header", "Prefer: wait=20")
        first = await wf.create("parse", *key)
        for _ in range(3):
            await wf.create("parse", "--header", "Prefer: wait=20")
        again = await wf.create("parse", *key)
        assert first["X-TheEye-Job-Id"] not in {run.id for run in wf.runs}
        assert (again.status, again.content) == (first.status, first.content) == (200, b'{"n":1}')


async def test_other_organizations_workflow_is_not_seen() -> None:
    async with running(chain(1, prints=DONE)) as wf:
        await wf.waited()
        mine = (await wf.curl(f"job/{wf.run.id}/result"))[0]
        theirs = (await wf.curl(f"job/{wf.run.id}/result", caller="globex-admin"))[0]
        assert (mine.status, theirs.status) == (200, 404)
        assert b"success" not in theirs.content


async def test_job_of_another_workflow_is_refused_in_the_upstreams_words() -> None:
    async with running(chain(1, prints=DONE), others=[loop()]) as wf:
        other = wf.orchestrator.start("loop")
        (shown,) = await wf.curl(f"job/{other.id}/result")
        assert shown.status == 400
        assert json.loads(shown.content)["message"] == "Job does not belong to the Workflow"


@EACH
async def test_result_is_kept_of_a_workflow_whose_client_has_left(version: Version) -> None:
    soon = Timing(return_seconds=0.0)
    async with running(chain(2), version, timing=soon) as wf:
        shown = await wf.create("", "--header", "Prefer: respond-async")
        assert shown.status == 202
        run = wf.run
        await wf.end()
        await wf.end("success", "kept")
        results = wf.server._gateway._sync.results
        await until(lambda: (stats := results.stats()) is not None and stats.entries == 1)
        for job in wf.orchestrator.task_jobs(run):
            wf.orchestrator.remove(job.id)
        wf.orchestrator.remove(run.id)
        (found,) = await wf.curl(f"job/{run.id}/result")
        assert (found.status, json.loads(found.content)) == (200, ["kept"])
        (own,) = await curl(
            "--header",
            f"Authorization: Bearer {wf.orchestrator.tokens['acme-user']}",
            f"{wf.server.url}/job/{run.id}/result",
        )
        assert own.status == 404


async def test_client_that_waits_for_a_workflow_counts_once() -> None:
    async with running(chain(2)) as wf, asyncio.TaskGroup() as group:
        waiting = group.create_task(wf.waited())
        watcher = wf.server._gateway._sync.watcher
        await until(lambda: watcher.stats().watches == 2)
        assert watcher.stats().waiters == 1
        await wf.end()
        await wf.end()
        assert (await waiting).status == 200
