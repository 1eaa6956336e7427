"""The places for relayed requests: how many each client holds, and the requests that wait for one.

A client may hold up to twice as many places as are free. So one alone gets two thirds of them; of
several that take what they can get each has the same, and some places stay free for who comes next
(dynamic thresholds: Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet
switches", 1998).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.upstream.connections.connection import UpstreamConnection

    Ticket = asyncio.Future[UpstreamConnection | None]
    """A request in a queue: resolved with a connection, or None for the place to open one."""

GREED: Final = 2
"""Places that one client may hold for each that is free."""


class Shares:
    """``most`` places in all.

    A ``holder`` stands for one client; the empty one, for the gateway itself, takes no share.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._held: dict[bytes, int] = {}
        self._queues: dict[bytes, deque[Ticket]] = {}

    @property
    def is_full(self) -> bool:
        """No place is free for anybody."""
        return self._free <= 0

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return sum(map(len, self._queues.values()))

    def may_take(self, holder: bytes) -> bool:
        """True if one more place may be the holder's."""
        return not holder or self._held.get(holder, 0) < GREED * self._free

    def take(self, holder: bytes) -> None:
        """Count one more place as the holder's."""
        if not holder:
            return
        self._free -= 1
        self._held[holder] = self._held.get(holder, 0) + 1

    def give_back(self, holder: bytes) -> None:
        """Count one of the holder's places as free."""
        if not holder:
            return
        self._free += 1
        held = self._held[holder] - 1
        if held:
            self._held[holder] = held
        else:
            del self._held[holder]

    def enqueue(self, holder: bytes, ticket: Ticket) -> None:
        """Wait for a place."""
        self._queues.setdefault(holder, deque()).append(ticket)

    def leave(self, holder: bytes, ticket: Ticket) -> bool:
        """Wait no longer; whether nothing had been handed over yet."""
        queue = self._queues.get(holder)
        if queue is None or ticket not in queue:
            return False
        queue.remove(ticket)
        if not queue:
            del self._queues[holder]
        return True

    def next_in_line(self) -> Ticket | None:
        """The request that is served next: of the clients that may have a place the one served
        longest ago, of its requests the first. The place is taken."""
        for holder, queue in self._queues.items():
            if self.may_take(holder) and (ticket := first_waiting(queue)) is not None:
                break
        else:
            return None
        del self._queues[holder]
        if queue:
            self._queues[holder] = queue
        self.take(holder)
        return ticket


def first_waiting(queue: deque[Ticket]) -> Ticket | None:
    """Take the first that has not left out of the queue."""
    while queue:
        ticket = queue.popleft()
        if not ticket.done():
            return ticket
    return None
