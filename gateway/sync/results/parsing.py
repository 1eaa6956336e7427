"""The thread in which what a client chose is parsed, so that the others need not wait for it.

There is one: several would only fight for the interpreter's lock, of which the event loop would get
the smallest part. Work that waits for it is done by turns of the clients it is for, whatever each
of them has brought.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.errors import Field, Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MAX_QUEUED = 1000
MAX_QUEUED_OF_ONE = 32
"""Of one client, whose next is then refused: parsing takes up to 1.5 s."""
_RETRY_SOON: Field = (b"Retry-After", b"1")
_Work = tuple[asyncio.Future[Any], "Callable[[], Any]"]


class ParsingThread:
    """Must be closed. What it works at can't be stopped; what waits for it can."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="parsing")
        self._queues: OrderedDict[bytes, deque[_Work]] = OrderedDict()
        """By client; whose turn is next stands first."""
        self._queued = 0
        self._is_working = False

    async def run(self, client: bytes, function: Callable[..., T], *arguments: Any) -> T:
        """What the function returns, or raises, called in the thread.

        Raises:
            Overloaded: too much is waiting, of this client or in all.
        """
        queue = self._queues.setdefault(client, deque())
        if self._queued >= MAX_QUEUED or len(queue) >= MAX_QUEUED_OF_ONE:
            self._forget(client)
            message = "Too many results are waiting to be parsed"
            raise Overloaded(message, fields=(_RETRY_SOON,))
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        work: _Work = (done, partial(function, *arguments))
        queue.append(work)
        self._queued += 1
        self._go_on()
        try:
            return await done
        finally:
            # Its place, and what it holds, are free again where the client has left meanwhile.
            if work in queue:
                queue.remove(work)
                self._queued -= 1
                self._forget(client)

    def close(self) -> None:
        """Work no more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _go_on(self) -> None:
        if self._is_working or not self._queues:
            return
        client, queue = next(iter(self._queues.items()))
        done, function = queue.popleft()
        self._queued -= 1
        self._queues.move_to_end(client)
        self._forget(client)
        self._is_working = True
        working = asyncio.get_running_loop().run_in_executor(self._executor, function)
        working.add_done_callback(partial(self._done, done))

    def _done(self, done: asyncio.Future[Any], worked: asyncio.Future[Any]) -> None:
        self._is_working = False
        failure = None if worked.cancelled() else worked.exception()
        if done.done():
            pass
        elif worked.cancelled():
            done.cancel()
        elif failure is not None:
            done.set_exception(failure)
        else:
            done.set_result(worked.result())
        self._go_on()

    def _forget(self, client: bytes) -> None:
        if not self._queues[client]:
            del self._queues[client]
