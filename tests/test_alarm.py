"""One timer for many times."""

from __future__ import annotations

import asyncio

import pytest

from gateway.alarm import Alarm
from tests.support.virtual_time import now


class Heard:
    def __init__(self) -> None:
        self.times: list[float] = []
        self.began = now()
        self.alarm = Alarm(now, lambda: self.times.append(now() - self.began))

    def set(self, *seconds: float) -> None:
        for each in seconds:
            self.alarm.set(self.began + each)


@pytest.mark.virtual_time
async def test_alarm_goes_off_once_at_the_earliest_time() -> None:
    heard = Heard()
    heard.set(5, 3, 4)
    await asyncio.sleep(10)
    assert heard.times == [3]


@pytest.mark.virtual_time
async def test_alarm_goes_off_again_where_it_is_set_again() -> None:
    heard = Heard()
    heard.set(3)
    await asyncio.sleep(4)
    heard.set(9, 2)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    heard.set(9)
    await asyncio.sleep(10)
    assert heard.times == [3, 4, 9]


@pytest.mark.virtual_time
async def test_alarm_that_is_cleared_does_not_go_off() -> None:
    heard = Heard()
    heard.alarm.clear()
    heard.set(3)
    heard.alarm.clear()
    await asyncio.sleep(4)
    heard.set(6)
    assert heard.alarm.is_set
    await asyncio.sleep(4)
    assert heard.times == [6]
    assert not heard.alarm.is_set
