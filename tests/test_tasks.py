import asyncio
import logging
from itertools import pairwise

import pytest

from gateway.errors import BadGateway
from gateway.tasks import FIRST_GAP_SECONDS, LONGEST_GAP_SECONDS, STEADY_SECONDS, Tasks, first_of
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time


async def test_owner_cancels_what_still_runs_when_closed() -> None:
    tasks = Tasks()
    task = tasks.spawn(asyncio.sleep(60), name="long")
    await tasks.aclose()
    assert task.cancelled()
    assert len(tasks) == 0
    assert now() == 0


async def test_owner_lets_tasks_end_by_themselves_within_the_grace() -> None:
    tasks = Tasks()
    short, long = (tasks.spawn(asyncio.sleep(s, s), name="sleep") for s in (2, 60))
    await tasks.aclose(grace_seconds=5)
    assert short.result() == 2
    assert long.cancelled()
    assert now() == 5


@pytest.mark.parametrize(("failure", "logged"), [(KeyError("x"), 1), (BadGateway("no"), 0)])
async def test_only_unexpected_failures_are_logged(
    failure: Exception, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise failure

    with caplog.at_level(logging.ERROR):
        tasks = Tasks()
        tasks.spawn(fail(), name="failing")
        await asyncio.sleep(0.01)
        await tasks.aclose()
    assert len(caplog.records) == logged


class Lives:
    """A coroutine that ends in another way each time, as ``ends`` has it, and notes when it began.
    None: it runs until it is cancelled."""

    def __init__(self, *ends: BaseException | str | None, seconds: float = 0.0) -> None:
        self.began: list[float] = []
        self._ends = list(ends)
        self._seconds = seconds

    async def run(self) -> str:
        self.began.append(now())
        await asyncio.sleep(self._seconds)
        end = self._ends.pop(0)
        if end is None:
            await asyncio.sleep(1e6)
        if isinstance(end, BaseException):
            raise end
        return str(end)


@pytest.mark.parametrize(
    "end", [KeyError("x"), BadGateway("no"), asyncio.CancelledError(), TimeoutError()]
)
async def test_kept_task_begins_again_whatever_it_ended_with_and_says_so(
    end: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    tasks, lives = Tasks(), Lives(end, None)
    tasks.keep(lives.run, name="lasting")
    await asyncio.sleep(60)
    assert lives.began == [0, FIRST_GAP_SECONDS]
    await tasks.aclose()
    assert len(tasks) == 0
    await asyncio.sleep(60)
    assert len(lives.began) == 2
    [record] = caplog.records
    told = f"task lasting ended with {type(end).__name__} and begins again in 0.1 s"
    assert record.getMessage() == told


async def test_kept_task_that_was_cancelled_from_outside_begins_again() -> None:
    tasks, lives = Tasks(), Lives(None, None)
    tasks.keep(lives.run, name="lasting")
    await asyncio.sleep(1)
    [running] = [task for task in asyncio.all_tasks() if task.get_name() == "lasting"]
    running.cancel()
    await asyncio.sleep(1)
    assert lives.began == [0, 1 + FIRST_GAP_SECONDS]
    await tasks.aclose()


async def test_kept_task_that_returns_is_done() -> None:
    tasks, lives = Tasks(), Lives(ValueError(), "done")
    assert await tasks.keep(lives.run, name="lasting") == "done"
    assert len(lives.began) == 2


async def test_gaps_of_a_kept_task_grow_and_are_short_again_after_a_steady_life() -> None:
    tasks, hasty = Tasks(), Lives(*[ValueError()] * 20, None)
    tasks.keep(hasty.run, name="hasty")
    await asyncio.sleep(600)
    gaps = [later - earlier for earlier, later in pairwise(hasty.began)]
    assert gaps[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert gaps[-1] == pytest.approx(LONGEST_GAP_SECONDS)
    steady = Lives(*[ValueError()] * 3, None, seconds=STEADY_SECONDS)
    tasks.keep(steady.run, name="steady")
    await asyncio.sleep(600)
    gaps = [later - earlier - STEADY_SECONDS for earlier, later in pairwise(steady.began)]
    assert gaps == pytest.approx([FIRST_GAP_SECONDS] * 3)
    await tasks.aclose()


async def test_first_of_some_waits_ends_the_others() -> None:
    long = Lives(None)
    await first_of(long.run(), asyncio.sleep(1))
    assert now() == 1
    with pytest.raises(KeyError):
        await first_of(asyncio.sleep(60), Lives(KeyError(), seconds=1).run())
    assert now() == 2
    assert len(asyncio.all_tasks()) == 1


async def test_first_of_some_waits_leaves_nothing_behind_when_cancelled() -> None:
    waiting = asyncio.gather(first_of(asyncio.sleep(60), asyncio.sleep(60)))
    await asyncio.sleep(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(asyncio.all_tasks()) == 1


async def test_failed_wait_leaves_time_limits_as_they_are() -> None:
    """Both failing at once, the second after the first: a TaskGroup does not (CPython 3.11.2)."""

    async def fails(seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        finally:
            await asyncio.sleep(0)
        raise KeyError

    for _ in range(3):
        with pytest.raises(KeyError):
            await first_of(fails(1), fails(2))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.sleep(60)
