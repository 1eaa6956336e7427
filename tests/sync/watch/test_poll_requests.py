import asyncio
from collections.abc import Sequence
from itertools import cycle

import pytest

from gateway.sync.jobs.access import JobAccess
from gateway.sync.jobs.listing import Unlisted
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.watch.poll_requests import FAILED_SECONDS, MAX_FAILED_LISTS, REFUSED_SECONDS
from gateway.sync.watch.state import WaitVerdict
from tests.support.watched import Watched, job_ids, of, waits

pytestmark = pytest.mark.virtual_time

FOUND = WaitVerdict.ENDED


@pytest.mark.parametrize("refusal", [Unlisted.REFUSED, Unlisted.DENIED])
async def test_token_that_gets_no_lists_is_asked_with_for_single_jobs(refusal: Unlisted) -> None:
    jobs = job_ids(4)

    def lists(accesses: Sequence[JobAccess]) -> Unlisted | None:
        return refusal if accesses[0].credentials.query == "agent" else None

    upstream = Watched(dict.fromkeys(jobs, 25.0), lists=lists)

    watcher = upstream.watcher()
    accesses = of("agent", jobs[:2])
    # Where a list is denied its waiters read for themselves; these are shown the job again.
    first = await waits(watcher, accesses) if refusal is Unlisted.DENIED else []
    assert all(at < 1 for _, at in first)
    second = await waits(watcher, [*accesses, *of("user", jobs[2:])])
    assert all(verdict is FOUND and 25 <= at < 29 for verdict, at in second)
    assert [len(one.jobs) for one in upstream.lists_asked if one.token == "agent"] == [2]
    assert any(one.token == "user" for one in upstream.lists_asked)


async def test_refusal_of_lists_is_forgotten_after_a_while() -> None:
    jobs = job_ids(2)
    upstream = Watched(lists=lambda _: Unlisted.REFUSED)

    watcher = upstream.watcher()
    for _ in range(2):
        await waits(watcher, of("a", jobs), 5)
    assert len(upstream.lists_asked) == 1
    await asyncio.sleep(REFUSED_SECONDS)
    await waits(watcher, of("a", jobs), 5)
    assert len(upstream.lists_asked) == 2
    assert len(watcher._scheduler._requests._refused) == 1


async def test_token_whose_lists_alone_fail_is_asked_with_for_single_jobs_for_a_while() -> None:
    jobs = job_ids(20)
    upstream = Watched(dict.fromkeys(jobs, 40.0), lists=lambda _: Unlisted.FAILING)

    watcher = upstream.watcher()
    ended = await waits(watcher, of("a", jobs))
    assert all(verdict is FOUND and at < 46 for verdict, at in ended)
    assert len(upstream.lists_asked) == MAX_FAILED_LISTS
    await asyncio.sleep(FAILED_SECONDS)
    await waits(watcher, of("a", jobs))
    assert len(upstream.lists_asked) > MAX_FAILED_LISTS


async def test_list_that_is_answered_makes_up_for_those_that_failed() -> None:
    jobs = job_ids(20)
    answers = cycle([Unlisted.FAILING, Unlisted.FAILING, None])
    upstream = Watched(dict.fromkeys(jobs, 40.0), lists=lambda _: next(answers))
    await waits(upstream.watcher(), of("a", jobs))
    assert len(upstream.lists_asked) > 3 * MAX_FAILED_LISTS


async def test_job_that_makes_lists_fail_is_found_and_asked_for_by_itself() -> None:
    jobs = job_ids(64)
    bad = jobs[37]
    upstream = Watched(
        dict.fromkeys(jobs, 20.0),
        lists=lambda many: Unlisted.TOO_MUCH if any(one.job_id == bad for one in many) else None,
    )
    ended = await waits(upstream.watcher(), of("a", jobs))
    assert all(verdict is FOUND and at < 22.5 for verdict, at in ended)
    failed = [request for request in upstream.lists_asked if bad in request.jobs]
    assert len(failed) <= 7
    assert failed[-1].at < 3


async def test_lists_that_always_fail_are_given_up_after_a_bounded_number_of_requests() -> None:
    jobs = job_ids(200)
    upstream = Watched(lists=lambda _: Unlisted.TOO_MUCH)
    await waits(upstream.watcher(), of("a", jobs), 60)
    assert len(upstream.lists_asked) < 60
    assert upstream.lists_asked[-1].at < 20
    assert {one.jobs[0] for one in upstream.singles_asked} == set(jobs)


async def test_job_missing_from_a_list_is_asked_for_by_itself_before_anyone_is_told() -> None:
    jobs = job_ids(3)
    upstream = Watched(
        ends={jobs[1]: 4.0},
        gone={jobs[0]: 2.0},
        # This one only the job's own route shows.
        lists=lambda many: (
            {one.job_id: PollOutcome.RUNNING for one in many if one.job_id == jobs[2]}
            if any(one.job_id == jobs[1] for one in many)
            else None
        ),
    )
    ended = await waits(upstream.watcher(), of("a", jobs), 10)
    assert [verdict for verdict, _ in ended] == [FOUND, FOUND, WaitVerdict.TIME_UP]
    assert 2 <= ended[0][1] < 2.5
    assert 4 <= ended[1][1] < 4.8
    alone = [request.at for request in upstream.singles_asked if request.jobs == (jobs[0],)]
    assert alone[-1] == ended[0][1]


async def test_jobs_that_run_are_listed_once_in_a_while_and_else_only_those_that_have_ended() -> (
    None
):
    jobs = job_ids(10)
    upstream = Watched(dict.fromkeys(jobs, 30.0))
    ended = await waits(upstream.watcher(), of("a", jobs))
    assert all(verdict is FOUND and at < 33.5 for verdict, at in ended)
    whole = [one.at for one in upstream.lists_asked if not one.only_ended]
    assert not upstream.lists_asked[0].only_ended
    assert len(whole) < len(upstream.lists_asked) / 3
    pairs = zip(whole, [*whole[1:], ended[0][1]], strict=True)
    assert all(later - earlier < 5 + 5.5 for earlier, later in pairs)


@pytest.mark.parametrize("at", [0.5, 3.0, 20.0, 40.0])
async def test_removed_job_is_missed_although_only_ended_ones_are_listed(at: float) -> None:
    jobs = job_ids(10)
    upstream = Watched(gone={jobs[4]: at})
    ended = await waits(upstream.watcher(), of("a", jobs))
    verdict, told_at = ended.pop(4)
    assert verdict is FOUND
    assert at <= told_at < at + 5 + 2 + at / 10
    assert all(verdict is WaitVerdict.TIME_UP for verdict, _ in ended)


async def test_upstream_that_lists_all_jobs_whatever_is_asked_for_is_understood() -> None:
    jobs = job_ids(10)
    upstream = Watched({jobs[3]: 8.0}, filters=False)
    ended = await waits(upstream.watcher(), of("a", jobs), 20)
    assert [verdict is FOUND for verdict, _ in ended] == [job == jobs[3] for job in jobs]
    assert all(one.jobs == (jobs[3],) for one in upstream.singles_asked)


async def test_poll_that_takes_too_long_is_a_failure() -> None:
    upstream = Watched({job_ids(1)[0]: 1.0}, latency_seconds=60)

    watcher = upstream.watcher()
    async with asyncio.TaskGroup() as group:
        group.create_task(waits(watcher, of("a", job_ids(2)), 40))
        await asyncio.sleep(20)
        upstream.latency_seconds = 0
    assert len(upstream.requests) < 40
    assert [len(request.jobs) for request in upstream.requests[:2]] == [2, 1]
