import asyncio

import pytest

from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.watch.registry import HINT_SECONDS, MAX_HINTS, Registry
from gateway.sync.watch.state import LastSeen, Waiter, WaitVerdict, Watch
from tests.support.theeye import JOB_ID
from tests.support.virtual_time import now
from tests.support.watched import access

pytestmark = pytest.mark.virtual_time


def waited(registry: Registry, *lenders: str, private: bool = False) -> tuple[Watch, list[Waiter]]:
    """A watch in the registry for which clients with these tokens wait."""
    watch = Watch(JOB_ID, now(), is_private=private)
    loop = asyncio.get_running_loop()
    waiters = [
        Waiter(access(lender), LastSeen(now()), loop.create_future(), watch) for lender in lenders
    ]
    watch.waiters = dict.fromkeys(waiters)
    registry.add(watch)
    return watch, waiters


def woken(waiters: list[Waiter]) -> list[bool]:
    return [one.verdict.done() and one.verdict.result() is WaitVerdict.ENDED for one in waiters]


async def test_change_wakes_everybody_and_ends_the_watch() -> None:
    registry = Registry(now)
    watch, waiters = waited(registry, "a", "b")
    assert registry.apply(watch, access("a"), PollOutcome.CHANGED, now()) is watch
    assert woken(waiters) == [True, True]
    assert [*registry] == []
    assert registry.is_hinted(JOB_ID, since=now() - 1), "who comes only now reads at once"


async def test_change_that_a_private_poll_found_is_told_to_its_own_client_only() -> None:
    registry = Registry(now)
    shared, others = waited(registry, "a")
    watch, waiters = waited(registry, "b", private=True)
    assert registry.apply(watch, access("b"), PollOutcome.CHANGED, now()) is watch
    assert (woken(waiters), woken(others)) == ([True], [False])
    assert [*registry] == [shared]
    assert not registry.is_hinted(JOB_ID, since=now() - 1)


async def test_change_found_for_a_client_that_left_ends_the_watch_that_came_since() -> None:
    registry = Registry(now)
    left, _ = waited(registry)
    registry.discard(left)
    watch, waiters = waited(registry, "a")
    assert registry.apply(left, access("a"), PollOutcome.CHANGED, now()) is watch
    assert woken(waiters) == [True]


async def test_refusal_is_told_to_those_whose_credentials_they_were() -> None:
    registry = Registry(now)
    watch, waiters = waited(registry, "a", "b")
    assert registry.apply(watch, access("b"), PollOutcome.REFUSED, now()) is None
    assert woken(waiters) == [False, True]
    assert [*registry] == [watch]


@pytest.mark.parametrize("outcome", [PollOutcome.RUNNING, PollOutcome.NOT_ENDED])
async def test_poll_that_found_no_end_is_noted_with_its_time(outcome: PollOutcome) -> None:
    registry = Registry(now)
    await asyncio.sleep(1)
    watch, waiters = waited(registry, "a", "b")
    await asyncio.sleep(1)
    assert registry.apply(watch, access("a"), outcome, 2.0) is None
    assert watch.unended_at == 2
    is_shown = outcome is PollOutcome.RUNNING
    seen = [one.last_seen.shown_at for one in waiters if one.last_seen is not None]
    assert seen == [2 if is_shown else 1, 1]


async def test_private_watch_joins_the_shared_one_once_its_client_was_shown_the_job() -> None:
    registry = Registry(now)
    first, _ = waited(registry, "a", private=True)
    assert registry.apply(first, access("a"), PollOutcome.RUNNING, now()) is None
    assert registry.shared(JOB_ID) is first
    second, waiters = waited(registry, "b", private=True)
    assert registry.apply(second, access("b"), PollOutcome.RUNNING, now()) is second
    assert [*registry] == [first]
    assert waiters[0].watch is first
    assert waiters[0] in first.waiters


async def test_hint_is_new_once_a_second_and_forgotten_after_seconds() -> None:
    registry = Registry(now)
    assert registry.hint(JOB_ID)
    assert not registry.hint(JOB_ID)
    await asyncio.sleep(1)
    assert registry.hint(JOB_ID)
    assert registry.is_hinted(JOB_ID, since=0.5)
    await asyncio.sleep(HINT_SECONDS + 1)
    assert not registry.is_hinted(JOB_ID, since=0.5)


async def test_hints_are_bounded() -> None:
    registry = Registry(now)
    await asyncio.sleep(1)
    ids = [f"{number:024x}" for number in range(MAX_HINTS + 1)]
    for job_id in ids:
        registry.hint(job_id)
    assert sum(registry.is_hinted(job_id, since=0.5) for job_id in ids) == MAX_HINTS
