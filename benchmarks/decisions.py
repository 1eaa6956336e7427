"""What a decision of the limits takes: in memory, in memory that workers share, and in Redis."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from benchmarks.processes import free_port
from gateway.admission.identity.identities import Identities, Identity
from gateway.admission.limits.admission import Admission
from gateway.admission.limits.gcra import Rate
from gateway.admission.limits.holds import Holds
from gateway.admission.limits.memory_budgets import Budget, MemoryBudgets, Use
from gateway.admission.limits.redis_budgets import RedisBudgets
from gateway.admission.limits.rules import Rules
from gateway.admission.shared.budgets import SharedBudgets
from gateway.config import IdentityConfig, KindLimits, LimitsConfig, RedisConfig
from gateway.protocols.http.fields import lowered
from gateway.protocols.http.query import NO_QUERY
from gateway.protocols.theeye.routes import RouteKind, classify
from gateway.proxy.limits import Limits
from gateway.shared.locks import Locks
from gateway.shared.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


MEMORY_MICROSECONDS = 15.0
"""What a decision in memory may take."""
TOKENS = 5000
KNOWN = 1000
"""Of those, for whole requests."""
ROUNDS = 7
WIDE = KindLimits(per_second=100_000.0, burst=1_000_000, content_bytes=2**20)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000, help="decisions in a round")
    count = parser.parse_args().count
    memory = _in_memory(count)
    print(f"a decision in memory, {TOKENS} tokens: {memory:.2f} µs")
    print(f"a decision in memory that workers share: {_in_shared_memory(count):.2f} µs")
    for with_fields in (False, True):
        admitted = _identified_and_admitted(count, with_fields=with_fields)
        told = ", with RateLimit fields" if with_fields else ""
        print(f"identify, admit and settle a request{told}: {admitted:.2f} µs")
    if shutil.which("redis-server") is None:
        print("not measured: Redis, there is no redis-server")
    else:
        with _redis() as url:
            asyncio.run(_in_redis(url, count // 25))
    is_reached = memory < MEMORY_MICROSECONDS
    verdict = "PASS" if is_reached else "FAIL"
    print(f"{verdict}: a decision in memory < {MEMORY_MICROSECONDS:g} µs: {memory:.2f}")
    return 0 if is_reached else 1


def _microseconds(call: Callable[[int], object], count: int) -> float:
    """The median over rounds of what one call takes."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for number in range(count):
            call(number)
        rounds.append((time.perf_counter() - began) / count * 1e6)
    return statistics.median(rounds)


def _budgets() -> list[tuple[Budget, ...]]:
    rate = Rate(WIDE.per_second, WIDE.burst)
    keys = (number.to_bytes(16, "big") for number in range(TOKENS))
    return [(Budget(RouteKind.OTHER, key, rate, is_known=True),) for key in keys]


def _in_memory(count: int) -> float:
    memory, budgets = MemoryBudgets(), _budgets()
    return _microseconds(lambda n: memory.use(budgets[n % TOKENS], Use.TAKE, 1000 * n), count)


def _in_shared_memory(count: int) -> float:
    segment, budgets = Segment.made(1), _budgets()
    shared = SharedBudgets(
        segment.budgets, segment.secret, Locks(segment.descriptor, time.monotonic)
    )
    return _microseconds(lambda n: shared.use(budgets[n % TOKENS], Use.TAKE, 1000 * n), count)


def _identified_and_admitted(count: int, *, with_fields: bool) -> float:
    identities = Identities(IdentityConfig(), None, time.monotonic, time.monotonic, 5.0)
    limits = Limits(
        rules=Rules(LimitsConfig(other=WIDE)),
        memory=MemoryBudgets(),
        shared=None,
        holds=Holds(1, time.monotonic),
        is_accepted=identities.is_accepted,
        trials=identities.trials,
        anonymous=identities.anonymous,
        is_enforced=True,
        with_fields=with_fields,
    )
    usual = [(b"Host", b"gateway"), (b"User-Agent", b"curl/8"), (b"Accept", b"*/*")]
    tokens = [b"Bearer %b%d" % (b"x" * 300, number) for number in range(KNOWN)]
    requests = [(*usual, (b"Authorization", token)) for token in tokens]
    names = lowered(requests[0])

    def identity(number: int) -> Identity:
        found = identities.identify(NO_QUERY, requests[number % KNOWN], names, "192.0.2.7")
        assert found is not None
        return found

    for number in range(KNOWN):
        identities.answered(identity(number), 200)

    def admit(number: int) -> None:
        kind = classify("GET", "/acme/task").kind
        admission = Admission(kind, NO_QUERY, "192.0.2.7", time.monotonic())
        limits.admit(admission, identity(number))
        limits.settle(
            admission, time.monotonic(), held_seconds=0.0, was_drained=False, bytes_received=0
        )

    return _microseconds(admit, count)


@contextmanager
def _redis() -> Iterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
        with subprocess.Popen([*command, "--dir", folder], stdout=subprocess.DEVNULL) as server:
            try:
                yield f"redis://127.0.0.1:{port}/0"
            finally:
                server.terminate()


async def _in_redis(url: str, count: int) -> None:
    config = RedisConfig(url=url, answer_seconds=5.0)
    shared = RedisBudgets(config, MemoryBudgets(), time.monotonic, random.random)
    budgets = _budgets()
    try:
        while not shared.stats().decisions:
            await shared.use(budgets[0], Use.TAKE, 0)
            await asyncio.sleep(0.05)
        fallbacks = shared.stats().fallbacks
        async with Redis.from_url(url) as client:
            ping = await _awaited(lambda _: client.ping(), count)
        alone = await _awaited(lambda n: shared.use(budgets[n % TOKENS], Use.TAKE, n), count)
        began = time.perf_counter()
        for _ in range(count // 100):
            await asyncio.gather(*(shared.use(each, Use.TAKE, 0) for each in budgets[:100]))
        together = (time.perf_counter() - began) / (count // 100 * 100) * 1e6
        assert shared.stats().fallbacks == fallbacks
    finally:
        await shared.aclose()
    print(f"a PING of the same Redis, one after the other: {ping:.0f} µs")
    print(f"a decision in Redis, one after the other: {alone:.0f} µs")
    print(f"a decision in Redis, 100 at once: {together:.0f} µs for each")


async def _awaited(call: Callable[[int], object], count: int) -> float:
    rounds = []
    for number in range(count):
        began = time.perf_counter()
        await call(number)  # type: ignore[misc]
        rounds.append((time.perf_counter() - began) * 1e6)
    return statistics.median(rounds)
