import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import ResponseTooLarge
from gateway.sync.jobs.access import JobAccess
from gateway.sync.jobs.reader import Failing, Found, Pending, Read, Refused, Unfinished
from gateway.sync.workflows.reader import SHOWN_SECONDS, by_kind
from tests.support.running_workflow import (
    OWN_ID,
    WORKFLOW_ID,
    A,
    B,
    C,
    RunningWorkflow,
    access,
    ended,
    labelled,
    moment,
    own_job,
    task_job,
    workflow_reader,
)
from tests.support.theeye import LOOKUP_FAILED

pytestmark = pytest.mark.virtual_time

CHAIN = labelled((A, "success", B), (B, "success", C))
GRAPH = f"/workflows/{WORKFLOW_ID}"
OWN = f"{GRAPH}/job/{OWN_ID}"
JOBS = f"{OWN}/jobs"
LISTS = ["/acme/job by id", "/acme/job of workflows"]


async def read(upstream: Any, max_bytes: Any = 100_000, output_only: Any = True) -> Any:
    return await workflow_reader(upstream, max_bytes).read(access(), output_only)


async def test_running_job_is_what_it_waits_for() -> None:
    upstream = RunningWorkflow(CHAIN, jobs=[ended(1, A), task_job(2, B)])
    found = await read(upstream)
    assert isinstance(found, Found)
    assert not found.job.is_finished
    assert found.pending == Pending("6b058e9a5b008b5bdfdf1002", B)
    assert upstream.paths() == [OWN, *LISTS, GRAPH]


async def test_client_that_was_shown_the_job_takes_two_lists_a_step() -> None:
    upstream = RunningWorkflow(CHAIN, jobs=[task_job(1, A)])
    workflows = workflow_reader(upstream)
    await workflows.read(access(), True)
    upstream.asked.clear()
    found = await workflows.read(access(), True)
    assert isinstance(found, Found)
    assert json.loads(found.job.raw) == {"id": OWN_ID, "lifecycle": None, "state": "unknown"}
    assert upstream.paths() == LISTS


async def test_clients_right_to_see_the_job_is_tried_again() -> None:
    upstream = RunningWorkflow(CHAIN, jobs=[task_job(1, A)])
    workflows = workflow_reader(upstream)
    await workflows.read(access(), True)
    await asyncio.sleep(SHOWN_SECONDS + 1)
    upstream.refused[OWN] = (401, b'"Unauthorized"')
    assert isinstance(await workflows.read(access(), True), Refused)


async def test_moment_between_two_jobs_is_not_the_end() -> None:
    upstream = RunningWorkflow(CHAIN, jobs=[ended(1, A)])
    found = await read(upstream)
    assert isinstance(found, Found)
    assert (found.job.is_finished, found.pending) == (False, Pending())


async def test_ended_workflow_has_the_result_of_its_last_job() -> None:
    jobs = [ended(1, A), ended(2, B), ended(3, C, output=["c"])]
    found = await read(RunningWorkflow(CHAIN, jobs=jobs))
    assert isinstance(found, Found)
    assert found.pending is None
    assert (found.job.id, found.job.state, json.loads(found.job.output)) == (
        OWN_ID,
        "success",
        ["c"],
    )
    assert json.loads(found.job.raw)["jobs"] == jobs


async def test_wait_goes_on_where_a_new_job_shows_up_at_the_last_look() -> None:
    upstream = RunningWorkflow(CHAIN, jobs=[ended(1, A, "failure")])
    upstream.refused[LISTS[1]] = (200, json.dumps([ended(1, A, "failure")]).encode())
    upstream.jobs.append(task_job(2, B))
    found = await read(upstream)
    assert isinstance(found, Found)
    assert found.pending == Pending("6b058e9a5b008b5bdfdf1002", B)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (404, b'{"statusCode":404,"message":"job not found"}'),
        (400, b'{"statusCode":400,"message":"Job does not belong to the Workflow"}'),
        (401, b'"Unauthorized"'),
    ],
)
async def test_job_that_is_none_of_the_workflow_is_refused_in_the_upstreams_words(
    status: Any, content: Any
) -> None:
    upstream = RunningWorkflow(CHAIN, refused={OWN: (status, content)})
    refused = await read(upstream)
    assert isinstance(refused, Refused)
    assert (refused.response.status, refused.response.content) == (status, content)
    assert upstream.paths() == [OWN]


