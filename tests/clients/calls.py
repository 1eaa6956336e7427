"""Calls of real clients, all at once, on a gateway process before an embedded orchestrator; and
what each of them came to."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from gateway.demo.orchestrator import Orchestrator
from gateway.demo.tasks import Task
from tests.clients.table import BUILT, CLIENTS, Client
from tests.support.harness import process

APART_SECONDS = 0.15
"""Between two starts: interpreters that all start at once would keep the gateway from its holds."""
PATIENCE_SECONDS = 120
WORKERS = 200
LOOK_SECONDS = 0.02
RESULT = '{\\"done\\":true}'


def _shell(identifier: str, name: str, seconds: float, state: str = "success") -> Task:
    said = json.dumps({"state": state, "data": [{"done": True}]})
    command = ("sh", "-c", f"sleep {seconds}; echo '{said}'")
    return Task(name, identifier * 24, command=command, kept_jobs=1000)


TASKS = (
    _shell("1", "quick", 1.5),
    _shell("2", "within six seconds", 6),
    _shell("3", "failing", 0.5, "failure"),
    _shell("4", "after nine holds of five seconds", 46),
    Task("endless", "5" * 24, kept_jobs=1000),
)
IDS = {task.name: task.id for task in TASKS}


@dataclass(frozen=True)
class Scenario:
    """One call that every client makes."""

    name: str
    mode: str
    """``usual``: as it is by default, or with what it needs where it follows nothing."""
    task: str
    query: str

    def mode_of(self, client: Client) -> str:
        if self.mode != "usual":
            return self.mode
        return "default" if client.follows and not client.drops_token else "loop"


LONGEST = Scenario("ten holds", "loop", "after nine holds of five seconds", "wait_result=true")
SCENARIOS = (
    Scenario("follows", "default", "endless", "wait_result=true&limit=60&timeout=1"),
    Scenario("ten redirects", "loop", "endless", "wait_result=true&limit=10&timeout=1"),
    Scenario("reads", "loop", "within six seconds", "wait_result=true&limit=1&timeout=8"),
    Scenario("fails", "usual", "failing", "wait_result=true&timeout=2"),
    Scenario("time up", "usual", "endless", "wait_result=true&limit=1&timeout=1"),
    Scenario("prefer", "prefer", "quick", ""),
    Scenario("prefer fails", "prefer", "failing", ""),
)


@dataclass
class Call:
    """What came of one call."""

    printed: str = ""
    requests: list[dict[str, object]] = field(default_factory=list)
    """As the gateway's access log has them, in the order in which they ended."""

    @property
    def posts(self) -> int:
        """How many requests to create a job."""
        return sum(each["kind"] == "create" for each in self.requests)

    @property
    def gets(self) -> list[dict[str, object]]:
        """The requests for the result."""
        return [each for each in self.requests if each["kind"] == "result"]


@dataclass
class Calls:
    """All calls, by client and scenario."""

    made: dict[tuple[str, str], Call]
    late_seconds: float
    """The longest that a process on this machine, this one, was kept from running meanwhile."""

    def of(self, client: Client, scenario: str) -> Call:
        return self.made[client.name, scenario]


async def calls() -> Calls:
    """Make all calls of the clients that are here; they take a minute."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "access.log")
        made = await _logged_calls(str(log))
        for line in log.read_text("utf-8").splitlines():  # noqa: ASYNC240 - a local file
            logged = json.loads(line)
            _, _, run = logged["target"].partition("run=")
            client, _, scenario = run.partition("&")[0].partition(".")
            call = made.of(CLIENTS[int(client)], scenario.replace("-", " "))
            call.requests.append(logged)
    return made


async def _logged_calls(log_file: str) -> Calls:
    """The calls without their requests, which are in the file then."""
    async with (
        Orchestrator.serving(tasks=TASKS, workers=WORKERS) as orchestrator,
        process(
            log_file=log_file,
            listen__host="127.0.0.1",
            listen__port="0",
            admin__port="0",
            upstream__url=orchestrator.url,
            limits__mode="report",
        ) as gateway,
    ):
        await gateway.until_listening()
        made = await _made(gateway.url, orchestrator.tokens["acme-user"])
        # Its last lines are written when it ends.
        gateway.signal(signal.SIGTERM)
        await gateway.ended()
        return made


async def _made(url: str, token: str) -> Calls:
    here = [client for client in CLIENTS if client.is_here]
    wanted = [(client, LONGEST) for client in here if client.reads_seconds]
    wanted += [(client, scenario) for scenario in SCENARIOS for client in here]
    lateness = _Lateness()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(lateness.watch())
        running = {}
        for client, scenario in wanted:
            call = _made_by(client, scenario, url, token)
            running[client.name, scenario.name] = group.create_task(call)
            await asyncio.sleep(APART_SECONDS)
        await asyncio.wait(running.values())
        watching.cancel()
    made = {key: Call(task.result()) for key, task in running.items()}
    return Calls(made, lateness.seconds)


class _Lateness:
    """How late this process is woken at worst."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            self.seconds = max(self.seconds, clock() - due)


async def _made_by(client: Client, scenario: Scenario, url: str, token: str) -> str:
    """What the client prints, its complaints included."""
    run = f"{CLIENTS.index(client)}.{scenario.name.replace(' ', '-')}"
    target = f"{url}/task/{IDS[scenario.task]}/job?run={run}&{scenario.query}"
    started = await asyncio.create_subprocess_exec(
        *client.argv(scenario.mode_of(client), target, token),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=BUILT,
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            printed, _ = await started.communicate()
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()
    return printed.decode(errors="replace")
