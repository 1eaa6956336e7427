"""Who waits for a token's first request, and for how long; time is virtual."""

from __future__ import annotations

import asyncio

import pytest

from gateway.admission.identity.trials import MOST_WAITING, Trials

pytestmark = pytest.mark.virtual_time

TRIAL_SECONDS = 5.0
A, B = b"a" * 16, b"b" * 16


def test_token_has_one_trial_until_that_ends() -> None:
    trials = Trials(TRIAL_SECONDS)
    first = trials.begin(A)
    assert trials.of(A) is first
    assert trials.of(B) is None
    first.end()
    second = trials.begin(A)
    first.end()
    assert trials.of(A) is second
    trials.told(A)
    trials.told(B)
    assert len(trials) == 0


async def test_all_who_wait_go_on_at_the_end() -> None:
    trial = Trials(TRIAL_SECONDS).begin(A)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(trial.ended(0.0)) for _ in range(3)]
        await asyncio.sleep(1)
        trial.end()
    assert all(task.result() for task in waiting)
    assert await trial.ended(0.0)


async def test_nobody_waits_longer_than_may_however_many_trials_there_are() -> None:
    now = asyncio.get_running_loop().time
    began = now()
    assert not await Trials(TRIAL_SECONDS).begin(A).ended(0.0)
    assert now() - began == TRIAL_SECONDS
    assert not await Trials(TRIAL_SECONDS).begin(A).ended(TRIAL_SECONDS - 1)
    assert now() - began == TRIAL_SECONDS + 1
    assert not await Trials(TRIAL_SECONDS).begin(A).ended(TRIAL_SECONDS + 1)
    assert now() - began == TRIAL_SECONDS + 1


async def test_trial_that_was_refused_leaves_nothing_to_wait_for() -> None:
    trial = Trials(TRIAL_SECONDS).begin(A)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(trial.ended(0.0))
        await asyncio.sleep(1)
        trial.end(was_admitted=False)
        trial.end()
    assert not waiting.result()


async def test_so_many_may_wait_and_who_leaves_makes_room() -> None:
    trial = Trials(TRIAL_SECONDS).begin(A)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(trial.ended(0.0)) for _ in range(MOST_WAITING)]
        assert trial.may_be_awaited
        await asyncio.sleep(1)
        assert not trial.may_be_awaited
        waiting[0].cancel()
        await asyncio.wait([waiting[0]])
        assert trial.may_be_awaited
        trial.end()
