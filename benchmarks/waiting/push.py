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
import resource
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import aiohttp
import uvloop

from benchmarks.processes import MOST_FILES, DidNotStart, Process, free_port, running
from gateway.config import RedisConfig
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.sessions import ACME
from gateway.redis_client import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
HOLD_SECONDS = 60
P50_SECONDS, P99_SECONDS = 0.010, 0.050
BURST_SECONDS = 2.0
AT_ONCE = 100
"""Connections that are opened, and jobs that are created, at the same time."""


class NotMeasured(Exception):
    """The figures would say nothing; the message says why."""


@dataclass(frozen=True)
class Installation:
    redis: str
    orchestrator: str
    gateway: Process
    admin: str


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
        if data.startswith(b"HTTP/1.1 303"):
            self.first.set_exception(NotMeasured("a hold ended before its job"))
        else:
            self.first.set_result(time.perf_counter())

    def connection_lost(self, _: Exception | None) -> None:
        if not self.first.done():
            self.first.set_exception(NotMeasured("the gateway closed a connection"))


@dataclass(frozen=True)
class Delays:
    """Seconds from a job's publication, or its end, to the answer's first byte."""

    seconds: Sequence[float]
    before: int = 0
    """Answers that the slow polling underneath brought before the message was published."""

    def quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]

    def __str__(self) -> str:
        p50, p99, most = statistics.median(self.seconds), self.quantile(0.99), max(self.seconds)
        return f"p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, max {most * 1e3:.1f} ms"


async def one_by_one(it: Installation, waits: int, rate: float) -> Delays:
    """End ``waits`` jobs, ``rate`` a second, and publish each end here, with its time noted.

    The orchestrator must not publish them itself.
    """
    config = RedisConfig(url=it.redis, answer_seconds=10.0)
    delays: list[float] = []
    async with (
        _session() as session,
        connect(config, max_connections=1) as redis,
        _waiting(it, session, waits) as waiters,
    ):
        begun = time.perf_counter()
        for number, (job_id, waiter) in enumerate(waiters.items()):
            await asyncio.sleep(begun + number / rate - time.perf_counter())
            await _end(it, session, job_id)
            published = time.perf_counter()
            await redis.publish(f"{ACME.id}:job-finished:{job_id}", b"{}")
            delays.append(await waiter.first - published)
    after = [delay for delay in delays if delay > 0]
    if len(after) < waits / 2:
        raise NotMeasured("most answers came before their message")
    return Delays(after, waits - len(after))


async def many_at_once(it: Installation, waits: int, ends: int) -> Delays:
    """End ``ends`` of ``waits`` jobs within a second; the orchestrator publishes them.

    Delays are counted from when the end was asked of the orchestrator.
    """
    async with _session() as session, _waiting(it, session, waits) as waiters:
        begun = time.perf_counter()

        async def one(number: int, job_id: str, waiter: Waiter) -> float:
            await asyncio.sleep(number / ends)
            asked = time.perf_counter()
            await _end(it, session, job_id)
            return await waiter.first - asked

        chosen = list(waiters.items())[:: waits // ends][:ends]
        delays = await asyncio.gather(*(one(n, *each) for n, each in enumerate(chosen)))
        took = time.perf_counter() - begun
        print(f"  the last of {ends} was answered {took:.2f} s after the first had ended")
    return Delays(delays)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE))


async def _end(it: Installation, session: aiohttp.ClientSession, job_id: str) -> None:
    url = f"{it.orchestrator}/acme/job/{job_id}/cancel"
    async with session.put(url, params={"access_token": _token()}) as answer:
        answer.raise_for_status()


@contextlib.asynccontextmanager
async def _waiting(
    it: Installation, session: aiohttp.ClientSession, waits: int
) -> AsyncIterator[dict[str, Waiter]]:
    """So many new jobs with a client for each; the gateway holds all of their requests."""
    job_ids = [job_id async for job_id in _created(it, session, waits)]
    loop = asyncio.get_running_loop()
    waiters: dict[str, Waiter] = {}
    transports: list[asyncio.Transport] = []
    try:
        for first in range(0, waits, AT_ONCE):
            some = job_ids[first : first + AT_ONCE]
            made = await asyncio.gather(
                *(
                    loop.create_connection(
                        lambda job_id=job_id: Waiter(_request(job_id)),  # type: ignore[misc]
                        "127.0.0.1",
                        it.gateway.port,
                    )
                    for job_id in some
                )
            )
            transports += [transport for transport, _ in made]
            waiters.update(zip(some, (waiter for _, waiter in made), strict=True))
        await _until_held(it, session, waits)
        yield waiters
    finally:
        for waiter in waiters.values():
            waiter.first.cancel()
        for transport in transports:
            transport.abort()


