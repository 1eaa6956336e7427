"""The real watcher in front of a simulated upstream, on virtual time: hours of waits in seconds."""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.config import SyncConfig
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.watch.state import LastSeen
from gateway.sync.watch.watcher import Watcher
from tests.support.virtual_time import now, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sync.jobs.listing import Listing
    from gateway.sync.jobs.ranges import Ended, IdRange


READ_SECONDS = 0.004
LIST_SECONDS = 0.012
"""What an idle orchestrator takes for a job, and for a list of about twenty."""
HOLD_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Job:
    id: str
    token: str
    begins: float
    seconds: float

    @property
    def ends(self) -> float:
        return self.begins + self.seconds

    @property
    def access(self) -> JobAccess:
        return JobAccess(self.id, "acme", Credentials(self.token, ()))


@dataclass(slots=True)
class SimulatedUpstream:
    ends: dict[str, float]
    counted: tuple[float, float]
    polls: int = 0

    async def poll(self, access: JobAccess) -> PollOutcome:
        self.polls += self._counts()
        await asyncio.sleep(READ_SECONDS)
        return self._at(access)

    async def poll_many(self, accesses: Sequence[JobAccess], *, only_ended: bool) -> Listing:
        self.polls += self._counts()
        await asyncio.sleep(LIST_SECONDS)
        outcomes = {access.job_id: self._at(access) for access in accesses}
        return {
            job_id: outcome
            for job_id, outcome in outcomes.items()
            if not only_ended or outcome is PollOutcome.CHANGED
        }

    async def poll_range(self, access: JobAccess, ids: IdRange) -> Ended:
        self.polls += self._counts()
        await asyncio.sleep(READ_SECONDS)
        assert access.customer
        return frozenset(one for one, end in self.ends.items() if one in ids and end <= now())

    def _counts(self) -> bool:
        return self.counted[0] <= now() < self.counted[1]

    def _at(self, access: JobAccess) -> PollOutcome:
        return PollOutcome.CHANGED if self.ends[access.job_id] <= now() else PollOutcome.RUNNING


@dataclass(frozen=True, slots=True)
class Outcome:
    job: Job
    late_seconds: float
    """From the job's end to its result at the gateway."""


@dataclass(frozen=True, slots=True)
class Findings:
    outcomes: tuple[Outcome, ...]
    polls: int
    """Requests to see whether jobs have ended; two reads for each job come on top."""

    @property
    def requests_per_job(self) -> float:
        """All requests, with the reads when a wait begins and ends."""
        return self.polls / len(self.outcomes) + 2

    def without(self, first: int) -> Findings:
        """The same without the first jobs; the requests are those of an average job."""
        kept = self.outcomes[first:]
        return Findings(kept, round(self.polls * len(kept) / len(self.outcomes)))

    def late(self, quantile: int, floor_seconds: float, share: float) -> tuple[float, float]:
        """The percentile of the latency as a share of the run time, and of what is allowed: that
        share or ``floor_seconds``, whichever is more (1.0: just so)."""
        shares = sorted(one.late_seconds / one.job.seconds for one in self.outcomes)
        allowed = sorted(
            one.late_seconds / max(floor_seconds, share * one.job.seconds) for one in self.outcomes
        )
        at = min(len(shares) - 1, math.ceil(len(shares) * quantile / 100) - 1)
        return shares[at], allowed[at]


def lognormal(chance: random.Random, median: float, sigma: float, most: float = 60.0) -> float:
    """A run time; longer ones than ``most`` are drawn again."""
    while True:
        seconds = chance.lognormvariate(math.log(median), sigma)
        if 0.05 < seconds <= most:
            return seconds


def simulate(
    jobs: Sequence[Job],
    *,
    task: tuple[str, str] | None = None,
    counted: tuple[float, float] = (0.0, float("inf")),
    **settings: float,
) -> Findings:
    """Each job is waited for by one client from its beginning on. With ``task`` all are of one
    task, so later ones are polled as the earlier ones have taught. Only what happens in the
    span ``counted`` counts: requests sent, jobs ended."""
    upstream = SimulatedUpstream({job.id: job.ends for job in jobs}, counted)
    chance = random.Random(1)  # noqa: S311 - no secret
    outcomes: list[Outcome] = []

    async def client(watcher: Watcher, job: Job) -> None:
        await asyncio.sleep(job.begins)
        await asyncio.sleep(READ_SECONDS)
        if job.ends > now():
            await watcher.wait(job.access, HOLD_SECONDS, last_seen=LastSeen(now(), task))
            if task is not None:
                watcher.learn(task, job.id, job.seconds)
        await asyncio.sleep(READ_SECONDS)
        if counted[0] <= job.ends < counted[1]:
            outcomes.append(Outcome(job, now() - job.ends))

    async def scenario() -> None:
        watcher = Watcher(upstream, now, chance.random, SyncConfig(**settings))  # type: ignore[arg-type]
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(client(watcher, job))
        await watcher.aclose()

    run(scenario())
    return Findings(tuple(outcomes), upstream.polls)


def simulate_fixed(jobs: Sequence[Job], every_seconds: float = 1.0) -> Findings:
    """The same by reading each job every so often."""
    chance = random.Random(1)  # noqa: S311 - no secret
    outcomes, polls = [], 0
    for job in jobs:
        # The first read comes at once; the job's end lies anywhere between two others.
        first = job.begins + READ_SECONDS * chance.random()
        reads = max(0, math.ceil((job.ends - first) / every_seconds))
        polls += max(0, reads - 1)
        late = first + reads * every_seconds + READ_SECONDS - job.ends
        outcomes.append(Outcome(job, late))
    return Findings(tuple(outcomes), polls)


def alone(number: int, median: float, sigma: float, seed: int = 1) -> list[Job]:
    """Jobs one after the other."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    jobs, begins = [], 0.0
    for index in range(number):
        seconds = lognormal(chance, median, sigma)
        jobs.append(Job(f"{index:024x}", "a", begins, seconds))
        begins += seconds + 70.0
    return jobs


def lone(number: int, least: float, most: float) -> list[Job]:
    """Jobs one after the other, whose run times are spread evenly."""
    chance = random.Random(1)  # noqa: S311 - no secret
    return in_turn([chance.uniform(least, most) for _ in range(number)])


def in_turn(runs: Sequence[float]) -> list[Job]:
    """Jobs one after the other, with these run times."""
    private = max(runs) + 70.0
    return [Job(f"{n:024x}", "a", n * private, seconds) for n, seconds in enumerate(runs)]


def together(concurrent: int, seconds: float, median: float, sigma: float) -> list[Job]:
    """Jobs that keep ``concurrent`` running for so long: where one ends the next begins."""
    chance = random.Random(1)  # noqa: S311 - no secret
    jobs: list[Job] = []
    for _ in range(concurrent):
        begins = chance.random() * median
        while begins < seconds:
            runs = lognormal(chance, median, sigma)
            jobs.append(Job(f"{len(jobs):024x}", "a", begins, runs))
            begins += runs
    return jobs
