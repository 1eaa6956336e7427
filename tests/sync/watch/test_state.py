import asyncio

import pytest

from gateway.sync.watch.state import Waiter, WaitVerdict, Watch
from tests.support.theeye import JOB_ID
from tests.support.watched import access


@pytest.mark.virtual_time
async def test_waiters_lend_their_credentials_one_after_the_other() -> None:
    watch = Watch(JOB_ID, 0.0)
    waiters = [
        Waiter(access(), None, asyncio.get_running_loop().create_future(), watch) for _ in range(3)
    ]
    watch.waiters = dict.fromkeys(waiters[:1])
    watch.rotate()
    assert watch.first is waiters[0]
    watch.waiters = dict.fromkeys(waiters)
    firsts = []
    for _ in range(4):
        firsts.append(watch.first)
        watch.rotate()
    assert firsts == [*waiters, waiters[0]]


@pytest.mark.virtual_time
async def test_first_verdict_stays() -> None:
    verdict = asyncio.get_running_loop().create_future()
    waiter = Waiter(access(), None, verdict, Watch(JOB_ID, 0.0))
    waiter.wake(WaitVerdict.TIME_UP)
    waiter.wake(WaitVerdict.ENDED)
    assert verdict.result() is WaitVerdict.TIME_UP
