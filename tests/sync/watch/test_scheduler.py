import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest

from gateway.config import SyncConfig
from gateway.sync.jobs.access import JobAccess
from gateway.sync.jobs.listing import Unlisted
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.watch.scheduler import MAX_IN_FLIGHT
from gateway.sync.watch.state import WaitVerdict
from gateway.sync.watch.watcher import Watcher
from tests.support.virtual_time import now
from tests.support.watched import Watched, access, is_empty, job_ids, of, waits

pytestmark = pytest.mark.virtual_time

FOUND = WaitVerdict.ENDED


async def test_jobs_of_one_token_share_requests() -> None:
    jobs = job_ids(100)
    upstream = Watched(dict.fromkeys(jobs, 5.0))
    ended = await waits(upstream.watcher(), of("a", jobs))
    assert all(verdict is FOUND and 5 <= at < 6 for verdict, at in ended)
    assert len(upstream.requests) < 25
    assert upstream.singles_asked == []


async def test_request_asks_for_two_hundred_jobs_at_most_and_others_follow() -> None:
    jobs = job_ids(1000)
    upstream = Watched(dict.fromkeys(jobs, 5.0))
    ended = await waits(upstream.watcher(), of("a", jobs))
    assert max(len(request.jobs) for request in upstream.lists_asked) == 200
    assert max(at for _, at in ended) < 7


async def test_tokens_and_organizations_share_no_request() -> None:
    jobs = job_ids(3)
    upstream = Watched(dict.fromkeys(jobs, 3.0))
    accesses = [*of("a", jobs[:1]), *of("b", jobs[1:2]), *of("a", jobs[2:], "globex")]
    await waits(upstream.watcher(), accesses)
    assert upstream.lists_asked == []
    askers = {(request.token, request.customer): request.jobs for request in upstream.requests}
    assert askers == {
        ("a", "acme"): (jobs[0],),
        ("b", "acme"): (jobs[1],),
        ("a", "globex"): (jobs[2],),
    }


async def test_list_with_a_token_has_only_jobs_that_this_token_waits_for() -> None:
    jobs = job_ids(30)
    of_a, of_b = jobs[:20], jobs[10:]
    upstream = Watched(dict.fromkeys(jobs, 20.0))
    await waits(upstream.watcher(), [*of("a", of_a), *of("b", of_b)])
    asked = {"a": set(of_a), "b": set(of_b)}
    for request in upstream.requests:
        assert set(request.jobs) <= asked[request.token]
    both = Counter(
        request.token for request in upstream.requests if set(request.jobs) & set(of_a) & set(of_b)
    )
    assert set(both) == {"a", "b"}


async def test_access_by_secret_joins_no_list() -> None:
    jobs = job_ids(2)
    upstream = Watched(dict.fromkeys(jobs, 3.0))
    by_secret = [
        JobAccess(job_id, "", one.credentials, secret=job_id[-1])
        for job_id, one in zip(jobs, of("", jobs), strict=True)
    ]
    await waits(upstream.watcher(), by_secret)
    assert upstream.lists_asked == []


async def test_requests_keep_to_the_budget_and_all_jobs_get_their_share() -> None:
    jobs = job_ids(200)
    upstream = Watched()
    accesses = [access("", job_id, str(number)) for number, job_id in enumerate(jobs)]
    await waits(upstream.watcher(max_polls_per_second=20), accesses, 50)
    assert 950 < len(upstream.requests) <= 50 * 20 + 5
    polls = Counter(request.jobs for request in upstream.requests)
    assert len(polls) == 200
    assert max(polls.values()) - min(polls.values()) <= 1


@pytest.mark.no_cover
async def test_one_token_cannot_take_the_budget_from_another() -> None:
    many = job_ids(1000)
    upstream = Watched({"f" * 24: 10.0})
    accesses = [*of("greedy", many), access("modest", "f" * 24)]
    ended = await waits(upstream.watcher(), accesses, 20)
    assert ended[-1][0] is FOUND
    assert ended[-1][1] < 11.3
    asked = Counter(request.token for request in upstream.requests)
    assert asked["greedy"] <= 20 * 17


