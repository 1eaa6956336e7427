"""Measures push: from a message's publication to the first byte of the answer that it causes.

Redis, the embedded orchestrator and the gateway are processes of their own. In the first part the
jobs end one after another while all others wait on, in the second many end within a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import msgspec
import uvloop

from benchmarks.processes import DidNotStart, Process, allow_many_files, free_port, running
from benchmarks.waiting.table import Floor, row, show, titles
from gateway.demo.orchestrator import Orchestrator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
HOLD_SECONDS = 60
P50_SECONDS, P99_SECONDS = 0.010, 0.050
BURST_SECONDS = 2.0
AT_ONCE = 100
"""Connections that are opened at the same time."""
LINE_BYTES = 2**24
now = time.monotonic


class NotMeasured(Exception):
    """The figures would say nothing; the message says why."""


@dataclass(frozen=True)
class Installation:
    """The gateway, its admin listener's URL, and what starts the orchestrator behind it."""

    gateway: Process
    admin: str
    orchestrator: tuple[str, ...]


@dataclass(eq=False)
class Waiter(asyncio.Protocol):
    """A client's connection with its one request; ``first`` becomes when the answer began."""

    request: bytes
    first: asyncio.Future[float] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self.request)

    def data_received(self, data: bytes) -> None:
        if self.first.done():
            return
        if data.startswith(b"HTTP/1.1 200"):
            self.first.set_result(now())
        else:
            self.first.set_exception(NotMeasured("a request was answered without a result"))

    def connection_lost(self, _: Exception | None) -> None:
        if not self.first.done():
            self.first.set_exception(NotMeasured("the gateway closed a connection"))


@dataclass(frozen=True)
class Delays:
    """Seconds from a job's end, when its message is published, to the answer's first byte."""

    seconds: Sequence[float]
    last: float
    """From the first end to the last answer."""

    @property
    def p50(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]

    def cells(self) -> Iterator[str]:
        for each in (self.p50, self.p99, max(self.seconds)):
            yield f"{each * 1e3:.1f}"
        yield f"{self.last:.2f}"


async def measure(it: Installation, waits: int, ends: int, seconds: float) -> Delays:
    """Of ``waits`` jobs waited for, end ``ends`` evenly over ``seconds``."""
    async with _orchestrator(it) as tell:
        job_ids = await tell({"create": waits})
        async with _waiting(it, job_ids) as waiters:
            chosen = job_ids[:: waits // ends][:ends]
            ended = await tell({"end": chosen, "seconds": seconds})
            # Every request is answered within its hold time, if only 303.
            answered = await asyncio.gather(*(waiters[job_id].first for job_id in chosen))
    delays = [after - before for before, after in zip(ended, answered, strict=True)]
    return Delays(delays, max(answered) - ended[0])


@contextlib.asynccontextmanager
async def _orchestrator(it: Installation) -> AsyncIterator[Any]:
    """The running orchestrator, as a function that tells it something and returns its answer."""
    process = await asyncio.create_subprocess_exec(
        *it.orchestrator,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
        cwd=ROOT,
    )

    async def tell(command: dict[str, Any]) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(command) + b"\n")
        return msgspec.json.decode(await process.stdout.readline())

    try:
        yield tell
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def _waiting(it: Installation, job_ids: Sequence[str]) -> AsyncIterator[dict[str, Waiter]]:
    """A client for each job; the gateway holds all of their requests."""
    loop = asyncio.get_running_loop()
    waiters: dict[str, Waiter] = {}
    transports: list[asyncio.BaseTransport] = []

    async def connect(job_id: str) -> None:
        waiter = waiters[job_id] = Waiter(_request(job_id))
        transport, _ = await loop.create_connection(lambda: waiter, "127.0.0.1", it.gateway.port)
        transports.append(transport)

    try:
        for first in range(0, len(job_ids), AT_ONCE):
            await asyncio.gather(*map(connect, job_ids[first : first + AT_ONCE]))
        await _until_held(it, len(job_ids))
        yield waiters
    finally:
        for waiter in waiters.values():
            waiter.first.cancel()
        for transport in transports:
            cast("asyncio.Transport", transport).abort()


