"""The orchestrator as a server: listens, takes requests apart, writes the answers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Self

from aiohttp import web

from gateway.demo import answers
from gateway.demo.agent import Agent, Run, result_of
from gateway.demo.answers import RefusedError
from gateway.demo.arguments import BadContentError, body_of, query_of
from gateway.demo.faults import FaultKind, Faults
from gateway.demo.jobs import Ending, Jobs, StoredJob, TooManyJobsError, strings
from gateway.demo.publisher import Publisher
from gateway.demo.qs import parse
from gateway.demo.routes import Call, Desk, Operation, find
from gateway.demo.sessions import Sessions
from gateway.demo.tasks import CATALOGUE, Task
from gateway.demo.wire import content_of, write

KEEPALIVE_SECONDS = 5.0
LINE_BYTES = 16 * 1024
JOBS_AT_ONCE = 4
"""What the agent runs; more jobs wait, in the order in which they came."""


class Orchestrator:
    """All of it in memory; ``url``, ``tokens`` and ``tasks`` (both by name) are for its callers.

    ``requests`` counts what was asked of it by purpose, whatever was answered.
    ``service_seconds`` is what every answer takes. ``redis_url``: where it is told that a job has
    ended, nowhere where empty.
    """

    def __init__(
        self,
        *,
        tasks: Iterable[Task] = CATALOGUE,
        service_seconds: float = 0.0,
        workers: int = JOBS_AT_ONCE,
        redis_url: str = "",
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.url = ""
        self.service_seconds = service_seconds
        self.sessions = Sessions()
        self.tokens = self.sessions.tokens
        self.tasks = {task.name: task for task in tasks}
        self.publisher = Publisher(redis_url) if redis_url else None
        self.jobs = Jobs(now, ended=self.publisher.tell if self.publisher is not None else None)
        self.faults = Faults()
        self.requests: Counter[Operation] = Counter()
        self._agent = Agent(self.jobs, lambda: self.url, clock, workers)
        by_id = {task.id: task for task in self.tasks.values()}
        self._desk = Desk(self.jobs, by_id, self.sessions, self._agent, lambda: self.url)

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
            await orchestrator._agent.stop()
            if orchestrator.publisher is not None:
                await orchestrator.publisher.stop()
            await runner.cleanup()

    def create(self, task: str, *arguments: Any, caller: str = "acme-user") -> StoredJob:
        """A new job, without a request; ``task`` and ``caller`` by name."""
        job = self.jobs.create(self.tasks[task], self.sessions.named(caller), arguments)
        self._agent.take(job)
        return job

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
            result = result_of(Run(0, ""), output=values)
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
        try:
            content = await content_of(request)
            body = body_of(content, request.headers.get("Content-Type", ""))
            authorization = request.headers.get("Authorization", "")
            token = parse(query).get("access_token")
            call = Call(params, query_of(query), body, authorization, token)
            reply = route.handle(self._desk, call)
        except BadContentError as error:
            reply = answers.coded(400, "InvalidContent", str(error)).reply
        except TooManyJobsError:
            reply = answers.plain(500, "Internal Server Error").reply
        except RefusedError as refused:
            reply = refused.reply
        return write(request, reply, fault)
