"""Keeps a number of workers running, whatever becomes of each.

A worker that ends is replaced. The gap before its successor grows while they end soon after they
began, so that a fault that all of them have costs little.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self

from gateway.backoff import Backoff
from gateway.server.workers.channel import Order, Question
from gateway.tasks import Tasks, first_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import msgspec

    from gateway.server.workers.channel import WorkerSettings

_log = logging.getLogger("gateway")
FIRST_GAP_SECONDS = 0.1
LONGEST_GAP_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A worker that ran as long ended for a reason of its own."""
START_SECONDS = 30.0
"""What a worker gets until it must take connections."""


class WorkerProcess(Protocol):
    """A process."""

    async def ended(self) -> int:
        """Wait for its end: the exit status, or the negative signal."""
        raise NotImplementedError

    async def ask(
        self, question: Question, seconds: float, settings: WorkerSettings | None = None
    ) -> msgspec.Raw | None:
        """The answer, None where none comes in time."""
        raise NotImplementedError

    def order(self, order: Order, settings: WorkerSettings | None = None) -> None:
        """Tell it to do something."""
        raise NotImplementedError

    def kill(self) -> None:
        """End it if it has not ended."""
        raise NotImplementedError


class Supervisor:
    """Workers with the numbers 1 to ``count``, as an ``async with`` block that kills what is left.

    ``start`` makes one, ``retire`` is told of the number of one that ended, ``clock`` gives
    monotonic seconds. A worker has started when it takes connections.
    """

    def __init__(
        self,
        count: int,
        start: Callable[[int], Awaitable[WorkerProcess]],
        retire: Callable[[int], None],
        clock: Callable[[], float],
    ) -> None:
        self.numbers = range(1, count + 1)
        self._start = start
        self._retire = retire
        self._clock = clock
        self._tasks = Tasks()
        self._started: list[asyncio.Future[bool]] = []
        self._keeping: list[asyncio.Task[None]] = []
        self._last_order: Order | None = None
        self._leaving = asyncio.Event()
        self.running: dict[int, WorkerProcess] = {}
        self.replaced = 0
        """Workers that ended without having been told to."""

    @property
    def is_leaving(self) -> bool:
        """No worker is replaced any more."""
        return self._leaving.is_set()

    @property
    def has_started(self) -> bool:
        """All workers have started once."""
        return all(started.done() and started.result() for started in self._started)

    @property
    def has_failed(self) -> bool:
        """The first worker of some number ended before it had started."""
        return any(started.done() and not started.result() for started in self._started)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in self.numbers:
            started = loop.create_future()
            keeping = self._tasks.keep(
                partial(self._keep, number, started), name=f"worker {number}"
            )
            self._started.append(started)
            self._keeping.append(keeping)
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._tasks.aclose()

    async def until_started(self) -> None:
        """Wait until it is known of all workers whether they start."""
        await asyncio.wait(self._started)

    def order(self, order: Order, settings: WorkerSettings | None = None) -> None:
        """Tell all workers."""
        for worker in self.running.values():
            worker.order(order, settings)

    async def end(self, order: Order, seconds: float) -> None:
        """Tell all workers to end, replace none, and wait so long until they have ended. What is
        being started is given up."""
        self._last_order = order
        self._leaving.set()
        self.order(order)
        await asyncio.wait(self._keeping, timeout=seconds)

    async def _keep(self, number: int, started: asyncio.Future[bool]) -> None:
        backoff = Backoff(FIRST_GAP_SECONDS, LONGEST_GAP_SECONDS, STEADY_SECONDS)
        while not self.is_leaving:
            began = self._clock()
            how = await self._life(number, started)
            if not started.done():
                started.set_result(False)
            if self.is_leaving:
                return
            self.replaced += 1
            backoff.lasted(self._clock() - began)
            gap = backoff.gap()
            _log.warning("worker %d %s; another one starts in %g s", number, how, gap)
            with suppress(TimeoutError):
                async with asyncio.timeout(gap):
                    await self._leaving.wait()

    async def _life(self, number: int, started: asyncio.Future[bool]) -> str:
        """A worker from start to end; how it ended."""
        try:
            try:
                await first_of(self._begin(number), self._leaving.wait())
            except OSError as failure:
                return f"could not be started ({failure})"
            worker = self.running.get(number)
            if worker is None:
                return "is not needed any more"
            if self._last_order is not None:
                worker.order(self._last_order)
            if await worker.ask(Question.LIVE, START_SECONDS) is None:
                worker.kill()
            elif not started.done():
                started.set_result(True)
            return f"ended with status {await worker.ended()}"
        finally:
            begun = self.running.pop(number, None)
            if begun is not None:
                begun.kill()
                await begun.ended()
                self._retire(number)

    async def _begin(self, number: int) -> None:
        # In one step: whoever tells all that run tells this one, or it is told by its start.
        self.running[number] = await self._start(number)
