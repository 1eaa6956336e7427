"""Clients that wait and clients that do not, as a process: ``python -m tests.support.load``.

Its one line of stdin is JSON: ``url``, ``token``, ``jobs`` to wait for, one client each, ``every``:
the seconds between two requests of each of ten clients, and ``agents``: what the programs are
called. It goes on until its stdin is closed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientSession, TCPConnector

from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CLIENTS = 10
STILL_RUNNING = 202
WRONG = 20
"""One of so many requests has a token that nobody is logged in with, and one asks for no job."""


async def wait(session: ClientSession, about: dict[str, Any], job: str) -> None:
    """Wait for a job's result, in one request after the other."""
    fields = {"Authorization": f"Bearer {about['token']}", "Prefer": "wait=120"}
    status = STILL_RUNNING
    while status == STILL_RUNNING:
        target = f"{about['url']}/job/{job}/result?parse"
        try:
            async with session.get(target, headers=fields) as response:
                await response.read()
                status = response.status
        except ClientError:
            return


async def ask(session: ClientSession, about: dict[str, Any], number: int) -> None:
    """Send one request after the other."""
    for turn in count(number):
        token, path = about["token"], "/api/status"
        if turn % WRONG == 0:
            token, path = "nobodys", "/acme/task"
        elif turn % WRONG == 1:
            path = "/job/none/result?a=<img src=x onerror=alert(1)>"
        fields = {
            "Authorization": f"Bearer {token}",
            "User-Agent": about["agents"][turn % len(about["agents"])],
        }
        with suppress(ClientError):
            async with session.get(about["url"] + path, headers=fields) as response:
                await response.read()
        await asyncio.sleep(about["every"])


async def main() -> None:
    about = json.loads(sys.stdin.readline())
    async with ClientSession(connector=TCPConnector(limit=0)) as session:
        tasks = Tasks()
        for job in about["jobs"]:
            tasks.spawn(wait(session, about, job), name="wait")
        for number in range(CLIENTS):
            tasks.spawn(ask(session, about, number), name="ask")
        await asyncio.to_thread(sys.stdin.read)
        await tasks.aclose()


@asynccontextmanager
async def loading(**about: Any) -> AsyncIterator[None]:
    """Within the block such a process runs; see above for what it is told."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.load"), stdin=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(about).encode() + b"\n")
        yield
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    asyncio.run(main())
