"""The orchestrator as a server: listens, takes requests apart, writes the answers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from aiohttp import web

from gateway.demo import answers
from gateway.demo.agent import Agent, Run, result_of
from gateway.demo.answers import RefusedError, Reply
from gateway.demo.arguments import BadContentError, body_of, query_of
from gateway.demo.faults import FaultKind, Faults
from gateway.demo.jobs import (
    MAX_JOBS,
    Ending,
    Jobs,
    StoredJob,
    TooManyJobsError,
    WorkflowJob,
    strings,
)
from gateway.demo.listing import Ranges
from gateway.demo.publisher import Publisher
from gateway.demo.qs import parse
from gateway.demo.routes import Call, Desk, Operation, Route
from gateway.demo.routing import find
from gateway.demo.sessions import Sessions
from gateway.demo.tasks import CATALOGUE, Task
from gateway.demo.versions import Version
from gateway.demo.wire import content_of, write
from gateway.demo.workflows.catalogue import WORKFLOWS
from gateway.demo.workflows.runs import GAP_SECONDS, Runs
from gateway.demo.workflows.workflow import Workflow

KEEPALIVE_SECONDS = 5.0
LINE_BYTES = 16 * 1024
JOBS_AT_ONCE = 4
"""What the agent runs; more jobs wait, in the order in which they came."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds that an answer takes: each, for a job that it lists, and for one that is looked at.

    The defaults are about what was measured on an idle TheEye whose database is near.
    """

    answer: float = 0.004
    returned: float = 0.000_1
    scanned: float = 0.000_002

    def of(self, reply: Reply) -> float:
        return self.answer + self.returned * reply.returned + self.scanned * reply.scanned


NOTHING = Costs(0.0, 0.0, 0.0)


class Orchestrator:
    """All of it in memory; ``url``, ``tokens``, ``tasks`` and ``workflows`` (all by name), and
    ``runs``, which moves workflows on, are for its callers.

    ``requests`` counts what was asked of it by purpose, whatever was answered.
    ``service_seconds`` is what every answer takes, ``costs`` what comes on top; ``spent_seconds``
    sums both up by purpose. ``redis_url``: where it is told that a job has ended, nowhere where
    empty. ``ranges``: whether it knows lists of a range of ids. ``gap_seconds`` lie between a task
    job of a workflow and the next. ``max_jobs``: how many it keeps.
    """

    def __init__(
        self,
        *,
        tasks: Iterable[Task] = CATALOGUE,
        workflows: Iterable[Workflow] = WORKFLOWS,
        version: Version = Version.ASYNC_ONLY,
        gap_seconds: float = GAP_SECONDS,
        service_seconds: float = 0.0,
        costs: Costs = NOTHING,
        ranges: Ranges = Ranges.KNOWN,
        workers: int = JOBS_AT_ONCE,
        redis_url: str = "",
        max_jobs: int = MAX_JOBS,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.url = ""
        self.service_seconds = service_seconds
        self.costs = costs
        self.spent_seconds: dict[Operation, float] = dict.fromkeys(Operation, 0.0)
        self.sessions = Sessions()
        self.tokens = self.sessions.tokens
        self.tasks = {task.name: task for task in tasks}
        self.workflows = {workflow.name: workflow for workflow in workflows}
        self.publisher = Publisher(redis_url) if redis_url else None
        self.jobs = Jobs(now, max_jobs, self._ended, self._assigned)
        self.faults = Faults()
        self.requests: Counter[Operation] = Counter()
        self._version = version
        self._agent = Agent(self.jobs, lambda: self.url, clock, workers, version=version)
        self.runs = Runs(self.jobs, self._agent.take, version, gap_seconds)
        of_workflows = (task for found in self.workflows.values() for task in found.tasks)
        self._desk = Desk(
            self.jobs,
            {task.id: task for task in (*of_workflows, *self.tasks.values())},
            self.sessions,
            self._agent,
            lambda: self.url,
            {workflow.id: workflow for workflow in self.workflows.values()},
            self.runs,
            version,
            ranges,
        )

    @classmethod
    @asynccontextmanager
    async def serving(
        cls, host: str = "127.0.0.1", port: int = 0, **options: Any
    ) -> AsyncIterator[Self]:
        """An orchestrator that listens; ``options`` are the constructor's."""
        orchestrator = cls(**options)
        server = web.Server(
            orchestrator._answer,
            handler_cancellation=True,
            keepalive_timeout=KEEPALIVE_SECONDS,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            access_log=None,
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            bound = runner.addresses[0]
            orchestrator.url = f"http://{bound[0]}:{bound[1]}"
            orchestrator._agent.start()
            if orchestrator.publisher is not None:
                orchestrator.publisher.start()
            yield orchestrator
        finally:
            orchestrator.faults.clear()
            orchestrator.runs.stop()
            await orchestrator._agent.stop()
            if orchestrator.publisher is not None:
                await orchestrator.publisher.stop()
            await runner.cleanup()

    def create(self, task: str, *arguments: Any, caller: str = "acme-user") -> StoredJob:
        """A new job, without a request; ``task`` and ``caller`` by name."""
        job = self.jobs.create(self.tasks[task], self.sessions.named(caller), arguments)
        self._agent.take(job)
        return job

    def start(self, workflow: str, *arguments: Any, caller: str = "acme-user") -> WorkflowJob:
        """A new job of a workflow, without a request; ``workflow`` and ``caller`` by name."""
        session = self.sessions.named(caller)
        run, first = self.runs.start(self.workflows[workflow], session, arguments)
        self._agent.take(first)
        return run

    def task_jobs(self, run: WorkflowJob) -> list[StoredJob]:
        """The task jobs of a workflow's job, oldest first."""
        return self.jobs.family(run.id)

    def finish(
        self,
        job_id: str,
        state: str = "success",
        output: Iterable[Any] = (),
        *,
        result: dict[str, Any] | None = None,
        lifecycle: str = "finished",
    ) -> None:
        """Ends a job. Raises KeyError if there is none."""
        values = list(output)
        if result is None:
            result = result_of(Run(0, ""), self._version, output=values)
        self.end(job_id, Ending(state, strings(values), result, lifecycle))

    def end(self, job_id: str, ending: Ending) -> None:
        """Ends a job just so. Raises KeyError if there is none."""
        job = self.jobs.get(job_id)
        if job is None:
            raise KeyError(job_id)
        self.jobs.end(job, ending)

    def remove(self, job_id: str) -> None:
        """Removes a job, as TheEye does with older ones. Raises KeyError if there is none."""
        self.jobs.remove(job_id)

    def _assigned(self, job: StoredJob) -> None:
        self.runs.assigned(job)

    def _ended(self, job: StoredJob) -> None:
        if self.publisher is not None:
            self.publisher.tell(job)
        self.runs.ended(job)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        path = path[1:] if path.startswith("//") else path
        route, params = find(request.method, path)
        self.requests[route.purpose] += 1
        fault = self.faults.take(request.method, path)
        if fault is not None and fault.kind is FaultKind.STALL:
            await self.faults.stall()
        if self.service_seconds:
            await asyncio.sleep(self.service_seconds)
        reply = await self._reply(request, route, params, query)
        costs = self.costs.of(reply)
        self.spent_seconds[route.purpose] += self.service_seconds + costs
        if costs:
            await asyncio.sleep(costs)
        return write(request, reply, fault)

    async def _reply(
        self, request: web.BaseRequest, route: Route, params: dict[str, str], query: str
    ) -> Reply:
        try:
            content = await content_of(request)
            body = body_of(content, request.headers.get("Content-Type", ""))
            authorization = request.headers.get("Authorization", "")
            token = parse(query).get("access_token")
            call = Call(params, query_of(query), body, authorization, token)
            return route.handle(self._desk, call)
        except BadContentError as error:
            return answers.coded(400, "InvalidContent", str(error)).reply
        except TooManyJobsError:
            return answers.plain(500, "Internal Server Error").reply
        except RefusedError as refused:
            return refused.reply
