"""The thread that parses: whose turn it is, how much may wait, what becomes of it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.errors import Overloaded
from gateway.sync.results.parsing import MAX_QUEUED, MAX_QUEUED_OF_ONE, ParsingThread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

A, B, C = b"a", b"b", b"c"


@asynccontextmanager
async def busy(thread: ParsingThread) -> AsyncIterator[None]:
    """The thread works until the block ends, and on what is waiting thereafter."""
    began, go_on = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        assert go_on.wait(30)

    first = asyncio.ensure_future(thread.run(b"first", work))  # noqa: TID251 - awaited below
    while not began.is_set():  # noqa: ASYNC110 - the thread has no loop
        await asyncio.sleep(0.001)
    try:
        yield
    finally:
        go_on.set()
        await first


@pytest.fixture
async def thread() -> AsyncIterator[ParsingThread]:
    made = ParsingThread()
    yield made
    made.close()


async def test_function_is_called_in_another_thread_which_is_always_the_same(
    thread: ParsingThread,
) -> None:
    threads = {await thread.run(A, threading.get_ident) for _ in range(5)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    assert await thread.run(A, max, 1, 2) == 2


async def test_what_it_raises_is_raised_and_the_next_goes_on(thread: ParsingThread) -> None:
    with pytest.raises(ZeroDivisionError):
        await thread.run(A, divmod, 1, 0)
    assert await thread.run(A, int, "7") == 7


async def test_clients_take_turns_whatever_each_of_them_has_brought(thread: ParsingThread) -> None:
    done: list[str] = []
    async with asyncio.TaskGroup() as group, busy(thread):
        for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
            group.create_task(thread.run(name[:1].encode(), done.append, name))
        await asyncio.sleep(0)
    assert done == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_client_with_too_much_waiting_is_refused_and_no_other(thread: ParsingThread) -> None:
    async with asyncio.TaskGroup() as group, busy(thread):
        for _ in range(MAX_QUEUED_OF_ONE):
            group.create_task(thread.run(A, int))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            await thread.run(A, int)
        assert refused.value.fields == ((b"Retry-After", b"1"),)
        other = group.create_task(thread.run(B, int, "1"))
    assert other.result() == 1
    assert await thread.run(A, int, "2") == 2


async def test_no_more_than_so_much_is_waiting_in_all(thread: ParsingThread) -> None:
    async with asyncio.TaskGroup() as group, busy(thread):
        for number in range(MAX_QUEUED):
            group.create_task(thread.run(b"%d" % number, int))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await thread.run(A, int)
    assert await thread.run(A, int, "2") == 2
    assert (thread._queued, len(thread._queues)) == (0, 0)


async def test_work_of_a_client_that_has_left_is_not_done(thread: ParsingThread) -> None:
    done: list[str] = []
    async with busy(thread):
        left = asyncio.ensure_future(thread.run(A, done.append, "left"))  # noqa: TID251 - awaited
        stays = asyncio.ensure_future(thread.run(B, done.append, "stays"))  # noqa: TID251 - awaited
        await asyncio.sleep(0)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        assert (thread._queued, len(thread._queues)) == (1, 1)
    await stays
    assert done == ["stays"]


async def test_client_may_leave_while_its_work_is_done(thread: ParsingThread) -> None:
    async with busy(thread):
        pass
    began, go_on = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        assert go_on.wait(30)

    left = asyncio.ensure_future(thread.run(A, work))  # noqa: TID251 - awaited
    while not began.is_set():  # noqa: ASYNC110 - the thread has no loop
        await asyncio.sleep(0.001)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    go_on.set()
    assert await thread.run(B, int, "1") == 1
