"""One token looks for the jobs of many: who is asked for what, and what becomes of it in faults."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import pytest

from gateway.config import SyncConfig
from gateway.sync.jobs.access import JobAccess
from gateway.sync.jobs.listing import Listing, Unlisted
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.jobs.ranges import Ended, IdRange, Unranged
from gateway.sync.looks.cover import Cover
from gateway.sync.looks.scouts import MAX_FAILURES, REVIEW_SECONDS
from gateway.sync.watch.poll_requests import Look
from gateway.sync.watch.state import LastSeen, WaitVerdict
from gateway.sync.watch.watcher import Watcher
from gateway.tasks import Tasks
from tests.support.virtual_time import now
from tests.support.watched import Request, Watched, access, is_empty, job_ids, waits

pytestmark = pytest.mark.virtual_time

FOUND = WaitVerdict.ENDED
TOKENS, JOBS = 10, 300
"""A range is worth a look where it has more jobs than a list of ids."""


def spread(jobs: Sequence[str], tokens: int = TOKENS, customer: str = "acme") -> list[JobAccess]:
    """The jobs among so many tokens, one after the other."""
    return [access(str(n % tokens), one, customer) for n, one in enumerate(jobs)]


class Cut(Watched):
    """Notes the tokens of the looks that were given up."""

    cut: ClassVar[list[str]] = []

    async def poll_range(self, access: JobAccess, ids: IdRange) -> Ended:
        try:
            return await super().poll_range(access, ids)
        except asyncio.CancelledError:
            self.cut.append(access.credentials.query)
            raise


def asked_after(upstream: Watched, at: float) -> list[Request]:
    return [one for one in upstream.requests if one.at > at]


async def test_many_tokens_are_looked_for_with_one() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(dict.fromkeys(jobs, 10.0))
    watcher = upstream.watcher()
    ended = await waits(watcher, spread(jobs))
    assert all(verdict is FOUND and 10 <= at < 11 for verdict, at in ended)
    assert len({request.token for request in upstream.ranges_asked}) == 1
    # Once by id, before anything is left to the scout.
    first = upstream.ranges_asked[0].at
    assert {one for ask in upstream.lists_asked if ask.at <= first for one in ask.jobs} == {*jobs}
    assert upstream.singles_asked == []
    stats = watcher.stats()
    assert stats.looks[Look.RANGE] == len(upstream.ranges_asked)
    assert sum(stats.looks.values()) == stats.polls == len(upstream.requests)


async def test_scouts_can_be_switched_off() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(dict.fromkeys(jobs, 10.0))
    await waits(upstream.watcher(scouts=False), spread(jobs))
    assert upstream.ranges_asked == []


async def test_removed_job_is_missed_soon() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(dict.fromkeys(jobs, 40.0), gone={jobs[7]: 20.0})
    ended = await waits(upstream.watcher(), spread(jobs))
    assert ended[7][0] is FOUND
    assert 20 <= ended[7][1] < 27
    assert all(40 <= at < 41 for n, (_, at) in enumerate(ended) if n != 7)


async def test_revoked_scout_is_followed_by_another_and_only_its_clients_are_told() -> None:
    jobs = job_ids(JOBS)
    scout = "0"

    def is_revoked(one: JobAccess) -> bool:
        return now() > 5 and one.credentials.query == scout

    upstream = Watched(
        dict.fromkeys(jobs, 20.0),
        says=lambda one: PollOutcome.REFUSED if is_revoked(one) else None,
        lists=lambda many: Unlisted.DENIED if is_revoked(many[0]) else None,
        ranges=lambda one, _: Unranged.DENIED if is_revoked(one) else None,
    )
    ended = await waits(upstream.watcher(), spread(jobs))
    assert upstream.ranges_asked[0].token == scout
    assert all(5 < at < 9 for n, (_, at) in enumerate(ended) if n % TOKENS == 0)
    assert all(20 <= at < 21 for n, (_, at) in enumerate(ended) if n % TOKENS)
    assert {one.token for one in asked_after(upstream, 9) if one.is_range} == {"1"}


async def test_token_is_used_for_nothing_once_its_last_client_has_gone() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(dict.fromkeys(jobs, 40.0))
    watcher = upstream.watcher()
    gone_at: dict[str, float] = {}

    async def leaves(number: int, one: JobAccess) -> tuple[WaitVerdict, float]:
        # Whoever is the scout leaves, one after the other.
        seconds = 5.0 + 5 * (number % TOKENS) if number % TOKENS < 5 else 55.0
        verdict = await watcher.wait(one, seconds)
        gone_at[one.credentials.query] = max(now(), gone_at.get(one.credentials.query, 0))
        return verdict, now()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(leaves(n, one)) for n, one in enumerate(spread(jobs))]
    ended = [task.result() for task in tasks]
    assert all(40 <= at < 42 for n, (_, at) in enumerate(ended) if n % TOKENS >= 5)
    assert len({one.token for one in upstream.ranges_asked}) > 3
    assert all(one.at <= gone_at[one.token] for one in upstream.requests)


async def test_jobs_that_the_scout_does_not_see_are_asked_for_with_their_own_tokens() -> None:
    jobs = job_ids(JOBS)
    hidden = {one for n, one in enumerate(jobs) if n % TOKENS == 9}

    def lists(many: Sequence[JobAccess]) -> Listing | None:
        if many[0].credentials.query == "9":
            return None
        seen = [one.job_id for one in many if one.job_id not in hidden]
        return {
            one: PollOutcome.CHANGED if upstream.ends[one] <= now() else PollOutcome.RUNNING
            for one in seen
        }

    def ranges(one: JobAccess, ids: IdRange) -> Ended | None:
        visible = (job for job in jobs if one.credentials.query == "9" or job not in hidden)
        return frozenset(job for job in visible if job in ids and upstream.ends[job] <= now())

    upstream = Watched(dict.fromkeys(jobs, 20.0), lists=lists, ranges=ranges)
    ended = await waits(upstream.watcher(), spread(jobs))
    assert all(verdict is FOUND and 20 <= at < 22.5 for verdict, at in ended)
    own = [one for one in upstream.requests if one.token == "9" and not one.is_range]
    assert {job for one in own for job in one.jobs} == hidden


@pytest.mark.no_cover
async def test_token_that_sees_more_becomes_the_scout() -> None:
    jobs = job_ids(JOBS)

    def lists(many: Sequence[JobAccess]) -> Listing | None:
        token = many[0].credentials.query
        if token == "3":
            return None
        own = [one.job_id for one in many if jobs.index(one.job_id) % TOKENS == int(token)]
        return dict.fromkeys(own, PollOutcome.RUNNING)

    upstream = Watched(dict.fromkeys(jobs, 500.0), lists=lists)
    watcher = upstream.watcher()
    await waits(watcher, spread(jobs), 12 * REVIEW_SECONDS)
    assert {one.token for one in asked_after(upstream, 11 * REVIEW_SECONDS) if one.is_range} == {
        "3"
    }


async def test_organizations_have_scouts_of_their_own_in_the_same_range_of_ids() -> None:
    jobs = job_ids(2 * JOBS)
    upstream = Watched(dict.fromkeys(jobs, 10.0))
    both = [*spread(jobs[::2]), *spread(jobs[1::2], customer="globex")]
    # What is another organization's is a stranger, should a list have it.
    watcher = upstream.watcher()
    ended = await waits(watcher, both)
    assert all(verdict is FOUND and 10 <= at < 11 for verdict, at in ended)
    assert {one.customer for one in upstream.ranges_asked} == {"acme", "globex"}
    assert watcher.stats().strangers > 0
    own = {"acme": set(jobs[::2]), "globex": set(jobs[1::2])}
    assert all(set(one.jobs) <= own[one.customer] for one in upstream.lists_asked)


async def test_id_with_a_wrong_time_is_asked_for_otherwise_and_widens_no_range() -> None:
    jobs = job_ids(JOBS)
    odd = ["f" * 24, "7" * 24]
    upstream = Watched(dict.fromkeys([*jobs, *odd], 10.0))
    asked = list[IdRange]()

    def ranges(_: JobAccess, ids: IdRange) -> Ended | None:
        asked.append(ids)
        return None

    upstream.ranges = ranges
    ended = await waits(upstream.watcher(), spread([*jobs, *odd]))
    assert all(verdict is FOUND and 10 <= at < 12 for verdict, at in ended)
    assert all(ids.newest == jobs[-1] for ids in asked[2:])


async def test_lists_refused_in_one_organization_leave_the_others_theirs() -> None:
    jobs = job_ids(JOBS + 50)

    def is_refused(one: JobAccess) -> bool:
        return one.customer == "globex"

    upstream = Watched(
        dict.fromkeys(jobs, 10.0),
        lists=lambda many: Unlisted.REFUSED if is_refused(many[0]) else None,
        ranges=lambda one, _: Unranged.REFUSED if is_refused(one) else None,
    )
    ended = await waits(
        upstream.watcher(), [*spread(jobs[:JOBS]), *spread(jobs[JOBS:], customer="globex")]
    )
    assert all(verdict is FOUND and at < 15 for verdict, at in ended)
    assert {one.customer for one in upstream.ranges_asked} == {"acme"}
    refused = [one for one in upstream.lists_asked if one.customer == "globex"]
    assert len(refused) <= TOKENS


async def test_upstream_that_does_not_know_ranges_is_asked_once() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(dict.fromkeys(jobs, 20.0), ranges=lambda _a, _b: Unranged.UNKNOWN)
    both = [*spread(jobs[::2]), *spread(jobs[1::2], customer="globex")]
    watcher = upstream.watcher()
    ended = await waits(watcher, both)
    assert all(verdict is FOUND and 20 <= at < 23 for verdict, at in ended)
    assert len(upstream.ranges_asked) <= 2
    await waits(watcher, spread(job_ids(50), customer="third"), 5)
    assert len(upstream.ranges_asked) <= 2


async def test_looks_that_fail_are_given_up_for_a_while() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(dict.fromkeys(jobs, 20.0), ranges=lambda _a, _b: Unranged.FAILING)
    ended = await waits(upstream.watcher(), spread(jobs))
    assert all(verdict is FOUND and 20 <= at < 24 for verdict, at in ended)
    assert len(upstream.ranges_asked) == MAX_FAILURES


@pytest.mark.parametrize("unlisted", [Unlisted.TOO_MUCH, Unlisted.FAILING, Unlisted.DENIED])
async def test_scout_without_lists_leaves_all_to_their_own_tokens(unlisted: Unlisted) -> None:
    jobs = job_ids(60)
    upstream = Watched(dict.fromkeys(jobs, 20.0))
    upstream.lists = lambda many: unlisted if len({*many}) > 6 else None
    ended = await waits(upstream.watcher(), spread(jobs))
    assert all(verdict is FOUND for verdict, _ in ended)
    assert max(at for _, at in ended) < 25


@pytest.mark.no_cover
async def test_waiter_is_shown_its_job_with_its_own_token_within_a_minute() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(dict.fromkeys(jobs, 400.0))
    watcher: Watcher = upstream.watcher()
    seen = [LastSeen(0.0) for _ in jobs]
    async with asyncio.TaskGroup() as group:
        for one, last_seen in zip(spread(jobs), seen, strict=True):
            group.create_task(watcher.wait(one, 300, last_seen=last_seen))
        for _ in range(28):
            await asyncio.sleep(10)
            assert all(map(watcher.may_resume, seen))


async def test_hint_that_may_have_been_missed_leads_to_one_look() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(dict.fromkeys(jobs, 60.0))
    watcher = upstream.watcher(safety_net_seconds=100.0)
    async with asyncio.TaskGroup() as group:
        for one in spread(jobs):
            group.create_task(watcher.wait(one, 50))
        await asyncio.sleep(20)
        watcher.rely_on_hints(True)
        await asyncio.sleep(20)
        before = len(upstream.requests)
        watcher.poll_all()
        await asyncio.sleep(0.5)
        assert any(one.is_range for one in upstream.requests[before:])
        assert len(upstream.requests) - before <= 3
        watcher.rely_on_hints(False)


async def test_jobs_that_fill_less_than_a_list_are_asked_for_by_id_with_one_token() -> None:
    jobs = job_ids(100)
    upstream = Watched(dict.fromkeys(jobs, 30.0))
    ended = await waits(upstream.watcher(), spread(jobs))
    assert all(verdict is FOUND and 30 <= at < 33.5 for verdict, at in ended)
    assert upstream.ranges_asked == []
    asked = asked_after(upstream, 1.0)
    assert {one.token for one in asked} == {"0"}
    # A list of ended jobs leaves out those that go on, so it is in full only once in a while.
    lists = [one for one in asked if one.is_list and one.at < 30]
    assert sum(one.only_ended for one in lists) > len(lists) / 2
    full = [one.at for one in lists if not one.only_ended]
    assert max(b - a for a, b in pairwise(full)) < 5 + 3


async def test_scout_that_sees_nothing_is_followed_by_one_that_does() -> None:
    jobs = job_ids(JOBS)

    def lists(many: Sequence[JobAccess]) -> Listing | None:
        return None if many[0].credentials.query == "7" else {}

    upstream = Watched(dict.fromkeys(jobs, 500.0), lists=lists)
    await waits(upstream.watcher(), spread(jobs), 12 * REVIEW_SECONDS)
    assert {one.token for one in asked_after(upstream, 11 * REVIEW_SECONDS) if one.is_range} == {
        "7"
    }


async def test_jobs_that_the_scout_sees_no_longer_are_asked_for_otherwise_in_time() -> None:
    jobs = job_ids(JOBS)
    hidden = set(jobs[::3])

    def shrunk(one: JobAccess) -> bool:
        return now() > 15 and one.credentials.query == "0"

    def lists(many: Sequence[JobAccess]) -> Listing | None:
        if not shrunk(many[0]):
            return None
        seen = [one.job_id for one in many if one.job_id not in hidden]
        return {
            one: PollOutcome.CHANGED if upstream.ends[one] <= now() else PollOutcome.RUNNING
            for one in seen
        }

    def ranges(one: JobAccess, ids: IdRange) -> Ended | None:
        if not shrunk(one):
            return None
        return frozenset(
            job for job in jobs if job in ids and job not in hidden and upstream.ends[job] <= now()
        )

    upstream = Watched(dict.fromkeys(jobs, 16.0), lists=lists, ranges=ranges)
    ended = await waits(upstream.watcher(), spread(jobs))
    assert all(verdict is FOUND for verdict, _ in ended)
    assert all(at < 16 + 5 + 2 for _, at in ended)


async def test_upstream_that_fails_to_list_a_range_once_known_is_asked_again_soon() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(
        dict.fromkeys(jobs, 100.0),
        ranges=lambda _a, _b: Unranged.UNKNOWN if 10 < now() < 12 else None,
    )
    watcher = upstream.watcher()
    await waits(watcher, spread(jobs), 90)
    assert len([one for one in upstream.ranges_asked if 10 < one.at < 70]) == MAX_FAILURES
    assert any(one.is_range for one in asked_after(upstream, 75))


async def test_looks_that_fail_while_lists_are_answered_are_given_up_too() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(
        dict.fromkeys(jobs, 30.0),
        ranges=lambda _a, _b: Unranged.FAILING if now() > 10 else None,
    )
    ended = await waits(upstream.watcher(), spread(jobs))
    assert len([one for one in asked_after(upstream, 10) if one.is_range]) == MAX_FAILURES
    assert all(verdict is FOUND and 30 <= at < 35 for verdict, at in ended)


async def test_look_that_waits_for_a_connection_is_given_up_with_its_last_client() -> None:
    jobs = job_ids(JOBS)
    upstream = Cut(dict.fromkeys(jobs, 60.0), latency_seconds=2.0)
    watcher = upstream.watcher()

    async with asyncio.TaskGroup() as group:
        tasks = [(one, group.create_task(watcher.wait(one, 50))) for one in spread(jobs)]
        await asyncio.sleep(15)
        assert upstream.ranges_asked
        while now() > upstream.ranges_asked[-1].at + 1.5:  # noqa: ASYNC110 - until one is under way
            await asyncio.sleep(0.5)
        scout = upstream.ranges_asked[-1].token
        for one, task in tasks:
            if one.credentials.query == scout:
                task.cancel()
        await asyncio.sleep(0.1)
        assert upstream.cut == [scout]
        left_at = now()
        await asyncio.sleep(20)
        assert all(one.token != scout for one in asked_after(upstream, left_at))
        assert any(one.is_range for one in asked_after(upstream, left_at))


async def test_nothing_is_asked_once_the_watcher_was_closed_during_a_look() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(dict.fromkeys(jobs, 60.0), latency_seconds=1.0)
    watcher = upstream.watcher()
    async with asyncio.TaskGroup() as group:
        for one in spread(jobs):
            group.create_task(watcher.wait(one, 50))
        while not upstream.ranges_asked:  # noqa: ASYNC110 - it is noted
            await asyncio.sleep(0.1)
        await watcher.aclose()
        closed_at = now()
    await asyncio.sleep(30)
    assert asked_after(upstream, closed_at) == []
    assert is_empty(watcher)


@pytest.mark.parametrize("tokens", [1, TOKENS])
@pytest.mark.no_cover
async def test_safety_net_under_push_asks_no_more_with_scouts_than_without(tokens: int) -> None:
    asked = dict[bool, int]()
    for scouts in (False, True):
        jobs = job_ids(3 * JOBS)
        upstream = Watched(dict.fromkeys(jobs, 500.0))
        watcher = upstream.watcher(scouts=scouts)
        watcher.rely_on_hints(True)
        async with asyncio.TaskGroup() as group:
            for one in spread(jobs, tokens):
                group.create_task(watcher.wait(one, 130, last_seen=LastSeen(0.0)))
        asked[scouts] = len([one for one in upstream.requests if 30 < one.at < 130])
    assert asked[True] <= asked[False] * 1.2


async def test_removed_job_is_missed_soon_once_push_can_be_relied_on_no_more() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(dict.fromkeys(jobs, 55.0), gone={jobs[7]: 31.0})
    watcher = upstream.watcher(safety_net_seconds=100.0)
    watcher.rely_on_hints(True)
    asyncio.get_running_loop().call_later(30, watcher.rely_on_hints, False)
    ended = await waits(watcher, spread(jobs), 54)
    assert ended[7][0] is FOUND
    assert 31 <= ended[7][1] < 31 + 7


async def test_organizations_whose_names_need_escaping_are_told_apart() -> None:
    jobs = job_ids(2 * JOBS)
    names = ("a b/c?d", "a%20b%2Fc%3Fd")
    upstream = Watched(dict.fromkeys(jobs, 10.0))
    both = [*spread(jobs[:JOBS], 4, names[0]), *spread(jobs[JOBS:], 4, names[1])]
    ended = await waits(upstream.watcher(), both)
    assert all(verdict is FOUND and 10 <= at < 12 for verdict, at in ended)
    assert {one.customer for one in upstream.ranges_asked} == {*names}


async def test_scout_whose_list_has_only_strangers_costs_no_more_than_lists_by_id() -> None:
    both = job_ids(2 * JOBS)
    jobs, others = both[::2], both[1::2]
    ids_asked = list[str]()

    def ranges(_: JobAccess, ids: IdRange) -> Ended | None:
        ids_asked.append(ids.oldest)
        return frozenset(one for one in others if one in ids)

    upstream = Watched(dict.fromkeys(jobs, 30.0), ranges=ranges)
    watcher = upstream.watcher()
    ended = await waits(watcher, spread(jobs))
    assert all(verdict is FOUND and 30 <= at < 34 for verdict, at in ended)
    assert len(upstream.ranges_asked) <= 3
    assert watcher.stats().strangers <= 3 * JOBS


async def test_operators_are_told_which_jobs_are_left_to_the_scout() -> None:
    jobs = job_ids(JOBS)
    upstream = Watched(dict.fromkeys(jobs, 60.0))
    watcher = upstream.watcher()
    async with asyncio.TaskGroup() as group:
        for one in spread(jobs):
            group.create_task(watcher.wait(one, 30))
        await asyncio.sleep(25)
        looks = [wait.look for wait in watcher.waits(JOBS)]
    assert {look.cover for look in looks if look is not None} >= {Cover.LEFT}
    assert all(look is not None and look.unended_at > 10 for look in looks)
    assert upstream.ranges_asked


async def test_scouts_are_switched_on_and_off_while_all_wait() -> None:
    jobs = job_ids(400)
    upstream = Watched(dict.fromkeys(jobs, 100.0))
    watcher = upstream.watcher(scouts=False)
    tasks = Tasks()
    waiting = tasks.spawn(waits(watcher, spread(jobs), 200), name="wait")
    await asyncio.sleep(30)
    assert upstream.ranges_asked == []
    watcher.reconfigure(SyncConfig())
    await asyncio.sleep(30)
    assert upstream.ranges_asked
    watcher.reconfigure(SyncConfig(scouts=False))
    await asyncio.sleep(5)
    asked = len(upstream.ranges_asked)
    ended = await waiting
    assert len(upstream.ranges_asked) == asked
    assert all(verdict is WaitVerdict.ENDED for verdict, _ in ended)
    assert is_empty(watcher)
