import asyncio
from itertools import pairwise

import pytest

from gateway.admission.identity.identities import ANONYMOUS
from gateway.config import SyncConfig
from gateway.sync.jobs.access import JobAccess
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.looks.cover import Cover
from gateway.sync.watch.state import HeldRequest, LastSeen, Share, WaitVerdict
from gateway.sync.watch.watcher import TRUST_SECONDS
from gateway.tasks import Tasks
from tests.support.theeye import JOB_ID
from tests.support.virtual_time import now
from tests.support.watched import Watched, access, is_empty, job_ids, of

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("ends_at", [0.2, 3.0, 30.0])
async def test_waiter_is_woken_within_a_tenth_of_the_jobs_age(ends_at: float) -> None:
    watcher = Watched({JOB_ID: ends_at}).watcher()
    assert await watcher.wait(access(), 55) is WaitVerdict.ENDED
    assert ends_at <= now() <= ends_at * 1.1 + 0.2
    await asyncio.sleep(0)
    assert is_empty(watcher)


async def test_wait_ends_when_its_time_is_up() -> None:
    upstream = Watched()
    watcher = upstream.watcher()
    assert await watcher.wait(access(), 55) is WaitVerdict.TIME_UP
    assert now() == 55
    assert 30 < len(upstream.requests) < 50
    assert watcher.stats().verdicts == {WaitVerdict.TIME_UP: 1}
    assert watcher.stats().polls == len(upstream.requests)
    assert is_empty(watcher)


async def test_job_waited_for_long_is_polled_seldom_from_the_start() -> None:
    upstream = Watched()
    await upstream.watcher().wait(access(), 8, waited_seconds=60)
    assert len(upstream.requests) == 1


async def test_many_waiters_share_one_watch_and_lend_their_credentials_in_rotation() -> None:
    upstream = Watched({JOB_ID: 5.0})
    watcher = upstream.watcher()
    names = [str(number) for number in range(200)]
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(watcher.wait(access(name), 55)) for name in names]
        await asyncio.sleep(1)
        stats = watcher.stats()
        assert (stats.watches, stats.waiters) == (1, 200)
    assert {wait.result() for wait in waits} == {WaitVerdict.ENDED}
    askers = [request.token for request in upstream.requests]
    assert len(askers) < 25
    assert askers == names[: len(askers)]
    assert is_empty(watcher)


async def test_job_ids_are_the_same_in_either_case() -> None:
    watcher = Watched({JOB_ID: 5.0, JOB_ID.upper(): 5.0}).watcher()
    async with asyncio.TaskGroup() as group:
        for job_id in (JOB_ID, JOB_ID.upper()):
            group.create_task(watcher.wait(access(job_id=job_id), 55))
        await asyncio.sleep(1)
        assert watcher.stats().watches == 1


async def test_first_to_leave_does_not_disturb_the_others() -> None:
    watcher = Watched({JOB_ID: 5.0}).watcher()
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(watcher.wait(access("first"), 55))
        impatient = group.create_task(watcher.wait(access("second"), 1))
        staying = group.create_task(watcher.wait(access("third"), 55))
        await asyncio.sleep(0.5)
        leaving.cancel()
    assert impatient.result() is WaitVerdict.TIME_UP
    assert staying.result() is WaitVerdict.ENDED
    assert now() < 5.7
    assert is_empty(watcher)


async def test_nobody_is_asked_with_the_credentials_of_one_who_has_left() -> None:
    upstream = Watched()
    watcher = upstream.watcher()
    async with asyncio.TaskGroup() as group:
        group.create_task(watcher.wait(access("leaves"), 1))
        group.create_task(watcher.wait(access("stays"), 4))
    assert {request.token for request in upstream.requests if request.at > 1} == {"stays"}


async def test_request_that_nobody_waits_for_any_more_is_given_up() -> None:
    upstream = Watched(latency_seconds=10)
    watcher = upstream.watcher()
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(watcher.wait(access(), 55))
        await asyncio.sleep(1)
        leaving.cancel()
    assert len(upstream.requests) == 1
    await asyncio.sleep(0)
    assert is_empty(watcher)


