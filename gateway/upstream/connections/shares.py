"""The places for relayed requests: who holds them, who may have one, and who waits for one.

A client may hold up to twice as many places as are free. So one alone gets two thirds of them; of
several that take what they can get each has the same, and some places stay free for who comes next
(dynamic thresholds: Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet
switches", 1998).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.upstream.connections.connection import Connection

    Cycle = asyncio.Future[Connection | None]
    """Of somebody in a queue: a connection, or None for the place to open one."""

GREED = 2
"""Places that one client may hold for each that is free."""


class Shares:
    """``most`` places in all. A ``holder`` stands for one client."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._held: dict[bytes, int] = {}
        self._queues: dict[bytes, deque[Cycle]] = {}

    @property
    def is_full(self) -> bool:
        """No place is free, whoever asks."""
        return self._free <= 0

    @property
    def queued(self) -> int:
        """How many wait."""
        return sum(map(len, self._queues.values()))

    def may_take(self, holder: bytes) -> bool:
        """Whether one more place may be the holder's."""
        return self._held.get(holder, 0) < GREED * self._free

    def take(self, holder: bytes) -> None:
        """One place is the holder's."""
        self._free -= 1
        self._held[holder] = self._held.get(holder, 0) + 1

    def give_back(self, holder: bytes) -> None:
        """One of the holder's places is free."""
        self._free += 1
        held = self._held[holder] - 1
        if held:
            self._held[holder] = held
        else:
            del self._held[holder]

    def enqueue(self, holder: bytes, turn: Cycle) -> None:
        """Wait for a place."""
        self._queues.setdefault(holder, deque()).append(turn)

    def leave(self, holder: bytes, turn: Cycle) -> bool:
        """Wait no longer; whether the turn was still to come."""
        queue = self._queues.get(holder)
        if queue is None or turn not in queue:
            return False
        queue.remove(turn)
        if not queue:
            del self._queues[holder]
        return True

    def next_turn(self) -> Cycle | None:
        """Whose turn it is: of those who may have a place the client that was served longest ago,
        of its requests the first. The place is taken."""
        for holder, queue in self._queues.items():
            if self.may_take(holder) and (turn := first_waiting(queue)) is not None:
                break
        else:
            return None
        del self._queues[holder]
        if queue:
            self._queues[holder] = queue
        self.take(holder)
        return turn


def first_waiting(queue: deque[Cycle]) -> Cycle | None:
    """The first who has not left, taken out of the queue."""
    while queue:
        turn = queue.popleft()
        if not turn.done():
            return turn
    return None
