"""The embedded orchestrator with many tokens, and jobs that end when told.

Usage: python -m benchmarks.waiting.upstream TOKENS SERVICE_MS
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import uvloop

from benchmarks.waiting.control import obey
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.sessions import signed_token
from gateway.demo.tasks import CATALOGUE, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

TASK = Task("held", "64ac0b46c06feba9b89ad79d", kept_jobs=100_000)
OUTPUT = ('{"message":"Hello world!"}',)


class Upstream:
    def __init__(self, orchestrator: Orchestrator, tokens: int) -> None:
        self._orchestrator = orchestrator
        session = orchestrator.sessions.named("acme-user")
        self._tokens = [signed_token(session, 4_102_444_800 + number) for number in range(tokens)]
        for number, one in enumerate(self._tokens):
            orchestrator.sessions.log_in(f"user-{number}", session, one)

    async def begin(self) -> dict[str, object]:
        """Where it listens, and which tokens it knows."""
        return {"url": self._orchestrator.url, "tokens": self._tokens}

    async def create(self, jobs: int) -> list[str]:
        return [self._orchestrator.create("held").id for _ in range(jobs)]

    async def end(self, jobs: Sequence[str], seconds: float) -> dict[str, float]:
        """End jobs evenly over a time; when each ended, by the machine's monotonic clock."""
        ended = {}
        began = time.monotonic()
        for number, job_id in enumerate(jobs):
            due = began + seconds * number / len(jobs)
            if (early := due - time.monotonic()) > 0.002:
                await asyncio.sleep(early)
            self._orchestrator.finish(job_id, "success", OUTPUT)
            ended[job_id] = time.monotonic()
        return ended

    async def requests(self) -> dict[str, int]:
        """What was asked so far, by purpose."""
        return {purpose.value: n for purpose, n in self._orchestrator.requests.items()}


async def serve(tokens: int, service_seconds: float) -> None:
    tasks = [*(task for task in CATALOGUE if task.name != TASK.name), TASK]
    async with Orchestrator.serving(tasks=tasks, service_seconds=service_seconds) as orchestrator:
        upstream = Upstream(orchestrator, tokens)
        commands = (upstream.begin, upstream.create, upstream.end, upstream.requests)
        await obey({command.__name__: command for command in commands})


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
