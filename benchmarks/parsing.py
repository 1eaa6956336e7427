"""Measures what others notice while one client has large results parsed.

Parsing has a thread of its own, which the event loop has to wrest the interpreter's lock from. How
long that takes is the interpreter's switch interval: each row is a gateway with another one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import Process, free_port, running
from gateway.config import AdminConfig, Config, ListenConfig, LogConfig, UpstreamConfig
from gateway.config.effective import Effective
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.tasks import Task
from gateway.server.runtime import run, spare_the_collector
from gateway.server.server import Server

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

INTERVALS = (0.005, 0.002, 0.001, 0.0005, 0.00025, 0.0001)
ELEMENT_BYTES = 790_000
ATTACKERS = 8
"""Connections of the one client, each of which asks again as soon as it has its answer."""
PAUSE_SECONDS = 0.02
"""After an answer of 429 or 503."""
CALLER, OTHER = "acme-user", "acme-owner"
_OBJECTS = json.dumps([{"a": 1}] * (ELEMENT_BYTES // 10))
_FLOATS = json.dumps([1e5] * (ELEMENT_BYTES // 10)).replace("100000.0", "1e5")
ELEMENTS = {"objects": _OBJECTS, "numbers": _FLOATS}


@dataclass(slots=True)
class Found:
    """What one gateway did to the others while it parsed."""

    milliseconds: list[float] = field(default_factory=list)
    parsed: int = 0
    seconds: float = 0.0

    def row(self, name: str) -> str:
        quantiles = statistics.quantiles(self.milliseconds, n=100)
        shown = " | ".join(f"{quantiles[n - 1]:.1f}" for n in (50, 95, 99))
        return f"| {name} | {shown} | {self.parsed / self.seconds:.1f} |"


async def orchestrator(port: int) -> None:
    """Has one job, which has ended, for each kind of element."""
    tasks = [
        Task(
            name,
            f"64ac0b46c06feba9b89ad7{number:02x}",
            prints=json.dumps({"state": "success", "data": [element]}),
        )
        for number, (name, element) in enumerate(ELEMENTS.items())
    ]
    async with Orchestrator.serving("127.0.0.1", port, tasks=tasks):
        await _until_terminated()


async def gateway(port: int, upstream: str, interval: float) -> None:
    config = Config(
        listen=ListenConfig(host="127.0.0.1", port=port),
        upstream=UpstreamConfig(url=upstream),
        admin=AdminConfig(port=0),
        log=LogConfig(access=False),
    )
    async with Server(Effective(config)):
        sys.setswitchinterval(interval)
        await _until_terminated()


async def _until_terminated() -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()


class Connection:
    """One of a client's, on which it asks one thing after the other."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port, limit=2**22
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    async def ask(self, method: str, target: str, token: str) -> tuple[int, bytes]:
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        length = "Content-Length: 0\r\n" if method == "POST" else ""
        self._writer.write(f"{head}{length}\r\n".encode())
        response = await self._reader.readuntil(b"\r\n\r\n")
        size = int(response.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(response[9:12]), await self._reader.readexactly(size)


async def measure(
    port: int, kind: str, seconds: float, tokens: dict[str, str], into: Found
) -> None:
    """One client has results parsed, unless ``kind`` is empty; another asks for what is small."""
    async with contextlib.AsyncExitStack() as stack:
        other = await stack.enter_async_context(Connection(port))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        until = time.perf_counter() + seconds
        if kind:
            first = await stack.enter_async_context(Connection(port))
            target = f"/task/{_task_id(kind)}/job"
            status, created = await first.ask("POST", target, tokens[CALLER])
            assert status == 200, created
            job_id = json.loads(created)["id"]
            for _ in range(ATTACKERS):
                group.create_task(_parse(port, f"/job/{job_id}/result?parse", tokens, until, into))
        while (began := time.perf_counter()) < until:
            status, _ = await other.ask("GET", "/api", tokens[OTHER])
            if status == 200:
                into.milliseconds.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.011)
        into.seconds += seconds


def _task_id(kind: str) -> str:
    return f"64ac0b46c06feba9b89ad7{list(ELEMENTS).index(kind):02x}"


async def _parse(port: int, target: str, tokens: dict[str, str], until: float, into: Found) -> None:
    async with Connection(port) as connection:
        while time.perf_counter() < until:
            status, _ = await connection.ask("GET", target, tokens[CALLER])
            if status == 200:
                into.parsed += 1
            else:
                await asyncio.sleep(PAUSE_SECONDS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parsing", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of all measurements, in turn")
    parser.add_argument("--role", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        _play(options.role)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        _compare(Path(folder), options.seconds, options.rounds)
    return 0


def _play(role: list[str]) -> None:
    spare_the_collector()
    match role:
        case ["orchestrator", port]:
            asyncio.run(orchestrator(int(port)))
        case ["gateway", port, upstream, interval]:
            run(gateway(int(port), upstream, float(interval)))


def _compare(folder: Path, seconds: float, rounds: int) -> None:
    tokens = Orchestrator().tokens
    with ExitStack() as stack:
        upstream = stack.enter_context(_role(folder, "orchestrator"))
        url = f"http://127.0.0.1:{upstream.port}"
        gateways = {
            interval: stack.enter_context(_role(folder, "gateway", url, str(interval)))
            for interval in INTERVALS
        }
        cases = [("", INTERVALS[0])] + [(kind, i) for kind in ELEMENTS for i in INTERVALS]
        found = {case: Found() for case in cases}
        for _ in range(rounds):
            for (kind, interval), into in found.items():
                port = gateways[interval].port
                asyncio.run(measure(port, kind, seconds, tokens, into))
    print("| others, while one client has results parsed | p50 ms | p95 | p99 | parsed/s |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for (kind, interval), of_it in found.items():
        name = f"{kind}, switch interval {interval * 1000:g} ms" if kind else "nothing is parsed"
        print(of_it.row(name))


def _role(folder: Path, name: str, *arguments: str) -> AbstractContextManager[Process]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.parsing", "--role", name, str(port), *arguments]
    return running(command, port, folder / f"{name}-{port}.log")


if __name__ == "__main__":
    sys.exit(main())
