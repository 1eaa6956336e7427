"""Watches by the credentials that poll them next, and which batch is to be sent next. Pure.

Watches whose next poll uses the same credentials for the same organization form a batch, which is
polled with one request at a time. A batch is due when one of its watches is.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

from gateway.sync.looks.intervals import JOINING_SHARE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.sync.watch.state import PollState

NEVER = float("inf")


class Batch:
    """The watches of one key; times are the clock's seconds."""

    __slots__ = ("due", "free_at", "key", "states")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.states: dict[PollState, None] = {}
        self.due = NEVER
        """Time at which the next request is due."""
        self.free_at = -NEVER
        """No request is due before this: one follows the other, so that they get fuller."""

    @property
    def next_due(self) -> float:
        """Time at which one of the watches is due."""
        first = self.first()
        return NEVER if first is None else first.due

    def add(self, state: PollState) -> None:
        self.states[state] = None

    def expect(self, state: PollState) -> float:
        """Note that the time of a watch has changed; returns when a request is due for it."""
        return state.due

    def first(self) -> PollState | None:
        """The watch that is due first, of those that are not being polled."""
        return min(self._waiting(), key=due, default=None)

    def joining(self, now: float, most: int) -> list[PollState]:
        """The watches that a list request takes along: they are due, or nearly so."""
        ready = (one for one in self._waiting() if one.is_listable and _joins_at(one) <= now)
        return heapq.nsmallest(most, ready, key=due)

    def _waiting(self) -> Iterator[PollState]:
        return (state for state in self.states if state.flight is None)


class Batches:
    def __init__(self) -> None:
        self._batches: dict[bytes, Batch] = {}
        self._queue: list[tuple[float, int, Batch]] = []
        """Heap by due time; an entry is void once its batch has another."""
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches.values())

    def put(self, state: PollState) -> None:
        """Put a watch into the batch of its first waiter's credentials."""
        self.put_into(state, state.watch.first.access.batch_key, Batch)

    def put_into(self, state: PollState, key: bytes, made: Callable[[bytes], Batch]) -> None:
        """Put a watch into the batch of a key, which is made where there is none."""
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = made(key)
        batch.add(state)
        state.batch_key = key
        self.expect(state)

    def take_out(self, state: PollState) -> None:
        if state.batch_key is None:
            return
        batch = self._batches[state.batch_key]
        state.batch_key = None
        del batch.states[state]
        if not batch.states:
            batch.due = NEVER
            del self._batches[batch.key]
        if not self._batches:
            self._queue.clear()

    def clear(self) -> None:
        for batch in self:
            for state in batch.states:
                state.batch_key = None
        self._batches.clear()
        self._queue.clear()

    def expect(self, state: PollState) -> None:
        """Let the batch of a watch be due no later than the watch, whose time has changed."""
        if state.batch_key is not None and state.flight is None:
            batch = self._batches[state.batch_key]
            self._advance(batch, batch.expect(state))

    def sent(self, batch: Batch, free_at: float) -> None:
        """Let the batch be due when another of its watches is, but not before ``free_at``."""
        batch.free_at = free_at
        self.retime(batch)

    def free_by(self, at: float) -> None:
        """Let no batch have to wait longer than until then."""
        for batch in [*self]:
            if batch.free_at > at:
                self.sent(batch, at)

    def retime(self, batch: Batch) -> None:
        """Let the batch be due when the first of its watches is."""
        batch.due = NEVER
        self._advance(batch, batch.next_due)

    def next(self) -> Batch | None:
        """The batch that is due first."""
        while self._queue:
            at, _, batch = self._queue[0]
            if at == batch.due:
                return batch
            heapq.heappop(self._queue)
        return None

    def _advance(self, batch: Batch, at: float) -> None:
        at = max(at, batch.free_at)
        if at < batch.due:
            batch.due = at
            heapq.heappush(self._queue, (at, next(self._numbers), batch))


def due(state: PollState) -> float:
    return state.due


def _joins_at(state: PollState) -> float:
    return state.planned_at + JOINING_SHARE * (state.due - state.planned_at)
