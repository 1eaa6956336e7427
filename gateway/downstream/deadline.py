"""A time limit that is set anew with each request, and costs an assignment then, not a timer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Deadline:
    """``on_due`` is called when it is over. One timer is kept, which is set anew when it is due too
    early; only a limit before it takes another one."""

    __slots__ = ("_loop", "_on_due", "_timer", "_timer_at", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_due: Callable[[], None]) -> None:
        self._loop = loop
        self._on_due = on_due
        self._timer: asyncio.TimerHandle | None = None
        # uvloop's timers that are due at once do not tell when they are.
        self._timer_at = 0.0
        self.at = math.inf
        """In seconds of the loop's clock."""

    def set(self, seconds: float) -> None:
        """From now on."""
        self.at = self._loop.time() + seconds
        if self._timer is None or self._timer_at > self.at:
            if self._timer is not None:
                self._timer.cancel()
            self._set_timer()

    def lift(self) -> None:
        """There is no limit until the next is set."""
        self.at = math.inf

    def close(self) -> None:
        """There will be none."""
        self.lift()
        # Else this one and who is called would keep each other until the collector comes.
        self._on_due = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        self._timer_at = self.at
        self._timer = self._loop.call_at(self.at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._loop.time() >= self.at:
            self.lift()
            self._on_due()
        elif self.at < math.inf:
            self._set_timer()


def _nothing() -> None: ...