@pytest.mark.parametrize(("latency", "waits_until"), [(1.0, 3.0), (2.5, 3.6)])
async def test_poll_that_a_clients_redirect_overtakes_is_not_lost(
    latency: float, waits_until: float
) -> None:
    upstream = Watched({JOB_ID: 1.0}, latency_seconds=latency)
    watcher = upstream.watcher()
    last_seen = LastSeen(now())
    await asyncio.sleep(1)
    assert await watcher.wait(access(), 1, last_seen=last_seen) is WaitVerdict.TIME_UP
    await asyncio.sleep(1)
    assert await watcher.wait(access(), 55, last_seen=last_seen) is WaitVerdict.ENDED
    assert now() == pytest.approx(waits_until)
    await asyncio.sleep(20)
    assert is_empty(watcher)


async def test_refusal_wakes_only_the_waiters_whose_token_it_was() -> None:
    upstream = Watched(
        says=lambda one: PollOutcome.REFUSED if one.credentials.query == "revoked" else None
    )
    watcher = upstream.watcher()
    async with asyncio.TaskGroup() as group:
        good = group.create_task(watcher.wait(access("good"), 3))
        revoked = [group.create_task(watcher.wait(access("revoked"), 3)) for _ in range(2)]
    assert [wait.result() for wait in revoked] == [WaitVerdict.ENDED] * 2
    assert good.result() is WaitVerdict.TIME_UP
    assert is_empty(watcher)


async def test_failing_upstream_is_asked_with_growing_gaps_until_it_answers() -> None:
    upstream = Watched(says=lambda _: PollOutcome.CHANGED if now() > 20 else PollOutcome.FAILING)
    assert await upstream.watcher().wait(access(), 55) is WaitVerdict.ENDED
    gaps = [later.at - earlier.at for earlier, later in pairwise(upstream.requests)]
    assert all(later > earlier - 1e-6 for earlier, later in pairwise(gaps))
    assert len(gaps) < 12
    assert now() < 25.5


async def test_waiter_not_known_to_be_allowed_shares_no_watch_until_it_is() -> None:
    allowed_at = 2.0

    def says(one: object) -> PollOutcome | None:
        return PollOutcome.FAILING if "b" in repr(one) and now() < allowed_at else None

    upstream = Watched({JOB_ID: 6.0})
    upstream.says = lambda one: says(one.credentials.query)
    watcher = upstream.watcher()
    async with asyncio.TaskGroup() as group:
        shared = group.create_task(watcher.wait(access("a"), 9))
        private = group.create_task(watcher.wait(access("b"), 9, private=True))
        await asyncio.sleep(1)
        assert watcher.stats().watches == 2
        await asyncio.sleep(3)
        assert (watcher.stats().watches, watcher.stats().waiters) == (1, 2)
    assert shared.result() is private.result() is WaitVerdict.ENDED
    assert now() < 7
    assert is_empty(watcher)


async def test_what_one_is_told_who_may_not_see_the_job_disturbs_nobody_else() -> None:
    upstream = Watched(
        says=lambda one: PollOutcome.CHANGED if one.credentials.query == "b" else None
    )
    watcher = upstream.watcher()
    async with asyncio.TaskGroup() as group:
        shared = group.create_task(watcher.wait(access("a"), 9))
        private = group.create_task(watcher.wait(access("b"), 9, private=True))
    assert private.result() is WaitVerdict.ENDED
    assert shared.result() is WaitVerdict.TIME_UP
    assert is_empty(watcher)


async def test_hint_wakes_the_waiters_at_once() -> None:
    upstream = Watched()
    watcher = upstream.watcher()
    watcher.rely_on_hints(True)
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(watcher.wait(access(name), 55)) for name in "ab"]
        await asyncio.sleep(4)
        watcher.hint(JOB_ID.upper())
    assert {wait.result() for wait in waits} == {WaitVerdict.ENDED}
    assert (now(), upstream.requests) == (4, [])
    assert is_empty(watcher)