@pytest.mark.no_cover
async def test_all_ends_within_one_second_are_found_within_what_the_budget_allows() -> None:
    # As many tokens as there are requests in ten seconds.
    jobs = job_ids(1000)
    upstream = Watched({job_id: 20 + index / 200 for index, job_id in enumerate(jobs[::5])})
    accesses = [access(str(index // 5), job_id) for index, job_id in enumerate(jobs)]

    ended = [
        at for verdict, at in await waits(upstream.watcher(), accesses, 40) if verdict is FOUND
    ]
    assert len(ended) == 200
    assert max(ended) < 32
    assert len(upstream.requests) <= 40 * 20 + 5


async def test_failing_upstream_is_asked_for_one_job_at_a_time_and_seldom() -> None:
    jobs = job_ids(500)
    upstream = Watched(
        dict.fromkeys(jobs, 5.0), says=lambda _: PollOutcome.FAILING if 5 <= now() < 15 else None
    )
    accesses = [access(str(index % 50), job_id) for index, job_id in enumerate(jobs)]
    ended = await waits(upstream.watcher(), accesses)
    assert all(verdict is FOUND for verdict, _ in ended)
    assert max(at for _, at in ended) < 23
    during = [request for request in upstream.requests if 6 < request.at < 15]
    assert len(during) < 30
    assert {len(request.jobs) for request in during} == {1}


async def test_revoked_token_is_told_to_its_own_waiters_only() -> None:
    jobs = job_ids(10)

    def denied(accesses: Sequence[JobAccess]) -> Unlisted | None:
        revoked = now() > 3 and accesses[0].credentials.query == "revoked"
        return Unlisted.DENIED if revoked else None

    def refused(one: JobAccess) -> PollOutcome | None:
        return PollOutcome.REFUSED if now() > 3 and one.credentials.query == "revoked" else None

    upstream = Watched(dict.fromkeys(jobs, 8.0), lists=denied, says=refused)
    accesses = [*of("revoked", jobs), *of("good", jobs)]
    ended = await waits(upstream.watcher(), accesses)
    assert all(3 < at < 6 for _, at in ended[:10])
    assert all(verdict is FOUND and 8 <= at < 9.5 for verdict, at in ended[10:])
    assert all(one.token == "good" for one in upstream.requests if one.at > 6)


async def test_slow_upstream_is_asked_less_often_and_never_for_much_at_once() -> None:
    jobs = job_ids(100)
    upstream = Watched(latency_seconds=5)
    accesses = [access(str(number), job_id) for number, job_id in enumerate(jobs)]
    await waits(upstream.watcher(), accesses, 50)
    assert len(upstream.requests) <= MAX_IN_FLIGHT * 50 / 5


async def test_error_in_a_poll_is_logged_and_the_job_polled_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def says(_: JobAccess) -> PollOutcome | None:
        if now() < 2:
            raise KeyError("bad luck")
        return PollOutcome.CHANGED

    upstream = Watched(says=says)
    ended = await waits(upstream.watcher(), of("a", job_ids(1)))
    assert ended[0][0] is FOUND
    assert 2 <= ended[0][1] < 5
    assert "bad luck" in caplog.text
    gaps = [later.at - earlier.at for earlier, later in pairwise(upstream.requests)]
    assert gaps == sorted(gaps)


async def test_request_for_a_watch_whose_waiter_has_left_is_the_next_ones() -> None:
    first, second = job_ids(2)
    upstream = Watched({second: 30.0})
    watcher = upstream.watcher()
    async with asyncio.TaskGroup() as group:
        old = watcher.wait(access("a", second), 55, waited_seconds=100)
        staying = group.create_task(old)
        await asyncio.sleep(1)
        leaving = group.create_task(watcher.wait(access("a", first), 55))
        await asyncio.sleep(0.05)
        leaving.cancel()
    assert staying.result() is FOUND
    assert all(request.jobs == (second,) for request in upstream.requests)
    assert is_empty(watcher)


async def test_client_that_leaves_during_a_list_does_not_disturb_those_it_is_for() -> None:
    first, second = job_ids(2)
    upstream = Watched({second: 0.0}, latency_seconds=1)
    watcher = upstream.watcher()
    async with asyncio.TaskGroup() as group:
        staying = group.create_task(watcher.wait(access("a", second), 55))
        leaving = group.create_task(watcher.wait(access("a", first), 55))
        await asyncio.sleep(0.5)
        leaving.cancel()
    assert staying.result() is FOUND
    assert [request.jobs for request in upstream.requests] == [(second, first)]
    assert is_empty(watcher)


def test_timers_of_uvloop_do_as_well() -> None:
    """Its timers that are due at once are of another kind."""
    uvloop = pytest.importorskip("uvloop")

    async def scenario() -> None:
        clock = asyncio.get_running_loop().time
        jobs = job_ids(20)
        upstream = Watched(says=lambda _: PollOutcome.CHANGED)
        watcher = Watcher(upstream, clock, lambda: 0.5, SyncConfig(min_poll_seconds=0.01))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(watcher.wait(access(job_id, job_id), 10)) for job_id in jobs]
            await asyncio.sleep(0)
            watcher.poll_all()
        assert {task.result() for task in tasks} == {FOUND}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


async def test_request_that_fails_for_an_unforeseen_reason_is_followed_by_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs = job_ids(2)
    faults = [ValueError("a fault of ours")] * 3

    def fails(_: Sequence[JobAccess]) -> None:
        if faults:
            raise faults.pop()

    upstream = Watched(dict.fromkeys(jobs, 3.0), lists=fails)
    ended = await waits(upstream.watcher(), of("a", jobs))
    assert [verdict for verdict, _ in ended] == [FOUND, FOUND]
    assert caplog.text.count("a fault of ours") == 3
    assert ended[0][1] < 20
