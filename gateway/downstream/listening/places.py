"""How many connections may be open at once: each takes a file descriptor."""

from __future__ import annotations


class Places:
    """Counts them. Connections keep ``taken`` and ``refusing`` up to date, from when they are made
    until they are lost; whoever accepts them does the rest.
    """

    __slots__ = ("are_short", "most", "refused", "refusing", "taken")

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self.refusing = 0
        """Connections that have no place, and are being told so."""
        self.refused = 0
        """How many were told so far."""
        self.are_short = False
        """Somebody waits for one: whoever can do without a place should give it up."""
