"""Real clients call without a pause while the gateway is restarted as systemd does it."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from gateway.demo.tasks import Task
from tests.clients.table import BUILT, PROGRAMS, PYTHON
from tests.support.replay import until
from tests.support.systemd import Unit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.clients

TASK = Task("short", "1" * 24, prints='{"state":"success","data":[]}', seconds=0.7, kept_jobs=10**6)
CREATE = f"/job?task={TASK.id}"
CALLS_BETWEEN = 8
"""Of each client, at least, before the next restart."""
PROGRAMS_OF = {
    "requests": (PYTHON, str(PROGRAMS / "looping_requests.py")),
    "Java `HttpClient`": (
        "java",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        str(BUILT),
        "LoopingHttpClient",
    ),
}


class Caller(Protocol):
    """Calls in a loop; ``lines`` has the kind and the last status of each call, or what went wrong.

    Whoever prefers to wait and gets 202 asks there again, but for curl.
    """

    lines: list[str]

    async def run(self, over: asyncio.Event) -> None:
        raise NotImplementedError


class ByProgram:
    """Calls until its stdin ends."""

    def __init__(self, command: Sequence[str], url: str, token: str) -> None:
        self._argv = [*command, url, token, CREATE]
        self.lines: list[str] = []

    async def run(self, over: asyncio.Event) -> None:
        running = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert running.stdin is not None
        assert running.stdout is not None
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(running.stdout))
            await over.wait()
            running.stdin.close()
            await reading
        assert await running.wait() == 0

    async def _read(self, printed: asyncio.StreamReader) -> None:
        while line := await printed.readline():
            self.lines.append(line.decode().strip())


class ByCurl:
    """One process after the other, each of which calls several times on one connection."""

    def __init__(self, url: str, token: str) -> None:
        self.lines: list[str] = []
        self._argv = ["curl"]
        for kind, target, fields in (
            ("relay", "/api/status?n=[1-4]", []),
            ("redirects", f"{CREATE}&wait_result=true&timeout=1&n=[1-2]", ["--json", "[]"]),
            ("relay", "/api/status?n=[1-4]", []),
            ("prefer", f"{CREATE}&n=[1-2]", ["--json", "[]", "--header", "Prefer: wait=30"]),
        ):
            self._argv += [*(["--next"] if len(self._argv) > 1 else []), "--silent", "--show-error"]
            self._argv += ["--location", "--output", "/dev/null", "--stderr", "-"]
            self._argv += ["--write-out", f"{kind} %{{http_code}}\\n", *fields]
            self._argv += ["--header", f"Authorization: Bearer {token}", url + target]

    async def run(self, over: asyncio.Event) -> None:
        while not over.is_set():
            running = await asyncio.create_subprocess_exec(
                *self._argv, stdout=asyncio.subprocess.PIPE
            )
            printed, _ = await running.communicate()
            self.lines += printed.decode().splitlines()


def callers(url: str, token: str) -> dict[str, Caller]:
    """All that are installed."""
    found: dict[str, Caller] = {}
    if shutil.which("curl"):
        found["curl"] = ByCurl(url, token)
    if shutil.which(PYTHON):
        found["requests"] = ByProgram(PROGRAMS_OF["requests"], url, token)
    if shutil.which("java") and (BUILT / "LoopingHttpClient.class").is_file():
        found["Java `HttpClient`"] = ByProgram(PROGRAMS_OF["Java `HttpClient`"], url, token)
    return found


async def until_each_went_on(all_of_them: Sequence[Caller]) -> None:
    for caller in all_of_them:
        enough = len(caller.lines) + CALLS_BETWEEN
        await until(lambda: len(caller.lines) >= enough)  # noqa: B023 - awaited here


@pytest.mark.parametrize(("workers", "restarts"), [("1", 5), ("2", 2)])
async def test_no_client_sees_a_restart(tmp_path: Path, workers: str, restarts: int) -> None:
    unit = Unit(tmp_path)
    over = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.callback(unit.close)
        orchestrator = await stack.enter_async_context(
            Orchestrator.serving(tasks=[TASK], workers=200)
        )
        calling = callers(unit.url, orchestrator.tokens["acme-user"])
        if len(calling) < 3:
            missing = {"curl", *PROGRAMS_OF} - set(calling)
            pytest.skip(f"not installed, or not built: {', '.join(sorted(missing))}")
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(caller.run(over)) for caller in calling.values()]
        for restart in range(restarts + 1):
            # Before the first there was none: who calls waits in the kernel as well.
            async with unit.started(
                orchestrator.url, "--workers", workers, limits__mode="off"
            ) as gateway:
                await until_each_went_on(list(calling.values()))
                if restart == restarts:
                    over.set()
                    await asyncio.wait(tasks)
                gateway.signal(signal.SIGTERM)
                assert await gateway.ended() == 0
        created = orchestrator.requests[Operation.CREATE]
    came = {name: Counter(caller.lines) for name, caller in calling.items()}
    for name, counted in came.items():
        handed_back = {"prefer 202"} if name == "curl" else set()
        wanted = {"relay 200", "redirects 200", "prefer 200"}
        assert wanted <= set(counted) <= wanted | handed_back, (name, counted)
    creating = ("redirects 200", "prefer 200", "prefer 202")
    assert created == sum(counted[line] for counted in came.values() for line in creating), came
