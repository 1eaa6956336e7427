"""A thousand workflows of one organization at once: what the upstream is asked, on virtual time."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from gateway.config import SyncConfig
from gateway.sync.jobs.reader import Found
from gateway.sync.looks.lessons import task_of
from gateway.sync.watch.state import LastSeen, WaitVerdict
from gateway.sync.watch.watcher import Watcher
from gateway.sync.workflows.waiting import Awaited, awaited, wait_for
from gateway.upstream.messages.messages import Purpose
from tests.support.running_workflow import (
    FIELDS,
    WORKFLOW_ID,
    A,
    B,
    access,
    ended,
    labelled,
    own_job,
    task_job,
    workflow_reader,
)
from tests.support.theeye import orchestrator, reply
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.errors import Field
    from gateway.sync.jobs.access import JobAccess
    from gateway.upstream.messages.messages import Heard, UpstreamResponse

pytestmark = pytest.mark.virtual_time
FIRST_ENDS, LAST_ENDS = 20.0, 40.0


class ManyWorkflows:
    """So many workflows of two tasks that begin and end together."""

    def __init__(self, count: int) -> None:
        self.ids = [f"6b058e9a5b008b5bdf{number:06x}" for number in range(count)]
        self.asked: Counter[str] = Counter()
        self._kept: dict[int, dict[str, dict[str, Any]]] = {}

    async def request(
        self,
        method: str,
        target: str,
        fields: Sequence[Field],
        content: bytes = b"",
        *,
        purpose: Purpose,
        max_bytes: int,
        make_room: Any = None,
        heard: Heard | None = None,
    ) -> UpstreamResponse:
        assert (method, content) == ("GET", b"")
        assert fields[0] == (b"Accept", b"application/json")
        assert purpose is not Purpose.CREATE
        assert (make_room, max_bytes) != (None, 0)
        await asyncio.sleep(0.005)
        if heard is not None:
            heard.note(200, 0.005)
        path, _, query = unquote(target).partition("?")
        kind, found = self._found(path, query)
        self.asked[kind] += 1
        return reply(json.dumps(found).encode())

    def _found(self, path: str, query: str) -> tuple[str, object]:
        if path == f"/workflows/{WORKFLOW_ID}":
            return "graph", labelled((A, "success", B))
        if path == "/acme/job":
            return self._listed(query)
        job_id = path.split("/")[4]
        if path.endswith("/jobs"):
            return "in full", self._jobs(job_id)
        return "own", own_job(id=job_id)

    def _listed(self, query: str) -> tuple[str, object]:
        ids = set(re.findall("[0-9a-f]{24}", query))
        every = self._every((now() >= FIRST_ENDS) + (now() >= LAST_ENDS))
        if "workflow_job_id" in query:
            kind, found = "task jobs", [job for one in ids for job in self._jobs(one)]
        elif "$gte" in query:
            oldest, newest = min(ids), max(ids)
            kind, found = "range", [job for one, job in every.items() if oldest <= one <= newest]
        else:
            kind, found = "by id", [every[one] for one in ids if one in every]
        if "lifecycle" in query:
            found = [job for job in found if job.get("lifecycle") == "finished"]
        return kind, [{name: job[name] for name in FIELDS if name in job} for job in found]

    def _every(self, step: int) -> dict[str, dict[str, Any]]:
        """All jobs by id, as they are in that step."""
        if step not in self._kept:
            jobs = [job for one in self.ids for job in (own_job(id=one), *self._jobs(one))]
            self._kept[step] = {job["id"]: job for job in jobs}
        return self._kept[step]

    def _jobs(self, job_id: str) -> list[dict[str, Any]]:
        number = int(job_id[-6:], 16)
        ids = [f"6b058e9b5b008b5b{step:02x}{number:06x}" for step in (1, 2)]
        of = {"workflow_job_id": job_id}
        if now() < FIRST_ENDS:
            return [task_job(0, A, id=ids[0], **of)]
        first = ended(0, A, id=ids[0], **of)
        make = task_job if now() < LAST_ENDS else ended
        return [first, make(0, B, id=ids[1], **of)]


class Waiting:
    """Clients that wait for workflows with one token."""

    def __init__(self, upstream: ManyWorkflows) -> None:
        jobs = orchestrator(upstream, 1_000_000)
        self.watcher = Watcher(jobs, now, lambda: 0.5, SyncConfig())
        self.reader = workflow_reader(upstream, 1_000_000)

    async def result(self, to: JobAccess) -> float:
        """When the workflow's result was there."""
        step: Awaited | None = None
        while True:
            read_at = now()
            found = await self.reader.read(to, True)
            assert isinstance(found, Found)
            if found.job.is_finished:
                return now()
            step = awaited(found, read_at, step)
            verdict = await wait_for(
                self.watcher,
                to,
                step,
                300,
                waited_seconds=now(),
                last_seen=LastSeen(read_at, task_of(found.job)),
                false_alarms=0,
            )
            assert verdict is WaitVerdict.ENDED


@pytest.mark.no_cover
async def test_thousand_workflows_take_a_step_for_a_few_lists() -> None:
    upstream = ManyWorkflows(1000)
    waiting = Waiting(upstream)
    async with asyncio.TaskGroup() as group:
        results = [group.create_task(waiting.result(access(job_id=one))) for one in upstream.ids]
        await asyncio.sleep(FIRST_ENDS - 10)
        upstream.asked.clear()
        await asyncio.sleep(9.5)
        while_all_run = upstream.asked.copy()
        upstream.asked.clear()
        await asyncio.sleep(10)
        at_a_step = upstream.asked.copy()
    assert max(result.result() for result in results) < LAST_ENDS + 3
    assert set(while_all_run) == {"range", "by id"}
    assert while_all_run.total() < 100
    assert at_a_step["task jobs"] <= 25, "of the lists by id so many are of the workflows' own jobs"
    assert set(at_a_step) == {"range", "by id", "task jobs"}
    await waiting.watcher.aclose()