async def _created(
    it: Installation, session: aiohttp.ClientSession, count: int
) -> AsyncIterator[str]:
    task = Orchestrator().tasks["held"].id
    url = f"{it.orchestrator}/task/{task}/job"

    async def one() -> str:
        async with session.post(url, params={"access_token": _token()}) as answer:
            job_id: str = (await answer.json())["id"]
            return job_id

    for first in range(0, count, AT_ONCE):
        for job_id in await asyncio.gather(*(one() for _ in range(min(AT_ONCE, count - first)))):
            yield job_id


async def _until_held(it: Installation, session: aiohttp.ClientSession, waits: int) -> None:
    deadline = time.perf_counter() + HOLD_SECONDS / 2
    wanted = (f"\ngateway_waits_in_flight {waits:.1f}\n", "\ngateway_push_connected 1.0\n")
    while time.perf_counter() < deadline:
        async with session.get(f"{it.admin}/metrics") as answer:
            page = await answer.text()
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
def installed(folder: Path, *, service_ms: float, publishes: bool) -> Iterator[Installation]:
    """Redis, orchestrator and gateway; ``publishes``: the orchestrator tells Redis of ends."""
    redis, orchestrator, gateway, admin = (free_port() for _ in range(4))
    url = f"redis://127.0.0.1:{redis}"
    told = ("--redis", url) if publishes else ()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    environment = {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "GATEWAY_UPSTREAM__URL": f"http://127.0.0.1:{orchestrator}",
        "GATEWAY_REDIS__URL": url,
        "GATEWAY_LISTEN__HOST": "127.0.0.1",
        "GATEWAY_LISTEN__PORT": str(gateway),
        "GATEWAY_ADMIN__PORT": str(admin),
    }
    python = (sys.executable, "-m")
    served = (*python, "gateway.demo", "--port", str(orchestrator), "--service-ms", str(service_ms))
    with contextlib.ExitStack() as stack:
        store = ("redis-server", "--bind", "127.0.0.1", "--port", str(redis), "--save", "")
        stack.enter_context(running(store, redis, folder / "redis"))
        at = (orchestrator, folder / "orchestrator")
        stack.enter_context(running((*served, *told), *at, environment))
        held = (*python, "gateway", "serve")
        process = stack.enter_context(running(held, gateway, folder / "gateway", environment))
        places = (f"http://127.0.0.1:{port}" for port in (orchestrator, admin))
        yield Installation(url, next(places), process, next(places))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a result came later than it should, 2 if nothing was measured."""
    options = _options(arguments)
    if shutil.which("redis-server") is None:
        print("Cannot measure without redis-server.", file=sys.stderr)
        return 2
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    try:
        with tempfile.TemporaryDirectory(prefix="gateway-benchmark-") as folder:
            is_prompt = [
                *_measure_one_by_one(options, Path(folder)),
                *_measure_many_at_once(options, Path(folder)),
            ]
    except (NotMeasured, DidNotStart) as failure:
        print(f"Not measured: {failure}.", file=sys.stderr)
        return 2
    return 0 if all(is_prompt) else 1


def _measure_one_by_one(options: argparse.Namespace, folder: Path) -> Iterator[bool]:
    with (
        installed(folder, service_ms=options.service_ms, publishes=False) as it,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        delays = runner.run(one_by_one(it, options.waits, options.rate))
    print(f"{options.waits} waits, {options.rate:g} jobs end a second, published to first byte:")
    print(f"  {delays}")
    if delays.before:
        print(f"  {delays.before} were answered before their message and are not counted")
    yield statistics.median(delays.seconds) < P50_SECONDS
    yield delays.quantile(0.99) < P99_SECONDS


def _measure_many_at_once(options: argparse.Namespace, folder: Path) -> Iterator[bool]:
    if not options.burst_ends:
        return
    waits, ends = options.burst_waits, options.burst_ends
    print(f"{ends} of {waits} jobs end within a second, ended to first byte:")
    with (
        installed(folder, service_ms=options.service_ms, publishes=True) as it,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        delays = runner.run(many_at_once(it, waits, ends))
    print(f"  {delays}")
    yield max(delays.seconds) < BURST_SECONDS


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
