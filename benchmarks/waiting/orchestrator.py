"""The embedded orchestrator as a process, told by lines of JSON when its jobs end.

Ending jobs by requests would cost it more than answering those of the gateway. ``{"create": 3}``
is answered with the new jobs' ids, ``{"end": [ids], "seconds": 1}`` ends these evenly over the time
and is answered with when each ended: seconds of the clock that all processes share. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.demo.orchestrator import Orchestrator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

now = time.monotonic


async def serve(port: int, service_seconds: float, redis_url: str) -> None:
    """Serves until its input ends."""
    async with Orchestrator.serving(
        port=port, service_seconds=service_seconds, redis_url=redis_url
    ) as orchestrator:
        async for command in _commands():
            if "create" in command:
                ids = [orchestrator.create("held").id for _ in range(command["create"])]
                _say(ids)
            else:
                _say(await _ended(orchestrator, command["end"], command["seconds"]))


async def _ended(orchestrator: Orchestrator, job_ids: list[str], seconds: float) -> list[float]:
    began, ended = now(), []
    for number, job_id in enumerate(job_ids):
        await asyncio.sleep(began + number * seconds / len(job_ids) - now())
        ended.append(now())
        orchestrator.finish(job_id, output=["1"])
    return ended


async def _commands() -> AsyncIterator[dict[str, Any]]:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        yield msgspec.json.decode(line)


def _say(value: object) -> None:
    print(msgspec.json.encode(value).decode(), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m benchmarks.waiting.orchestrator")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--service-ms", type=float, default=0)
    parser.add_argument("--redis", default="", metavar="URL")
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.service_ms / 1000, given.redis))
