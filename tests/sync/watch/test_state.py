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


@pytest.mark.virtual_time
async def test_watch_is_left_where_no_request_waits() -> None:
    watch = Watch(JOB_ID, 0.0)
    loop = asyncio.get_running_loop()
    left, held = [
        Waiter(access(), None, loop.create_future(), watch, is_left=is_left)
        for is_left in (True, False)
    ]
    watch.waiters = dict.fromkeys([left])
    assert watch.is_left
    watch.waiters = dict.fromkeys([left, held])
    assert not watch.is_left