async def test_job_of_another_organization_is_not_found() -> None:
    upstream = RunningWorkflow(CHAIN, own=own_job(customer_name="globex"))
    refused = await read(upstream)
    assert isinstance(refused, Refused)
    assert (refused.response.status, refused.is_ours) == (404, True)


async def test_job_that_was_removed_meanwhile_is_gone() -> None:
    upstream = RunningWorkflow(CHAIN, jobs=[task_job(1, A)])
    workflows = workflow_reader(upstream)
    await workflows.read(access(), True)
    upstream.own = own_job(id="6b058e9a5b008b5bdfdf03ff")
    refused = await workflows.read(access(), True)
    assert isinstance(refused, Refused)
    assert refused.is_gone


@pytest.mark.parametrize("path", [OWN, JOBS])
async def test_failing_upstream_says_nothing(path: Any) -> None:
    upstream = RunningWorkflow(CHAIN, jobs=[ended(1, A, "failure")], refused={path: (503, b"")})
    assert isinstance(await read(upstream), Failing)
    upstream.refused[path] = (0, b"")
    assert isinstance(await read(upstream), Failing)


@pytest.mark.parametrize("content", [b"{}", b'[{"id":1}]'])
async def test_task_jobs_that_cannot_be_read_say_nothing(content: Any) -> None:
    upstream = RunningWorkflow(CHAIN, jobs=[ended(1, A, "failure")], refused={JOBS: (200, content)})
    assert isinstance(await read(upstream), Failing)


async def test_last_job_that_ends_between_two_reads_is_the_result() -> None:
    upstream = RunningWorkflow(CHAIN, own=own_job(lifecycle="started", state="in_progress"))
    upstream.jobs = [ended(1, A, "failure", output=["wrong"]), task_job(2, C)]
    upstream.refused[LISTS[0]] = (400, b'"host is required"')

    def end(at: Any) -> None:
        at.jobs[1] = ended(2, C, output=["right"], last_update=moment(9))
        at.own = own_job(lifecycle="finished", state="success")

    class Ending(RunningWorkflow):
        async def request(self, *args: Any, **kwargs: Any) -> Any:
            said = await super().request(*args, **kwargs)
            if self.asked[-1][1] in {OWN, JOBS} and len(self.asked) > 2:
                end(self)
            return said

    found = await read(Ending(CHAIN, upstream.own, upstream.jobs, refused=upstream.refused))
    assert isinstance(found, Found)
    assert json.loads(found.job.output) == ["right"]