@pytest.mark.parametrize(
    ("shown_at", "waits_until"), [(0.5, 2.0), (1.5, 12.0), (None, 12.0)], ids=str
)
async def test_hint_before_the_wait_counts_unless_the_job_was_read_since(
    shown_at: float | None, waits_until: float
) -> None:
    watcher = Watched().watcher()
    await asyncio.sleep(1)
    watcher.hint(JOB_ID)
    await asyncio.sleep(1)
    last_seen = None if shown_at is None else LastSeen(shown_at)
    await watcher.wait(access(), 10, last_seen=last_seen)
    assert now() == waits_until


async def test_flood_of_false_hints_costs_a_read_a_second_and_the_upstream_its_budget() -> None:
    upstream = Watched()
    watcher = upstream.watcher()
    verdicts = []

    async def client() -> None:
        last_seen = LastSeen(now())
        while True:
            verdicts.append(await watcher.wait(access(), 4 - now(), last_seen=last_seen))
            if verdicts[-1] is WaitVerdict.TIME_UP:
                return
            last_seen = LastSeen(now())
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        group.create_task(client())
        for _ in range(4000):
            await asyncio.sleep(0.001)
            watcher.hint(JOB_ID)
    assert verdicts == [*[WaitVerdict.ENDED] * 4, WaitVerdict.TIME_UP]
    assert len(upstream.requests) <= 4 * 20 + 5


async def test_repeated_hints_at_one_tenants_jobs_leave_others_their_polls() -> None:
    upstream = Watched()
    watcher = upstream.watcher(max_polls_per_second=5)
    watcher.rely_on_hints(True)
    flooded, other = job_ids(20), JOB_ID

    async def client(one: JobAccess) -> None:
        """Comes back after each hint, and has seen that nothing has changed."""
        last_seen = LastSeen(now())
        while await watcher.wait(one, 25 - now(), last_seen=last_seen) is WaitVerdict.ENDED:
            last_seen = LastSeen(now())
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        for number, job_id in enumerate(flooded):
            group.create_task(client(access(f"a{number}", job_id)))
        group.create_task(watcher.wait(access("b", other), 25))
        for _ in range(500):
            await asyncio.sleep(0.05)
            for job_id in flooded:
                watcher.hint(job_id)
    polled_at = [request.at for request in upstream.requests if other in request.jobs]
    assert min(polled_at, default=25) < 15


async def test_client_that_hints_do_not_reach_is_no_safety_nets_case() -> None:
    upstream = Watched(says=lambda _: PollOutcome.FAILING if now() < 1 else None)
    watcher = upstream.watcher()
    watcher.rely_on_hints(True)
    async with asyncio.TaskGroup() as group:
        group.create_task(watcher.wait(access("a"), 4, private=True))
        group.create_task(watcher.wait(access("b"), 4, private=True))
        await asyncio.sleep(2.5)
        stats = watcher.stats()
        assert (stats.watches, stats.waiters) == (1, 2), "both have been shown the job"


async def test_hint_during_the_poll_that_shows_a_client_the_job_is_not_lost() -> None:
    watcher = Watched(latency_seconds=1).watcher()
    watcher.rely_on_hints(True)
    async with asyncio.TaskGroup() as group:
        wait = group.create_task(watcher.wait(access(), 9, private=True))
        await asyncio.sleep(0.5)
        watcher.hint(JOB_ID)
    assert wait.result() is WaitVerdict.ENDED
    assert now() < 2
    assert is_empty(watcher)


async def test_failed_poll_is_repeated_soon_also_while_hints_are_relied_on() -> None:
    upstream = Watched(says=lambda _: PollOutcome.FAILING if now() < 3 else None)
    watcher = upstream.watcher()
    watcher.rely_on_hints(True)
    async with asyncio.TaskGroup() as group:
        group.create_task(watcher.wait(access(), 50))
        await asyncio.sleep(1)
        watcher.poll_all()
    at = [request.at for request in upstream.requests]
    assert sum(one < 3 for one in at) <= 5
    assert sum(3 <= one < 6 for one in at) == 1, "the first that is answered settles it"
    assert len(at) < 12


