import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from gateway.config import SyncConfig
from gateway.sync.credentials import Credentials
from gateway.sync.orchestrator import Reading
from gateway.sync.watcher import Look, Verdict, Watcher
from tests.sync.theeye import JOB_ID
from tests.virtual_time import now, run


def waiter(name: str = "a", job_id: str = JOB_ID) -> Reading:
    return Reading(job_id, "acme", Credentials(name, ()))


@dataclass
class Job:
    """What looking at a job says at which time; records who looked and when."""

    says: Callable[[str], Look] = lambda _: Look.RUNNING
    looks: list[tuple[float, str]] = field(default_factory=list)

    async def look(self, reading: Reading) -> Look:
        self.looks.append((now(), reading.credentials.query))
        return self.says(reading.credentials.query)

    def watcher(self) -> Watcher:
        return Watcher(self.look, now, lambda: 0.5, SyncConfig())


def changing_at(seconds: float, then: Look = Look.CHANGED) -> Job:
    return Job(lambda _: then if now() >= seconds else Look.RUNNING)


@pytest.mark.parametrize("ends_at", [0.2, 3.0, 30.0])
def test_waiter_is_woken_within_a_tenth_of_the_jobs_age(ends_at: float) -> None:
    async def scenario() -> None:
        watcher = changing_at(ends_at).watcher()
        assert await watcher.wait(waiter(), 55) is Verdict.ENDED
        assert ends_at <= now() <= ends_at * 1.1 + 0.05
        assert watcher.stats().watches == 0

    run(scenario())


def test_wait_ends_when_its_time_is_up() -> None:
    async def scenario() -> None:
        job = Job()
        watcher = job.watcher()
        assert await watcher.wait(waiter(), 55) is Verdict.TIME_UP
        assert now() == 55
        assert 40 < len(job.looks) < 80
        assert watcher.stats().verdicts == {Verdict.TIME_UP: 1}

    run(scenario())


def test_job_waited_for_long_is_looked_at_seldom_from_the_start() -> None:
    async def scenario() -> None:
        job = Job()
        await job.watcher().wait(waiter(), 5, waited_seconds=60)
        assert len(job.looks) == 2

    run(scenario())


def test_many_waiters_share_one_watch_and_take_turns_asking() -> None:
    async def scenario() -> None:
        job = changing_at(5)
        watcher = job.watcher()
        names = [str(number) for number in range(200)]
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(watcher.wait(waiter(name), 55)) for name in names]
            await asyncio.sleep(1)
            stats = watcher.stats()
            assert (stats.watches, stats.waiters) == (1, 200)
        assert {wait.result() for wait in waits} == {Verdict.ENDED}
        askers = [name for _, name in job.looks]
        assert len(askers) < 50
        assert askers == names[: len(askers)]

    run(scenario())


def test_job_ids_are_the_same_in_either_case() -> None:
    async def scenario() -> None:
        watcher = changing_at(5).watcher()
        async with asyncio.TaskGroup() as group:
            for job_id in (JOB_ID, JOB_ID.upper()):
                group.create_task(watcher.wait(waiter(job_id=job_id), 55))
            await asyncio.sleep(1)
            assert watcher.stats().watches == 1

    run(scenario())


def test_first_to_leave_does_not_disturb_the_others() -> None:
    async def scenario() -> None:
        watcher = changing_at(5).watcher()
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(watcher.wait(waiter("first"), 55))
            impatient = group.create_task(watcher.wait(waiter("second"), 1))
            staying = group.create_task(watcher.wait(waiter("third"), 55))
            await asyncio.sleep(0.5)
            leaving.cancel()
        assert impatient.result() is Verdict.TIME_UP
        assert staying.result() is Verdict.ENDED
        assert now() < 5.6

    run(scenario())


def test_watch_ends_with_its_last_waiter() -> None:
    async def scenario() -> None:
        job = Job()
        watcher = job.watcher()
        await watcher.wait(waiter(), 1)
        await asyncio.sleep(0.01)
        looks = len(job.looks)
        assert len(watcher._tasks) == 0
        await asyncio.sleep(60)
        assert len(job.looks) == looks

    run(scenario())


def test_refusal_wakes_only_the_waiter_whose_token_it_was() -> None:
    async def scenario() -> None:
        job = Job(lambda name: Look.REFUSED if name == "revoked" else Look.RUNNING)
        watcher = job.watcher()
        async with asyncio.TaskGroup() as group:
            good = group.create_task(watcher.wait(waiter("good"), 3))
            revoked = group.create_task(watcher.wait(waiter("revoked"), 3))
        assert revoked.result() is Verdict.ENDED
        assert good.result() is Verdict.TIME_UP

    run(scenario())


def test_failing_upstream_is_asked_with_growing_gaps_until_it_answers() -> None:
    async def scenario() -> None:
        job = Job(lambda _: Look.CHANGED if now() > 20 else Look.FAILING)
        assert await job.watcher().wait(waiter(), 55) is Verdict.ENDED
        gaps = [later - earlier for (earlier, _), (later, _) in pairwise(job.looks)]
        assert all(later > earlier - 1e-6 for earlier, later in pairwise(gaps))
        assert len(gaps) < 15
        assert now() < 25

    run(scenario())


def test_look_that_raises_wakes_everybody() -> None:
    def fail(_: str) -> Look:
        raise KeyError

    async def scenario() -> None:
        watcher = Job(fail).watcher()
        assert await watcher.wait(waiter(), 55) is Verdict.ENDED
        assert now() < 1

    run(scenario())


def test_waiter_apart_shares_no_watch() -> None:
    async def scenario() -> None:
        job = Job(lambda name: Look.CHANGED if name == "a" and now() > 1 else Look.RUNNING)
        watcher = job.watcher()
        async with asyncio.TaskGroup() as group:
            shared = group.create_task(watcher.wait(waiter("a"), 3))
            apart = group.create_task(watcher.wait(waiter("b"), 3, apart=True))
            await asyncio.sleep(0)
            assert watcher.stats().watches == 2
        assert shared.result() is Verdict.ENDED
        assert apart.result() is Verdict.TIME_UP

    run(scenario())


def test_drain_releases_everybody_at_once_and_for_good() -> None:
    async def scenario() -> None:
        watcher = Job().watcher()
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(watcher.wait(waiter(n, n * 24), 55)) for n in "12"]
            await asyncio.sleep(1)
            watcher.drain()
        assert {wait.result() for wait in waits} == {Verdict.DRAINED}
        assert await watcher.wait(waiter(), 55) is Verdict.DRAINED
        assert now() == 1
        assert watcher.stats().verdicts == {Verdict.DRAINED: 3}
        await watcher.aclose()
        assert len(watcher._tasks) == 0

    run(scenario())


def test_reading_that_times_out_by_itself_is_no_drain() -> None:
    async def time_out() -> None:
        raise TimeoutError

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await Job().watcher().unless_drained(time_out())

    run(scenario())
