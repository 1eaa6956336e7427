"""Workers are kept at their number, on virtual time and without processes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway.server.supervision.supervisor import (
    FIRST_GAP_SECONDS,
    LONGEST_GAP_SECONDS,
    START_SECONDS,
    Supervisor,
)
from gateway.server.workers.channel import Order, Question
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.server.workers.channel import WorkerSettings

pytestmark = pytest.mark.virtual_time


class Fake:
    """A worker that obeys; ``lives_seconds`` is None for one that runs until it is told to end."""

    def __init__(self, lives_seconds: float | None = None, *, answers: bool = True) -> None:
        self.orders: list[Order] = []
        self._answers = answers
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if lives_seconds is not None:
            asyncio.get_running_loop().call_later(lives_seconds, self.end, 1)

    def end(self, status: int = 0) -> None:
        if not self._status.done():
            self._status.set_result(status)

    async def ended(self) -> int:
        return await asyncio.shield(self._status)

    async def ask(
        self, question: Question, seconds: float, settings: WorkerSettings | None = None
    ) -> msgspec.Raw | None:
        assert settings is None
        assert question is Question.LIVE
        await asyncio.wait([self._status], timeout=0 if self._answers else seconds)
        return None if self._status.done() or not self._answers else msgspec.Raw(b'""')

    def order(self, order: Order, settings: WorkerSettings | None = None) -> None:
        assert settings is None
        self.orders.append(order)
        if order is Order.STOP:
            self.end()

    def kill(self) -> None:
        self.end(-9)


class Workers:
    """Starts what ``make`` makes, and notes when."""

    def __init__(self, make: Callable[[], Fake], count: int = 1) -> None:
        self.starts: list[tuple[int, float]] = []
        self.made: list[Fake] = []
        self.retired: list[int] = []
        self._make = make
        self.supervisor = Supervisor(count, self._start, self.retired.append, now)

    async def _start(self, number: int) -> Fake:
        self.starts.append((number, now()))
        self.made.append(self._make())
        return self.made[-1]


async def test_worker_that_ends_is_replaced_under_its_number() -> None:
    workers = Workers(Fake, count=2)
    async with workers.supervisor as supervisor:
        await supervisor.until_started()
        assert supervisor.has_started
        workers.made[1].end(-11)
        await asyncio.sleep(1)
        assert workers.starts == [(1, 0), (2, 0), (2, FIRST_GAP_SECONDS)]
        assert workers.retired == [2]
        assert supervisor.replaced == 1
        assert supervisor.running == {1: workers.made[0], 2: workers.made[2]}
    assert supervisor.running == {}


async def test_gaps_grow_while_workers_end_at_once() -> None:
    workers = Workers(lambda: Fake(1.0))
    async with workers.supervisor:
        await asyncio.sleep(600)
    times = [time for _, time in workers.starts]
    gaps = [later - earlier - 1 for earlier, later in pairwise(times)]
    assert gaps[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert gaps[-1] == pytest.approx(LONGEST_GAP_SECONDS)
    assert [round(gap, 6) for gap in gaps] == sorted(round(gap, 6) for gap in gaps)


async def test_worker_that_cannot_be_started_for_an_unforeseen_reason_is_started_again() -> None:
    faults: list[Exception] = [ValueError("a fault of ours"), KeyError()]

    def make() -> Fake:
        if faults:
            raise faults.pop()
        return Fake()

    workers = Workers(make)
    async with workers.supervisor as supervisor:
        await asyncio.sleep(1)
        assert supervisor.has_started
        assert len(workers.starts) == 3


async def test_worker_that_does_not_start_in_time_is_killed() -> None:
    workers = Workers(lambda: Fake(answers=False))
    async with workers.supervisor as supervisor:
        await supervisor.until_started()
        assert now() == START_SECONDS
        assert supervisor.has_failed
        assert not supervisor.has_started
        assert await workers.made[0].ended() == -9


async def test_failure_to_start_is_told_when_a_process_cannot_be_had() -> None:
    async def start(_number: int) -> Fake:
        raise BlockingIOError("no more processes")

    async with Supervisor(2, start, lambda _number: None, now) as supervisor:
        await supervisor.until_started()
        assert supervisor.has_failed


async def test_start_that_takes_its_time_does_not_hold_up_the_end() -> None:
    undone: list[int] = []

    async def start(number: int) -> Fake:
        if number == 1:
            return Fake()
        try:
            await asyncio.sleep(30)
        finally:
            undone.append(number)
        raise AssertionError("nobody waits so long")

    retired: list[int] = []
    async with Supervisor(2, start, retired.append, now) as supervisor:
        await asyncio.sleep(1)
        await supervisor.end(Order.STOP, 60)
        assert now() == 1
        assert undone == [2]
        assert retired == [1]
        assert not supervisor.running


async def test_end_waits_for_workers_that_take_their_time_and_replaces_none() -> None:
    workers = Workers(Fake, count=2)
    async with workers.supervisor as supervisor:
        await supervisor.until_started()
        for seconds, worker in zip((2, 5), workers.made, strict=True):
            asyncio.get_running_loop().call_later(seconds, worker.end)
        await supervisor.end(Order.DRAIN, 60)
        assert now() == 5
        assert [worker.orders for worker in workers.made] == [[Order.DRAIN]] * 2
    assert len(workers.made) == 2
    assert supervisor.replaced == 0


async def test_workers_that_do_not_end_in_time_are_killed() -> None:
    workers = Workers(Fake)
    async with workers.supervisor as supervisor:
        await supervisor.until_started()
        await supervisor.end(Order.DRAIN, 3)
        assert now() == 3
    assert await workers.made[0].ended() == -9


async def test_second_order_ends_what_the_first_left_running() -> None:
    workers = Workers(Fake)
    async with workers.supervisor as supervisor:
        await supervisor.until_started()
        await supervisor.end(Order.DRAIN, 0)
        await supervisor.end(Order.STOP, 60)
        assert now() == 0
    assert await workers.made[0].ended() == 0


async def test_end_does_not_wait_for_a_gap_to_pass() -> None:
    workers = Workers(lambda: Fake(0.0))
    async with workers.supervisor as supervisor:
        await asyncio.sleep(100)
        before, started = now(), len(workers.made)
        await supervisor.end(Order.DRAIN, 60)
        assert now() - before < LONGEST_GAP_SECONDS / 2
        assert len(workers.made) == started


async def test_worker_that_has_just_been_started_is_told_what_the_others_were() -> None:
    worker = Fake()

    async def start(_number: int) -> Fake:
        # Whoever does not want it any more comes too late.
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(30)
        return worker

    async with Supervisor(1, start, lambda _number: None, now) as supervisor:
        await asyncio.sleep(1)
        await supervisor.end(Order.STOP, 60)
        assert now() == 1
        assert worker.orders == [Order.STOP]
    assert await worker.ended() == 0
