"""An upstream that runs a workflow by a script: what it is asked at a time is told from memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from gateway.errors import BadGateway, ResponseTooLarge
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.jobs.client_reads import ClientReads
from gateway.sync.results.parsing import ParsingThread
from gateway.sync.workflows.graphs import Graphs
from gateway.sync.workflows.reader import WorkflowReader
from gateway.sync.workflows.shared_lists import SharedLists
from gateway.upstream.messages.messages import Heard, Purpose, UpstreamResponse
from tests.support.theeye import plenty, reader, reply
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.errors import Field
    from gateway.sync.jobs.reader import Requester

WORKFLOW_ID = "64f000000000000000000001"
OWN_ID = "6b058e9a5b008b5bdfdf03b5"
A, B, C = (f"64e00000000000000000002{number}" for number in (1, 2, 3))
"""Tasks."""
EPOCH = datetime(2026, 11, 24, 13, 0, 0, tzinfo=UTC)
FIELDS = ("id", "lifecycle", "state", "trigger_name", "task_id", "workflow_job_id", "last_update")
_LISTED = "where[workflow_job_id][$in][]="


def moment(seconds: float) -> str:
    """The upstream's time after so many seconds, as it writes it."""
    return (EPOCH + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def labelled(*edges: tuple[str, str, str], start: str = A) -> dict[str, Any]:
    """A workflow of version 2; edges go from a task by an event to a task."""
    nodes = sorted({task for before, _, after in edges for task in (before, after)} | {start})
    return {
        "id": WORKFLOW_ID,
        "version": 2,
        "start_task_id": start,
        "graph": {
            "options": {"directed": True, "multigraph": False, "compound": False},
            "nodes": [{"v": node, "value": {"id": node, "_type": "ScriptTask"}} for node in nodes],
            "edges": [{"v": before, "w": after, "value": event} for before, event, after in edges],
        },
    }


def with_event_nodes(*edges: tuple[str, str, str], start: str = A) -> dict[str, Any]:
    """The same workflow, of version 1."""
    tasks = sorted({task for before, _, after in edges for task in (before, after)} | {start})
    events = sorted({(before, event) for before, event, _ in edges})
    ids = {of: f"64d0000000000000000000{number:02d}" for number, of in enumerate(events)}
    return {
        "id": WORKFLOW_ID,
        "start_task_id": start,
        "graph": {
            "options": {"directed": True, "multigraph": False, "compound": False},
            "nodes": [
                *({"v": task, "value": {"id": task, "name": task}} for task in tasks),
                *({"v": ids[of], "value": {"_type": "Event", "name": of[1]}} for of in events),
            ],
            "edges": [
                *({"v": of[0], "w": ids[of]} for of in events),
                *({"v": ids[before, event], "w": after} for before, event, after in edges),
            ],
        },
    }


def own_job(**members: Any) -> dict[str, Any]:
    """A workflow's own job, as 4.4.3 makes it."""
    own = {
        "id": OWN_ID,
        "_type": "WorkflowJob",
        "state": "unknown",
        "output": [],
        "workflow_id": WORKFLOW_ID,
        "customer_name": "acme",
    }
    return own | members


def task_job(number: int, task_id: str, **members: Any) -> dict[str, Any]:
    """A task's job that runs; ``number`` makes its id."""
    body = {
        "id": f"6b058e9a5b008b5bdfdf1{number:03d}",
        "_type": "ScriptJob",
        "lifecycle": "assigned",
        "state": "in_progress",
        "task_id": task_id,
        "workflow_job_id": OWN_ID,
        "customer_name": "acme",
        "last_update": moment(0),
        "output": [],
    }
    return body | members


def ended(number: int, task_id: str, event: str = "success", **members: Any) -> dict[str, Any]:
    """A task's job that has ended, a second after the start."""
    of_event = {"trigger_name": event} if event else {}
    state = event if event in {"success", "failure"} else "success"
    body = {"lifecycle": "finished", "state": state, "last_update": moment(1)} | of_event
    return task_job(number, task_id, **(body | members))


def access(customer: str = "acme", bearer: str = "t", job_id: str = OWN_ID) -> JobAccess:
    """A client's way to the workflow's job."""
    fields = ((b"Authorization", b"Bearer " + bearer.encode()),)
    return JobAccess(job_id, customer, Credentials("", fields), workflow_id=WORKFLOW_ID)


def workflow_reader(upstream: Requester, max_bytes: int = 100_000) -> WorkflowReader:
    """How workflows are read for clients, with memory for all that is read."""
    buffers = plenty()
    return WorkflowReader(
        ClientReads(upstream, buffers, max_bytes),
        buffers,
        SharedLists(upstream, buffers, now),
        Graphs(upstream, buffers, now),
        reader(upstream, max_bytes).read,
        thread=ParsingThread(),
        clock=now,
        wall_clock=now,
        quiet_seconds=2.0,
    )


@dataclass(slots=True)
class RunningWorkflow:
    """``script`` changes it at times of its own; statuses are by the path's end."""

    workflow: dict[str, Any] | None
    own: dict[str, Any] = field(default_factory=own_job)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    script: list[tuple[float, Callable[[RunningWorkflow], None]]] = field(default_factory=list)
    refused: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Responses by path, instead of the usual ones."""
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[float, str]] = field(default_factory=list)
    """Time and path of each request, lists with their condition."""

    async def request(
        self,
        method: str,
        target: str,
        fields: Sequence[Field],
        content: bytes = b"",
        *,
        purpose: Purpose,
        max_bytes: int,
        make_room: Callable[[int], None] | None = None,
        heard: Heard | None = None,
    ) -> UpstreamResponse:
        assert (method, content) == ("GET", b"")
        assert purpose in {Purpose.READ, Purpose.POLL}
        assert any(name == b"Authorization" for name, _ in fields)
        while self.script and self.script[0][0] <= now():
            self.script.pop(0)[1](self)
        path, _, query = unquote(target).partition("?")
        self.asked.append((now(), _shown(path, query)))
        status, body = self._response(path, query)
        if heard is not None:
            heard.note(status, 0.0)
        if status == 0:
            raise BadGateway("not reachable")
        if len(body) > max_bytes:
            raise ResponseTooLarge
        if make_room is not None:
            make_room(len(body))
        date = format_datetime(EPOCH + timedelta(seconds=now()), usegmt=True)
        return reply(body, status, (b"Date", date.encode()))

    def paths(self) -> list[str]:
        """What was asked so far, which is forgotten."""
        paths = [path for _, path in self.asked]
        self.asked.clear()
        return paths

    def _response(self, path: str, query: str) -> tuple[int, bytes]:
        if (refused := self.refused.get(_shown(path, query))) is not None:
            return refused
        found = self._found(path, query)
        if found is None:
            return 404, b'{"statusCode":404,"message":"job not found"}'
        return 200, json.dumps(found, separators=(",", ":")).encode()

    def _found(self, path: str, query: str) -> object:
        own = f"/workflows/{WORKFLOW_ID}/job/{self.own['id']}"
        by_path = {
            f"/workflows/{WORKFLOW_ID}": self.workflow,
            own: self.own,
            f"{own}/jobs": self.jobs,
            **{f"/acme/task/{task_id}": task for task_id, task in self.tasks.items()},
            **{f"/acme/job/{job['id']}": job for job in (self.own, *self.jobs)},
        }
        return self._listed(query) if path == "/acme/job" else by_path.get(path)

    def _listed(self, query: str) -> list[dict[str, Any]]:
        if query.startswith(_LISTED):
            found = [job for job in self.jobs if self.own["id"] in query]
        else:
            found = [job for job in (self.own, *self.jobs) if job["id"] in query]
        if "lifecycle" in query:
            found = [job for job in found if job.get("lifecycle", "-") in query]
        return [{name: job[name] for name in FIELDS if name in job} for job in found]


def _shown(path: str, query: str) -> str:
    if path != "/acme/job":
        return path
    return f"{path} of workflows" if query.startswith(_LISTED) else f"{path} by id"
