"""Watches by whose credentials look at them next, and which group's turn it is. No I/O, no clock.

Watches whose next look uses the same credentials for the same organization form a group, which is
asked for with one request at a time. A group's turn comes when one of its watches is due.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

from gateway.sync.watch.intervals import JOINING_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.sync.watch.state import Watch

NEVER = float("inf")


class Group:
    __slots__ = ("free_at", "key", "watches", "when")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.watches: dict[Watch, None] = {}
        self.when = NEVER
        """When its turn is."""
        self.free_at = -NEVER
        """Its turn is not before this: one request after the other, so that they get fuller."""

    def first(self) -> Watch | None:
        """The watch that is due first, of those that are not looked at just now."""
        return min(self._waiting(), key=due, default=None)

    def joining(self, now: float, most: int) -> list[Watch]:
        """The watches that a list request takes along: they are due, or nearly so."""
        ready = (w for w in self._waiting() if w.is_listable and _joins_at(w) <= now)
        return heapq.nsmallest(most, ready, key=due)

    def _waiting(self) -> Iterator[Watch]:
        return (watch for watch in self.watches if watch.flight is None)


class Groups:
    def __init__(self) -> None:
        self._groups: dict[bytes, Group] = {}
        self._queue: list[tuple[float, int, Group]] = []
        """By when; an entry whose time is not its group's any more is void."""
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def put(self, watch: Watch) -> None:
        """Into the group of its asker."""
        key = watch.asker.group
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key)
        group.watches[watch] = None
        watch.group = key
        self.expect(watch)

    def take_out(self, watch: Watch) -> None:
        if watch.group is None:
            return
        group = self._groups[watch.group]
        watch.group = None
        del group.watches[watch]
        if not group.watches:
            group.when = NEVER
            del self._groups[group.key]
        if not self._groups:
            self._queue.clear()

    def clear(self) -> None:
        for group in self:
            for watch in group.watches:
                watch.group = None
        self._groups.clear()
        self._queue.clear()

    def expect(self, watch: Watch) -> None:
        """The watch has a new time: its group's turn must not be later."""
        if watch.group is not None and watch.flight is None:
            group = self._groups[watch.group]
            self._advance(group, watch.due)

    def had_turn(self, group: Group, free_at: float) -> None:
        """The next is when another watch is due, and not before ``free_at``."""
        group.free_at = free_at
        self.retime(group)

    def retime(self, group: Group) -> None:
        group.when = NEVER
        first = group.first()
        if first is not None:
            self._advance(group, first.due)

    def next(self) -> Group | None:
        """The group whose turn is first."""
        while self._queue:
            when, _, group = self._queue[0]
            if when == group.when:
                return group
            heapq.heappop(self._queue)
        return None

    def _advance(self, group: Group, when: float) -> None:
        when = max(when, group.free_at)
        if when < group.when:
            group.when = when
            heapq.heappush(self._queue, (when, next(self._numbers), group))


def due(watch: Watch) -> float:
    return watch.due


def _joins_at(watch: Watch) -> float:
    return watch.planned_at + JOINING_SHARE * (watch.due - watch.planned_at)