async def test_hint_while_nobody_waits_is_remembered_though_one_came_before() -> None:
    watcher = Watched().watcher()
    watcher.hint(JOB_ID)
    await asyncio.sleep(2)
    last_seen = LastSeen(now())
    await asyncio.sleep(0.1)
    watcher.hint(JOB_ID)
    assert await watcher.wait(access(), 9, last_seen=last_seen) is WaitVerdict.ENDED
    assert now() == 2.1


async def test_last_seen_is_kept_up_to_date_by_polls_with_the_clients_own_credentials() -> None:
    upstream = Watched(
        says=lambda one: PollOutcome.FAILING if one.credentials.query == "b" else None
    )
    watcher = upstream.watcher()
    of_a, of_b = LastSeen(now()), LastSeen(now())
    async with asyncio.TaskGroup() as group:
        group.create_task(watcher.wait(access("a"), 9, last_seen=of_a))
        group.create_task(watcher.wait(access("b"), 9, last_seen=of_b))
    asked = [request.at for request in upstream.requests if request.token == "a"]
    assert (of_a.shown_at, of_b.shown_at) == (asked[-1], 0)
    assert of_a.polled_at == of_b.polled_at == upstream.requests[-1].at


async def test_wait_goes_on_with_the_polls_where_the_one_before_ended() -> None:
    upstream = Watched()
    watcher = upstream.watcher()
    last_seen = LastSeen(now())
    for waited in range(0, 200, 2):
        await watcher.wait(access(), 2, waited_seconds=waited, last_seen=last_seen)
    gaps = [later.at - earlier.at for earlier, later in pairwise(upstream.requests)]
    assert max(gaps) <= 5.01
    assert min(gaps[-10:]) > 4.9


async def test_last_seen_is_trusted_for_a_while() -> None:
    watcher = Watched().watcher()
    await asyncio.sleep(1)
    last_seen = LastSeen(now())
    assert watcher.may_resume(last_seen)
    await asyncio.sleep(TRUST_SECONDS + 1)
    assert not watcher.may_resume(last_seen)
    last_seen.shown_at = now()
    assert watcher.may_resume(last_seen)


@pytest.mark.parametrize(("asked_to_at", "polled_at"), [(3, 4), (1, 1)])
async def test_job_whose_client_is_between_two_requests_is_polled_when_it_is_back(
    asked_to_at: float, polled_at: float
) -> None:
    upstream = Watched()
    watcher = upstream.watcher()
    watcher.rely_on_hints(True)
    last_seen = LastSeen(now())
    asyncio.get_running_loop().call_at(asked_to_at, watcher.poll_all)
    assert await watcher.wait(access(), 2, last_seen=last_seen) is WaitVerdict.TIME_UP
    await asyncio.sleep(2)
    await watcher.wait(access(), 2, last_seen=last_seen)
    await watcher.wait(access(), 2, last_seen=last_seen)
    assert [request.at for request in upstream.requests] == [polled_at]


async def test_client_whose_time_is_up_before_it_was_woken_is_told_when_it_is_back() -> None:
    watcher = Watched().watcher()
    watcher.rely_on_hints(True)
    records = [LastSeen(now()) for _ in range(100)]
    async with asyncio.TaskGroup() as group:
        waits = [
            group.create_task(watcher.wait(access(), 9, last_seen=last_seen))
            for last_seen in records
        ]
        # Fifty are woken at once, the others one in a millisecond.
        await asyncio.sleep(8.99)
        watcher.hint(JOB_ID)
    assert waits[0].result() is WaitVerdict.ENDED
    assert waits[-1].result() is WaitVerdict.TIME_UP
    await asyncio.sleep(1)
    assert await watcher.wait(access(), 9, last_seen=records[-1]) is WaitVerdict.ENDED
    assert now() == pytest.approx(10)


