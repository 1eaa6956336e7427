"""Tasks with an owner that ends them. Who starts one elsewhere awaits its end there."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.backoff import Backoff
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

FIRST_GAP_SECONDS = 0.1
LONGEST_GAP_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A kept task that ran for so long failed for a reason of its own."""
_log = logging.getLogger(__name__)


class Tasks:
    """Owns tasks until they end. What fails unexpectedly is logged, also if nobody awaits it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def keep(self, begin: Callable[[], Coroutine[Any, Any, T]], *, name: str) -> asyncio.Task[T]:
        """Run what ``begin`` makes until it returns. However else it ends, say so and begin again:
        also with a CancelledError that did not come from here, such as a time limit that the
        library or the interpreter let out."""
        return self.spawn(self._kept(begin, name), name=f"keep {name}")

    async def aclose(self, grace_seconds: float = 0.0) -> None:
        """Wait ``grace_seconds`` for the tasks to end by themselves, then cancel the others."""
        if self._tasks and grace_seconds > 0:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        remaining = list(self._tasks)
        for task in remaining:
            task.cancel()
        await asyncio.gather(*remaining, return_exceptions=True)

    async def _kept(self, begin: Callable[[], Coroutine[Any, Any, T]], name: str) -> T:
        loop = asyncio.get_running_loop()
        backoff = Backoff(FIRST_GAP_SECONDS, LONGEST_GAP_SECONDS, STEADY_SECONDS)
        while True:
            began = loop.time()
            # A task of its own each time: what one life leaves behind harms no later one.
            task = loop.create_task(begin(), name=name)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.wait([task])
            failure = asyncio.CancelledError() if task.cancelled() else task.exception()
            if failure is None:
                return task.result()
            backoff.lasted(loop.time() - began)
            gap = backoff.gap()
            _log.error(
                "task %s ended with %s and begins again in %g s",
                name,
                type(failure).__name__,
                gap,
                exc_info=failure,
            )
            await asyncio.sleep(gap)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None and not isinstance(failure, GatewayError):
            _log.error("task %s failed", task.get_name(), exc_info=failure)


async def first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Run all until one ends, cancel the others, and raise what that one failed with.

    Not an ``asyncio.TaskGroup``: before Python 3.13 that may leave the task that waits marked as
    being cancelled, whose next time limit then ends with CancelledError (3.11.0 to 3.11.2).
    """
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(task for task in tasks if task.done())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await first