async def _until_held(it: Installation, waits: int) -> None:
    wanted = (f"\ngateway_waits_in_flight {waits:.1f}\n", "\ngateway_push_connected 1.0\n")
    deadline = now() + HOLD_SECONDS / 2
    async with aiohttp.ClientSession() as session:
        while now() < deadline:
            async with session.get(f"{it.admin}/metrics") as response:
                page = await response.text()
            if all(line in page for line in wanted):
                return
            await asyncio.sleep(0.1)
    raise NotMeasured(f"the gateway does not hold {waits} requests, or is not told by Redis")


def _request(job_id: str) -> bytes:
    target = f"/job/{job_id}/result?timeout={HOLD_SECONDS}&access_token={_token()}"
    return f"GET {target} HTTP/1.1\r\nHost: benchmark\r\n\r\n".encode()


@functools.cache
def _token() -> str:
    return Orchestrator().tokens["acme-user"]


@contextlib.contextmanager
def installed(folder: Path, service_ms: float) -> Iterator[Installation]:
    """Redis and a gateway; ``service_ms``: what every answer of the orchestrator takes."""
    redis, orchestrator, gateway, admin = (free_port() for _ in range(4))
    url = f"redis://127.0.0.1:{redis}"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    environment = {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "GATEWAY_UPSTREAM__URL": f"http://127.0.0.1:{orchestrator}",
        "GATEWAY_REDIS__URL": url,
        # They count, and refuse nobody: all clients come from one address, at once.
        "GATEWAY_LIMITS__MODE": "report",
        "GATEWAY_LISTEN__HOST": "127.0.0.1",
        "GATEWAY_LISTEN__PORT": str(gateway),
        "GATEWAY_ADMIN__PORT": str(admin),
    }
    python = (sys.executable, "-m")
    serve = (*python, "benchmarks.waiting.orchestrator", "--port", str(orchestrator))
    store = ("redis-server", "--bind", "127.0.0.1", "--port", str(redis), "--save", "")
    with (
        running(store, redis, folder / "redis"),
        running((*python, "gateway", "serve"), gateway, folder / "gateway", environment) as process,
    ):
        yield Installation(
            process,
            f"http://127.0.0.1:{admin}",
            (*serve, "--service-ms", str(service_ms), "--redis", url),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a result came later than it should, 2 if nothing was measured."""
    options = _options(arguments)
    if shutil.which("redis-server") is None:
        print("Cannot measure without redis-server.", file=sys.stderr)
        return 2
    allow_many_files()
    floors: list[Floor] = []
    try:
        show(_rows(options, floors))
    except (NotMeasured, DidNotStart) as failure:
        print(f"Not measured: {failure}.", file=sys.stderr)
        return 2
    show(map(str, floors))
    return 0 if all(floor.is_reached for floor in floors) else 1


def _rows(options: argparse.Namespace, floors: list[Floor]) -> Iterator[str]:
    yield from titles(
        "held requests, told by Redis", "late p50 ms", "p99 ms", "most ms", "last after s"
    )
    waits, rate = options.waits, options.rate
    delays = _measured(options.service_ms, waits, waits, waits / rate)
    yield row(f"**gateway**: {waits:,}, {rate:g} ends a second", *delays.cells())
    floors.append(Floor(f"{waits:,} held: late p50 ms", delays.p50 * 1e3, P50_SECONDS * 1e3))
    floors.append(Floor(f"{waits:,} held: late p99 ms", delays.p99 * 1e3, P99_SECONDS * 1e3))
    if options.burst_ends:
        waits, ends = options.burst_waits, options.burst_ends
        delays = _measured(options.service_ms, waits, ends, 1.0)
        yield row(f"**gateway**: {waits:,}, {ends:,} ends in 1 s", *delays.cells())
        floors.append(Floor(f"{waits:,} held: last answer after s", delays.last, BURST_SECONDS))


def _measured(service_ms: float, waits: int, ends: int, seconds: float) -> Delays:
    with (
        tempfile.TemporaryDirectory(prefix="gateway-benchmark-") as folder,
        installed(Path(folder), service_ms) as it,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(measure(it, waits, ends, seconds))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.waiting.push", description=__doc__)
    parser.add_argument("--waits", type=int, default=1000, help="that are held in the first part")
    parser.add_argument("--rate", type=float, default=100, help="of these jobs end a second")
    parser.add_argument("--burst-waits", type=int, default=10_000, help="held in the second part")
    parser.add_argument("--burst-ends", type=int, default=1000, help="0 leaves that part out")
    parser.add_argument("--service-ms", type=float, default=4, help="the orchestrator's answers")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
