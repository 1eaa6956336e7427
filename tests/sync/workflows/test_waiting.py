import asyncio
from typing import Any

import pytest

from gateway.protocols.theeye.job import parse_job
from gateway.sync.jobs.reader import Found, Pending
from gateway.sync.watch.state import LastSeen, WaitVerdict
from gateway.sync.workflows.waiting import LONGEST_GAP_SECONDS, awaited, first_verdict, wait_for
from tests.support.running_workflow import A
from tests.support.running_workflow import access as access_to_workflow
from tests.support.theeye import job
from tests.support.virtual_time import now
from tests.support.watched import Watched

pytestmark = pytest.mark.virtual_time
JOB = "6b058e9a5b008b5bdfdf1001"


def found(pending: Any) -> Any:
    parsed = parse_job(job())
    assert parsed is not None
    return Found(parsed, (), pending)


async def verdict_after(seconds: Any, verdict: Any) -> Any:
    await asyncio.sleep(seconds)
    return verdict


async def test_first_verdict_ends_the_wait_and_the_others() -> None:
    ended = verdict_after(1, WaitVerdict.ENDED)
    assert await first_verdict([verdict_after(5, WaitVerdict.TIME_UP), ended]) is WaitVerdict.ENDED
    assert len(asyncio.all_tasks()) == 1


async def test_end_counts_more_than_a_time_that_is_up_at_once() -> None:
    waits = [verdict_after(1, verdict) for verdict in (WaitVerdict.TIME_UP, WaitVerdict.ENDED)]
    assert await first_verdict(waits) is WaitVerdict.ENDED


async def test_nothing_is_left_of_a_wait_that_is_given_up() -> None:
    waits = [verdict_after(9, WaitVerdict.ENDED), verdict_after(9, WaitVerdict.ENDED)]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await first_verdict(waits)
    assert len(asyncio.all_tasks()) == 1


def test_job_that_goes_on_is_waited_for_as_before() -> None:
    before = awaited(found(Pending(JOB, A)), 3.0, None)
    assert before is not None
    assert before.last_seen.task == ("acme", A)
    assert awaited(found(Pending(JOB, A)), 9.0, before) is before
    assert before.gap_seconds == float("inf")


def test_gaps_grow_while_the_next_job_is_to_come() -> None:
    step = awaited(found(Pending()), 3.0, None)
    gaps = []
    for _ in range(20):
        assert step is not None
        gaps.append(step.gap_seconds)
        step = awaited(found(Pending()), 4.0, step)
    assert gaps[:3] == [0.05, 0.1, 0.2]
    assert gaps[-1] == LONGEST_GAP_SECONDS


def test_gaps_grow_while_looks_tell_nothing() -> None:
    between = awaited(found(Pending()), 3.0, None)
    assert between is not None
    assert between.put_off().put_off().gap_seconds == 0.2
    running = awaited(found(Pending(JOB, A)), 3.0, None)
    assert running is not None
    assert running.put_off() is running


def test_gaps_begin_anew_after_a_job() -> None:
    between = awaited(found(Pending()), 3.0, awaited(found(Pending()), 2.0, None))
    running = awaited(found(Pending(JOB, "")), 4.0, between)
    assert running is not None
    assert running.last_seen.task is None
    again = awaited(found(Pending()), 5.0, running)
    assert again is not None
    assert again.gap_seconds == 0.05


def test_tasks_job_awaits_nothing_else() -> None:
    assert awaited(found(None), 3.0, None) is None


@pytest.mark.parametrize(
    ("pending", "seconds", "verdicts"),
    [
        (Pending(JOB, A), 3, {WaitVerdict.TIME_UP: 1}),
        (Pending(JOB, A), 9, {WaitVerdict.ENDED: 1}),
        (Pending(), 9, {}),
        (Pending(), 0.01, {WaitVerdict.TIME_UP: 1}),
    ],
)
async def test_client_counts_once_for_all_that_it_waits_for(
    pending: Any, seconds: Any, verdicts: Any
) -> None:
    watcher = Watched(ends={JOB: 5.0}).watcher()
    goes_on = awaited(found(pending), now(), None)
    for for_client in (True, False):
        waiting = wait_for(
            watcher,
            access_to_workflow(),
            goes_on,
            seconds,
            waited_seconds=0.0,
            last_seen=LastSeen(now()),
            false_alarms=0,
            for_client=for_client,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(waiting)
            await asyncio.sleep(0.005)
            assert watcher.stats().waiters == for_client
    assert watcher.stats().verdicts == verdicts
    await watcher.aclose()