@pytest.mark.parametrize("length", [1, 300_000])
async def test_lone_surrogates_in_what_a_job_printed_keep_no_workflow_from_ending(
    length: Any,
) -> None:
    jobs = [ended(1, A, output=["\ud83d" * (length // 6 + 1)]), ended(2, B, "failure")]
    found = await read(RunningWorkflow(CHAIN, jobs=jobs), 10_000_000)
    assert isinstance(found, Found)
    assert (found.job.is_finished, found.job.state) == (True, "failure")


async def test_last_line_with_a_lone_surrogate_as_the_state_keeps_none_from_ending() -> None:
    jobs = [ended(1, A, "success"), ended(2, B, "failure", state="\ud83d")]
    found = await read(RunningWorkflow(CHAIN, jobs=jobs))
    assert isinstance(found, Found)
    assert (found.job.is_finished, found.job.state) == (True, "success")


async def test_client_that_was_shown_a_job_is_not_told_of_it_as_another_workflows() -> None:
    upstream = RunningWorkflow(CHAIN, jobs=[task_job(1, A)])
    workflows = workflow_reader(upstream)
    await workflows.read(access(), True)
    other = replace(access(), workflow_id="64f000000000000000000009")
    assert isinstance(await workflows.read(other, True), Refused)


@pytest.mark.parametrize("own", [own_job(), own_job(lifecycle="finished")])
async def test_lists_that_fail_lead_to_no_requests_of_each_client(own: dict[str, Any]) -> None:
    upstream = RunningWorkflow(CHAIN, own=own, jobs=[ended(1, A)], refused={LISTS[0]: (503, b"")})
    workflows = workflow_reader(upstream)
    first = await workflows.read(access(), True)
    if own.get("lifecycle") == "finished":
        assert isinstance(first, Failing)
    else:
        assert isinstance(first, Found)
        assert first.pending == Pending()
    assert isinstance(await workflows.read(access(), True), Failing)
    assert upstream.paths() == [OWN, LISTS[0], LISTS[0]]


@pytest.mark.parametrize("refusal", [(400, b'"host is required"'), (500, b"{}")])
async def test_token_without_lists_reads_the_workflows_own_routes(refusal: Any) -> None:
    upstream = RunningWorkflow(CHAIN, jobs=[task_job(1, A)], refused={LISTS[0]: refusal})
    found = await read(upstream)
    assert isinstance(found, Found)
    assert found.pending == Pending("6b058e9a5b008b5bdfdf1001", A)
    assert JOBS in upstream.paths()


async def test_graph_is_read_again_when_a_job_appears_that_it_does_not_explain() -> None:
    upstream = RunningWorkflow(labelled(), jobs=[task_job(1, A)])
    workflows = workflow_reader(upstream)
    await workflows.read(access(), True)
    upstream.workflow = CHAIN
    upstream.jobs = [ended(1, A), ended(2, B, last_update=moment(5.5))]
    await asyncio.sleep(6)
    upstream.asked.clear()
    found = await workflows.read(access(), True)
    assert isinstance(found, Found)
    assert found.pending == Pending()
    assert GRAPH in upstream.paths()


class TestWithoutTheGraph:
    def upstream(self, **members: Any) -> Any:
        return RunningWorkflow(
            CHAIN,
            own=own_job(**members),
            jobs=[ended(1, A), ended(2, B, output=["b"])],
            refused={GRAPH: (403, b'"Forbidden"')},
        )

    async def test_quiet_time_decides_and_the_state_says_so(self) -> None:
        upstream = self.upstream()
        workflows = workflow_reader(upstream)
        await asyncio.sleep(2.5)  # of which one second since the last update
        found = await workflows.read(access(), True)
        assert isinstance(found, Found)
        assert found.pending == Pending()
        await asyncio.sleep(1)
        found = await workflows.read(access(), True)
        assert isinstance(found, Found)
        assert (found.job.is_finished, found.job.state) == (True, "success")
        assert (found.job.shown_state, json.loads(found.job.output)) == ("presumed", ["b"])

    async def test_clock_that_is_ahead_ends_no_workflow_between_two_jobs(self) -> None:
        upstream = self.upstream()
        upstream.jobs = [task_job(1, A)]
        workflows = workflow_reader(upstream)
        await workflows.read(access(), True)
        upstream.jobs = [ended(1, A, last_update=moment(-7200))]
        await asyncio.sleep(1)
        for seconds, is_over in ((0, False), (1.9, False), (0.2, True)):
            await asyncio.sleep(seconds)
            found = await workflows.read(access(), True)
            assert isinstance(found, Found)
            assert found.job.is_finished is is_over

    async def test_clock_that_is_behind_makes_no_wait_longer(self) -> None:
        upstream = self.upstream()
        upstream.jobs = [ended(1, A, last_update=moment(7200))]
        workflows = workflow_reader(upstream)
        await workflows.read(access(), True)
        await asyncio.sleep(2.1)
        found = await workflows.read(access(), True)
        assert isinstance(found, Found)
        assert found.job.is_finished

    @pytest.mark.parametrize("failure", [(503, b""), (0, b""), (429, b""), (401, LOOKUP_FAILED)])
    async def test_graph_that_fails_for_a_while_is_waited_for(self, failure: Any) -> None:
        upstream = self.upstream()
        upstream.refused[GRAPH] = failure
        workflows = workflow_reader(upstream)
        for _ in range(3):
            found = await workflows.read(access(), True)
            assert isinstance(found, Found)
            assert not found.job.is_finished
            await asyncio.sleep(3)
        del upstream.refused[GRAPH]
        upstream.jobs.append(ended(3, C, output=["c"]))
        await asyncio.sleep(6)
        found = await workflows.read(access(), True)
        assert isinstance(found, Found)
        assert (found.job.shown_state, json.loads(found.job.output)) == ("success", ["c"])

    @pytest.mark.parametrize("said", [(200, b" " * 2_000_000), (404, b""), (200, b"{}")])
    async def test_graph_that_cannot_be_had_is_not(self, said: Any) -> None:
        upstream = self.upstream()
        upstream.refused[GRAPH] = said
        await asyncio.sleep(4)
        found = await read(upstream)
        assert isinstance(found, Found)
        assert found.job.shown_state == "presumed"

    async def test_own_job_that_has_ended_is_believed_at_once(self) -> None:
        found = await read(self.upstream(lifecycle="finished", state="success"))
        assert isinstance(found, Found)
        assert (found.job.is_finished, found.job.shown_state) == (True, "success")

    async def test_running_job_keeps_it_from_being_presumed(self) -> None:
        upstream = self.upstream()
        upstream.jobs.append(task_job(3, C))
        await asyncio.sleep(60)
        found = await read(upstream)
        assert isinstance(found, Found)
        assert not found.job.is_finished


class TestTaskThatCannotFollow:
    def upstream(self) -> Any:
        return RunningWorkflow(CHAIN, jobs=[ended(1, A, output=["a"])])

    async def test_ends_the_workflow_presumably_after_the_quiet_time(self) -> None:
        upstream = self.upstream()
        upstream.tasks[B] = {"id": B, "workflow_id": None}
        await asyncio.sleep(4)
        found = await read(upstream)
        assert isinstance(found, Found)
        assert (found.job.shown_state, json.loads(found.job.output)) == ("presumed", ["a"])

    async def test_is_waited_for_where_it_may(self) -> None:
        upstream = self.upstream()
        upstream.tasks[B] = {"id": B, "workflow_id": WORKFLOW_ID, "grace_time": 60}
        await asyncio.sleep(30)
        found = await read(upstream)
        assert isinstance(found, Found)
        assert not found.job.is_finished

    async def test_edited_graph_ends_it_for_sure(self) -> None:
        upstream = self.upstream()
        workflows = workflow_reader(upstream)
        await workflows.read(access(), True)
        upstream.workflow = labelled()
        await asyncio.sleep(8)
        found = await workflows.read(access(), True)
        assert isinstance(found, Found)
        assert (found.job.is_finished, found.job.shown_state) == (True, "success")


class TestTooLarge:
    JOBS = (ended(1, A, log="x" * 5000), ended(2, B, "failure", output=["b"]))

    async def test_output_of_the_last_job_is_read_by_itself(self) -> None:
        found = await read(RunningWorkflow(CHAIN, jobs=[*self.JOBS]), max_bytes=3000)
        assert isinstance(found, Found)
        assert (found.job.id, found.job.is_whole) == (OWN_ID, False)
        assert (found.job.state, json.loads(found.job.output)) == ("failure", ["b"])

    async def test_whole_is_refused_where_it_is_wanted(self) -> None:
        upstream = RunningWorkflow(CHAIN, jobs=[*self.JOBS])
        with pytest.raises(ResponseTooLarge):
            await read(upstream, max_bytes=3000, output_only=False)

    async def test_last_job_that_is_gone_is_gone(self) -> None:
        upstream = RunningWorkflow(CHAIN, jobs=[*self.JOBS])
        upstream.refused["/acme/job/6b058e9a5b008b5bdfdf1002"] = (404, b'"job not found"')
        assert isinstance(await read(upstream, max_bytes=3000), Refused)

    async def test_it_may_go_on_or_be_refused_or_fail_meanwhile(self) -> None:
        upstream = RunningWorkflow(CHAIN, jobs=[*self.JOBS])
        upstream.refused[LISTS[0]] = (500, b"{}")
        assert isinstance(await read(upstream, max_bytes=3000), Failing)
        upstream.refused = {OWN: (401, b'"Unauthorized"')}
        assert isinstance(await read(upstream, max_bytes=3000), Refused)


async def test_each_access_is_read_as_what_it_is_for() -> None:
    async def of_job(_access: JobAccess, _output_only: bool) -> Read:
        return Failing()

    async def of_workflow(_access: JobAccess, _output_only: bool) -> Read:
        return Unfinished()

    read_one = by_kind(of_job, of_workflow)
    assert await read_one(access(), True) == Unfinished()
    assert await read_one(access().of_job(OWN_ID), True) == Failing()