async def test_every_watched_job_is_polled_once_when_asked_to() -> None:
    jobs = job_ids(50)
    upstream = Watched()
    watcher = upstream.watcher()
    watcher.rely_on_hints(True)
    async with asyncio.TaskGroup() as group:
        for job_id in jobs:
            group.create_task(watcher.wait(access(job_id=job_id), 8))
        await asyncio.sleep(1)
        assert upstream.requests == []
        upstream.ends = dict.fromkeys(jobs, 0.5)
        watcher.poll_all()
    assert [len(request.jobs) for request in upstream.requests] == [50]
    assert now() < 1.1


async def test_poll_begun_before_all_are_polled_is_repeated() -> None:
    upstream = Watched(latency_seconds=0.5)
    watcher = upstream.watcher()
    async with asyncio.TaskGroup() as group:
        group.create_task(watcher.wait(access(), 55))
        await asyncio.sleep(0.3)
        watcher.rely_on_hints(True)
        watcher.poll_all()
        await asyncio.sleep(0.1)
        upstream.ends[JOB_ID] = 0.8
    assert len(upstream.requests) == 2
    assert now() < 1.3


async def test_polls_are_a_safety_net_while_hints_are_relied_on_and_no_longer() -> None:
    upstream = Watched()
    watcher = upstream.watcher(safety_net_seconds=12)
    watcher.rely_on_hints(True)
    async with asyncio.TaskGroup() as group:
        group.create_task(watcher.wait(access(), 45))
        await asyncio.sleep(35)
        gaps = [later.at - earlier.at for earlier, later in pairwise(upstream.requests)]
        assert len(gaps) == 2
        assert all(10 < gap <= 12 for gap in gaps)
        watcher.rely_on_hints(False)
        await asyncio.sleep(9)
    assert [round(request.at) for request in upstream.requests[-2:]] in ([39, 43], [38, 42])


async def test_many_who_are_woken_at_once_read_one_after_the_other() -> None:
    watcher = Watched().watcher()
    woken = []

    async def client(job_id: str) -> None:
        await watcher.wait(access(job_id=job_id), 55)
        woken.append(now())

    async with asyncio.TaskGroup() as group:
        for job_id in job_ids(1000):
            group.create_task(client(job_id))
        await asyncio.sleep(0.05)
        for job_id in job_ids(1000):
            watcher.hint(job_id)
    assert sum(at == 0.05 for at in woken) == 50
    assert 0.9 < woken[-1] < 1.05


async def test_drain_releases_everybody_at_once_and_for_good() -> None:
    watcher = Watched().watcher()
    async with asyncio.TaskGroup() as group:
        waits = [
            group.create_task(watcher.wait(access(n, n * 24), 55, private=n == "2")) for n in "12"
        ]
        await asyncio.sleep(1)
        watcher.drain()
    assert {wait.result() for wait in waits} == {WaitVerdict.DRAINED}
    assert await watcher.wait(access(), 55) is WaitVerdict.DRAINED
    assert now() == 1
    assert watcher.stats().verdicts == {WaitVerdict.DRAINED: 3}
    await watcher.aclose()
    assert is_empty(watcher)


async def test_closing_ends_a_poll_in_the_middle() -> None:
    watcher = Watched(latency_seconds=60).watcher()
    async with asyncio.TaskGroup() as group:
        wait = group.create_task(watcher.wait(access(), 55))
        await asyncio.sleep(1)
        await watcher.aclose()
    assert wait.result() is WaitVerdict.DRAINED
    assert now() == 1
    assert is_empty(watcher)


async def test_reading_that_times_out_by_itself_is_no_drain() -> None:
    async def time_out() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await Watched().watcher().unless_drained(time_out())


