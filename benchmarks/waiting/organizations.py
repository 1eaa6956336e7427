"""Measures what one look for a whole organization is worth, beside a list for each token.

On virtual time, with the real watcher, and an orchestrator that takes 4 ms for a response, 0.1 ms
for each job in it and 2 µs for each that is looked at.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.waiting.simulation import lone, simulate
from benchmarks.waiting.table import Floor, row, show, titles
from gateway.config import SyncConfig
from gateway.demo.orchestrator import Costs
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.watch.state import LastSeen
from gateway.sync.watch.watcher import Watcher
from tests.support.virtual_time import now, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.sync.jobs.listing import Listing
    from gateway.sync.jobs.ranges import Ended, IdRange

ENDS = 1000
ENDS_AT = 20.0
"""Age of the jobs when the first ends; the last of them ends a second later."""
STEADY_FROM = 6.0
HOLD_SECONDS = 50.0
COSTS = Costs()


@dataclass(slots=True)
class PricedUpstream:
    organization: dict[str, str]
    ends: dict[str, float]
    requests: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    steady_seconds: float = 0.0

    async def poll(self, access: JobAccess) -> PollOutcome:
        await self._take("job", 1, 1)
        return self._at(access.job_id)

    async def poll_many(self, accesses: Sequence[JobAccess], *, only_ended: bool) -> Listing:
        said = {one.job_id: self._at(one.job_id) for one in accesses}
        if only_ended:
            said = {one: was for one, was in said.items() if was is PollOutcome.CHANGED}
        await self._take("list", len(said), len(accesses))
        return said

    async def poll_range(self, access: JobAccess, ids: IdRange) -> Ended:
        found = frozenset(
            one
            for one, at in self.ends.items()
            if at <= now() and one in ids and self.organization[one] == access.customer
        )
        # The index of ids has the jobs of all organizations.
        await self._take("range", len(found), len(self.organization))
        return found

    async def _take(self, kind: str, returned: int, scanned: int) -> None:
        seconds = COSTS.answer + COSTS.returned * returned + COSTS.scanned * scanned
        self.seconds += seconds
        if STEADY_FROM <= now() < ENDS_AT:
            self.requests[kind] += 1
            self.steady_seconds += seconds
        await asyncio.sleep(seconds)

    def _at(self, job_id: str) -> PollOutcome:
        has_ended = self.ends.get(job_id, HOLD_SECONDS * 2) <= now()
        return PollOutcome.CHANGED if has_ended else PollOutcome.RUNNING


@dataclass(frozen=True, slots=True)
class Noticed:
    late_p50: float
    last: float
    """From the first end to the last notice."""
    upstream: PricedUpstream


def notice(waits: int, tokens: int, organizations: int, *, scouts: bool) -> Noticed:
    """Jobs that were created within some seconds; some of all tokens end within one second."""
    jobs = [f"{1_700_000_000 + n // 1000:08x}{n:016x}" for n in range(waits)]
    chance = random.Random(1)  # noqa: S311 - no secret
    ending = chance.sample(jobs, min(ENDS, waits))
    upstream = PricedUpstream(
        {one: f"o{n % tokens % organizations}" for n, one in enumerate(jobs)},
        {one: ENDS_AT + n / len(ending) for n, one in enumerate(ending)},
    )
    late: dict[str, float] = {}

    async def client(watcher: Watcher, number: int, job_id: str) -> None:
        token = Credentials(f"t{number % tokens}", ())
        access = JobAccess(job_id, upstream.organization[job_id], token)
        await watcher.wait(access, HOLD_SECONDS, last_seen=LastSeen(now()))
        if job_id in upstream.ends:
            late[job_id] = now() - upstream.ends[job_id]

    async def scenario() -> None:
        watcher = Watcher(upstream, now, chance.random, SyncConfig(scouts=scouts))
        async with asyncio.TaskGroup() as group:
            for number, one in enumerate(jobs):
                group.create_task(client(watcher, number, one))
        await watcher.aclose()

    run(scenario())
    last = max(upstream.ends[one] + seconds for one, seconds in late.items()) - ENDS_AT
    return Noticed(statistics.median(late.values()), last, upstream)


def main(_arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a floor is missed."""
    floors: list[Floor] = []
    show(_noticed(floors))
    show(_gaps())
    show(map(str, floors))
    return 0 if all(floor.is_reached for floor in floors) else 1


def _noticed(floors: list[Floor]) -> Iterator[str]:
    yield from titles(
        "waits, tokens, organizations",
        *("late p50 s", "last of the ends after s", "requests/s", "of a range"),
        *("upstream's ms a request", "ms a second", "µs for each look at a job"),
    )
    for waits, tokens, organizations in ((10_000, 200, 10), (10_000, 1, 1), (200, 200, 200)):
        before: Noticed | None = None
        for scouts in (False, True):
            found = notice(waits, tokens, organizations, scouts=scouts)
            yield _row(f"{waits:,}, {tokens}, {organizations}", found, scouts, waits, tokens)
            what = f"{waits:,} waits of {tokens} tokens"
            if scouts and before is not None:
                late = before.late_p50 * 1.05 if tokens == organizations > 1 else 0.6
                floors.append(Floor(f"{what}: late p50 s", found.late_p50, late))
            if scouts and tokens == 200 and organizations == 10:
                floors.append(Floor(f"{what}: last after s", found.last, 3))
            before = found


def _row(what: str, found: Noticed, scouts: bool, waits: int, tokens: int) -> str:
    upstream, seconds = found.upstream, ENDS_AT - STEADY_FROM
    requests = sum(upstream.requests.values())
    ranges, spent = upstream.requests["range"], upstream.steady_seconds
    served = waits / (10 if tokens == 200 else 1)
    each = min(200, waits / tokens)
    looks = ranges * served + (requests - ranges) * (200 if ranges else each)
    return row(
        f"{what}, {'**one look**' if scouts else 'a list for each token'}",
        f"{found.late_p50:.2f}",
        f"{found.last:.2f}",
        f"{requests / seconds:.1f}",
        f"{ranges / seconds:.1f}",
        f"{spent / requests * 1e3:.1f}",
        f"{spent / seconds * 1e3:.0f}",
        f"{spent / looks * 1e6:.0f}",
    )


def _gaps() -> Iterator[str]:
    yield from titles("one job at a time of 2 to 20 s", "late p50", "p95", "requests for each")
    jobs = lone(300, 2.0, 20.0)
    for share in (0.05, 0.07, 0.1):
        found = simulate(jobs, poll_share_of_age=share)
        p50, p95 = found.late(50, 0.1, 0.07)[0], found.late(95, 0.25, 0.15)[0]
        cells = (f"{p50:.1%}", f"{p95:.1%}", f"{found.requests_per_job:.1f}")
        yield row(f"gap {share:.0%} of the age", *cells)


if __name__ == "__main__":
    raise SystemExit(main())
