"""Which of several processes that share a listening socket takes the next connection.

The kernel wakes all of them, and whoever runs first has it: with a burst of connections that is
the same one again and again. So each tells the others how many it has, and one that has more than
its share leaves the next to them for a moment. Nobody waits long for that: a process that lets a
connection lie is not left any until it has shown itself again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS: Final = 0.008
"""For so long a connection is left to the others."""
SLACK: Final = 1
SHARE: Final = 4
"""So many connections more than the process that has the fewest, and a quarter of those, are no
reason to wait. It makes bursts go fast."""
_ABSENT: Final = -1


class FairTurns:
    """``cells`` are shared by all processes: two numbers for each, how many connections it has, or
    -1 if it takes none, and how often it has looked at the socket. ``number`` is this process's,
    from 1. ``clock`` gives monotonic seconds.
    """

    def __init__(self, cells: memoryview, number: int, clock: Callable[[], float]) -> None:
        self._cells = cells
        self._own = 2 * (number - 1)
        self._others = [at for at in range(0, len(cells), 2) if at != self._own]
        self._clock = clock
        self._until = 0.0
        """While a connection is left to the others; 0 if none is."""
        self._looks: dict[int, int] = {}
        """Of each of the others, when that began."""
        self._silent: dict[int, int] = {}
        """Of those that are left none: how often they had looked."""

    def tell(self, connections: int) -> None:
        """Say how many connections this process has."""
        self._cells[self._own] = connections

    def leave(self) -> None:
        """Say that this process takes no connections."""
        self._cells[self._own] = _ABSENT
        self.settle()

    def settle(self) -> None:
        """Nothing is left to the others any more: somebody has taken it."""
        self._until = 0.0

    def is_own(self) -> bool:
        """Tell whether this process should take the connection that waits, else it should ask again
        soon, or ``settle``.
        """
        cells = self._cells
        cells[self._own + 1] += 1
        mine = cells[self._own]
        fewer = [at for at in self._others if self._is_behind(at, mine)]
        if not fewer:
            self._until = 0.0
            return True
        now = self._clock()
        if not self._until:
            self._until = now + PATIENCE_SECONDS
            self._looks = {at: cells[at + 1] for at in fewer}
            return False
        if now < self._until:
            return False
        self._until = 0.0
        for at in fewer:
            if self._looks.get(at) == cells[at + 1]:
                self._silent[at] = cells[at + 1]
        return True

    def _is_behind(self, at: int, mine: int) -> bool:
        """Tell whether another process has so few connections that it should have the next, and can
        be expected to take it."""
        theirs = self._cells[at]
        if theirs < 0 or mine <= theirs + SLACK + theirs // SHARE:
            return False
        looked = self._silent.get(at)
        if looked is None:
            return True
        if looked == self._cells[at + 1]:
            return False
        del self._silent[at]
        return True
