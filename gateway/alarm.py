"""One timer for many times: it stands at the earliest of them."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Alarm:
    """``on_time`` is called at the earliest time that was set since it was last called, which may
    be too early by then. ``clock`` gives the seconds in which times are."""

    __slots__ = ("_at", "_clock", "_on_time", "_timer")

    def __init__(self, clock: Callable[[], float], on_time: Callable[[], None]) -> None:
        self._clock = clock
        self._on_time = on_time
        self._timer: asyncio.Handle | None = None
        self._at = math.inf

    def set(self, at: float) -> None:
        """Go off at that time or before it; one in the past is at once."""
        if at < self._at:
            self.clear()
            self._at = at
            delay = max(0.0, at - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._go_off)

    @property
    def is_set(self) -> bool:
        return self._timer is not None

    def clear(self) -> None:
        """Go off at no time that was set."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._at = None, math.inf

    def _go_off(self) -> None:
        self._timer, self._at = None, math.inf
        self._on_time()
