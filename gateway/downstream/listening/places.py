"""How many connections may be open at once: each takes a file descriptor."""

from __future__ import annotations

from collections.abc import Callable


class Places:
    """Counts them. Connections keep ``taken`` and ``refusing`` up to date, from when they are made
    until they are lost; whoever accepts them does the rest.
    """

    __slots__ = ("_taken", "are_short", "most", "on_change", "refused", "refusing")

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken = 0
        self.refusing = 0
        """Connections that have no place, and are being told so."""
        self.refused = 0
        """How many were told so far."""
        self.are_short = False
        """Somebody waits for one: whoever can do without a place should give it up."""
        self.on_change: Callable[[], None] | None = None
        """Called after ``taken`` has changed."""

    @property
    def taken(self) -> int:
        return self._taken

    @taken.setter
    def taken(self, count: int) -> None:
        self._taken = count
        if self.on_change is not None:
            self.on_change()
