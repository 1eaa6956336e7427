"""A time limit that costs no timer each time it is set."""

from __future__ import annotations

import asyncio
import math

import pytest

from gateway.downstream.deadline import Deadline
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time


class Limit:
    """A deadline, and when it was over."""

    def __init__(self) -> None:
        self.over_at: list[float] = []
        self.deadline = Deadline(asyncio.get_running_loop(), lambda: self.over_at.append(now()))


async def test_limit_is_over_once() -> None:
    limit = Limit()
    limit.deadline.set(10)
    await asyncio.sleep(100)
    assert limit.over_at == [10]
    limit.deadline.set(10)
    await asyncio.sleep(100)
    assert limit.over_at == [10, 110]


@pytest.mark.parametrize(("then", "over_at"), [(10, [15]), (1, [6]), (5, [10])])
async def test_limit_that_is_set_again_counts_from_then(then: float, over_at: list[float]) -> None:
    limit = Limit()
    limit.deadline.set(10)
    await asyncio.sleep(5)
    limit.deadline.set(then)
    await asyncio.sleep(100)
    assert limit.over_at == over_at


async def test_limit_that_was_lifted_is_never_over() -> None:
    limit = Limit()
    limit.deadline.set(10)
    limit.deadline.lift()
    assert limit.deadline.at == math.inf
    await asyncio.sleep(100)
    assert limit.over_at == []
    limit.deadline.set(10)
    await asyncio.sleep(100)
    assert limit.over_at == [110]


async def test_closed_limit_keeps_nothing() -> None:
    limit = Limit()
    limit.deadline.set(10)
    limit.deadline.close()
    await asyncio.sleep(100)
    assert limit.over_at == []
