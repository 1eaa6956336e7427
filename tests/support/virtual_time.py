"""An event loop whose clock jumps to the next timer: an hour's wait takes no time."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

_STUCK_SECONDS = 5.0
_UNDER_WAY_SECONDS = 0.005
"""What bytes may take from one socket of this machine to another."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits for a timer: it moves the clock there."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            ready = super().select(_STUCK_SECONDS)
            if not ready:
                raise RuntimeError("no timer and no socket will ever wake this loop")
            return ready
        if len(self.get_map()) > 1 and (ready := super().select(_UNDER_WAY_SECONDS)):
            # Something was on its way through the kernel: no time has passed.
            return ready
        self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait for threads in real time: by this clock any time limit is over at once."""
        del timeout
        executor: ThreadPoolExecutor | None = self._default_executor  # type: ignore[attr-defined]
        if executor is not None:
            executor.shutdown()


def run(coro: Coroutine[Any, Any, T]) -> T:
    """Run to the end on virtual time, which begins at 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coro)


def now() -> float:
    """Virtual seconds; a clock for the parts under test."""
    return asyncio.get_running_loop().time()
