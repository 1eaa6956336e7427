"""Locks among processes that share a file: a byte of it for each.

They are the system's record locks (POSIX), and so end with whoever has them, however that ends. A
process that stands still keeps its own: nobody waits for one for long.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_SECONDS: Final = 0.05
"""For so long a lock is waited for: a busy system may not let the one who has it run sooner."""
PAUSE_SECONDS: Final = 0.0001
"""Between two tries."""
IMPATIENT_SECONDS: Final = 1.0
"""One that was waited for in vain is not waited for again for so long."""


def _pause() -> None:
    time.sleep(PAUSE_SECONDS)  # noqa: TID251 - so short that nothing else can be done meanwhile


class Locks:
    """``descriptor`` is that of the file. A process that closes it, or another one of that file,
    gives back all locks. Who waits does nothing else, so what is done under a lock must be short.
    ``clock`` gives monotonic seconds, ``pause`` lets others run for a moment.
    """

    def __init__(
        self,
        descriptor: int,
        clock: Callable[[], float],
        pause: Callable[[], object] = _pause,
    ) -> None:
        self._descriptor = descriptor
        self._clock = clock
        self._pause = pause
        self._impatient_until: dict[int, float] = {}
        """By lock."""

    def take(self, number: int) -> bool:
        """Take a lock; whether it was to be had."""
        return self._taken(number) or self._taken_later(number)

    def give_back(self, number: int) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, number)

    def _taken(self, number: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            # Somebody has it, or the system has no more locks.
            return False
        return True

    def _taken_later(self, number: int) -> bool:
        now = self._clock()
        if now < self._impatient_until.get(number, now):
            return False
        until = now + WAIT_SECONDS
        while self._clock() < until:
            self._pause()
            if self._taken(number):
                return True
        self._impatient_until[number] = until + IMPATIENT_SECONDS
        return False
