"""What is done in a while, unless it is called off."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Delays:
    """There are never more of them than jobs."""

    def __init__(self) -> None:
        self._numbers = count()
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Call ``do`` so many seconds from now."""
        number = next(self._numbers)
        loop = asyncio.get_running_loop()
        self._timers[number] = loop.call_later(seconds, self._do, number, do)

    def stop(self) -> None:
        """Call off all that is still to be done."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _do(self, number: int, do: Callable[[], None]) -> None:
        del self._timers[number]
        do()