@pytest.mark.parametrize("number", [1, 5])
async def test_wait_tells_when_the_job_was_last_found_running(number: int) -> None:
    """By single polls, and by lists of those that run or of those that have ended."""
    jobs = job_ids(number)
    upstream = Watched(dict.fromkeys(jobs, 20.0))

    watcher = upstream.watcher()
    records = [LastSeen(now()) for _ in jobs]
    waits = (
        watcher.wait(one, 55, last_seen=last_seen)
        for one, last_seen in zip(of("a", jobs), records, strict=True)
    )
    await asyncio.gather(*waits)
    before = [request.at for request in upstream.requests if request.at < 20]
    assert {last_seen.unended_at for last_seen in records} <= set(before)
    assert min(last_seen.unended_at for last_seen in records) > 15
    await watcher.aclose()


async def test_operators_are_told_who_waits_for_what_since_when_and_how_it_is_looked_for() -> None:
    watcher = Watched().watcher()
    request = HeldRequest(ANONYMOUS, "its-id", 2)
    last_seen = LastSeen(0.0, ("acme", "task"))
    async with asyncio.TaskGroup() as group:
        await asyncio.sleep(100)
        group.create_task(
            watcher.wait(access(), 20, waited_seconds=30, last_seen=last_seen, request=request)
        )
        await asyncio.sleep(10)
        (wait,) = watcher.waits(10)
        assert (wait.job_id, wait.task, wait.request) == (JOB_ID, ("acme", "task"), request)
        assert (wait.since, wait.began) == (70, 100)
        assert wait.look is not None
        assert wait.look.cover is Cover.OWN
        assert 100 < wait.look.unended_at < 110
    assert watcher.waits(10) == []


async def test_of_many_waits_the_oldest_and_the_newest_are_told_and_all_are_counted() -> None:
    watcher = Watched().watcher()
    async with asyncio.TaskGroup() as group:
        for waited in range(20):
            group.create_task(watcher.wait(access(), 5, waited_seconds=waited))
        await asyncio.sleep(1)
        assert watcher.stats().waiters == 20
        assert [-wait.since for wait in watcher.waits(5)] == [19, 18, 2, 1, 0]
        assert watcher.waits(0) == []
        assert len(watcher.waits(20)) == 20


async def test_jobs_that_are_followed_and_further_jobs_of_a_workflow_are_no_waits() -> None:
    watcher = Watched().watcher()
    async with asyncio.TaskGroup() as group:
        group.create_task(watcher.wait(access(), 5, for_client=False))
        group.create_task(watcher.wait(access("b"), 5, share=Share.FIRST))
        group.create_task(watcher.wait(access("c"), 5, share=Share.FURTHER))
        await asyncio.sleep(1)
        assert (watcher.stats().waiters, len(watcher.waits(9))) == (1, 1)


async def test_waiter_of_an_ended_job_is_told_of_until_it_reads() -> None:
    watcher = Watched({JOB_ID: 3.0}).watcher()
    async with asyncio.TaskGroup() as group:
        for number in range(60):
            group.create_task(watcher.wait(access(str(number)), 5))
        await asyncio.sleep(1)
        watcher.hint(JOB_ID)
        await asyncio.sleep(0)
        left = watcher.waits(100)
        assert len(left) == watcher.stats().waiters == 10
        assert {wait.look for wait in left} == {None}


async def test_shorter_gaps_count_at_once_for_who_waits_already() -> None:
    [job] = job_ids(1)
    upstream = Watched({job: 100.0})
    watcher = upstream.watcher(poll_share_of_age=1.0, min_poll_seconds=50.0, max_poll_seconds=60.0)
    tasks = Tasks()
    waiting = tasks.spawn(watcher.wait(access("a", job), 200.0), name="wait")
    await asyncio.sleep(90)
    asked = len(upstream.requests)
    watcher.reconfigure(SyncConfig(min_poll_seconds=0.5, max_poll_seconds=1.0))
    await asyncio.sleep(9)
    assert len(upstream.requests) >= asked + 5
    assert await waiting is WaitVerdict.ENDED
    assert now() < 102
    await watcher.aclose()
