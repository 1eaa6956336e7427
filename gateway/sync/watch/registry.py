"""Keeps the watches, and wakes the clients that an outcome or a hint concerns.

A watch is shared by all who wait for the job and have read it with their own token. A client that
has not, because the upstream failed when it came, waits in a private watch, which joins the shared
one when a poll with the client's own token shows the job.

What is passed on is only *that* something changed: each client then reads for itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cachetools import TTLCache

from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.looks.pacer import Pacer
from gateway.sync.watch.state import Waiter, WaitVerdict, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.sync.jobs.access import JobAccess

MAX_HINTS = 10_000
HINT_SECONDS = 5.0
"""Memory of a hint: a job can end before its client follows the redirect."""
_HINT_SPACING_SECONDS = 1.0
MAX_WAKES_PER_SECOND = 1000.0
"""Each client that is woken reads the job. More at once would only queue up in the upstream."""
_WAKES_AT_ONCE = 50
_UNENDED = frozenset({PollOutcome.RUNNING, PollOutcome.NOT_ENDED})


class Registry:
    """``clock`` gives monotonic seconds. Job ids are in lower case."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._shared: dict[str, Watch] = {}
        self._private: dict[Watch, None] = {}
        self._hints: TTLCache[str, float] = TTLCache(MAX_HINTS, HINT_SECONDS, clock)
        """Times at which jobs may have ended: by a hint, or by a poll that no client awaited."""
        self._wakes = Pacer(MAX_WAKES_PER_SECOND, _WAKES_AT_ONCE)

    def __len__(self) -> int:
        return len(self._shared) + len(self._private)

    def __iter__(self) -> Iterator[Watch]:
        yield from self._shared.values()
        yield from self._private

    def shared(self, job_id: str) -> Watch | None:
        return self._shared.get(job_id)

    def add(self, watch: Watch) -> None:
        if watch.is_private:
            self._private[watch] = None
        else:
            self._shared[watch.job_id] = watch

    def discard(self, watch: Watch) -> None:
        self._private.pop(watch, None)
        if self._shared.get(watch.job_id) is watch:
            del self._shared[watch.job_id]

    def is_hinted(self, job_id: str, since: float) -> bool:
        """True where a hint came after ``since`` and is still remembered."""
        return self._hints.get(job_id, float("-inf")) > since

    def hint(self, job_id: str) -> bool:
        """Remember that the job may have ended; False where a hint came within a second before."""
        now = self._clock()
        if self._hints.get(job_id, -HINT_SECONDS) > now - _HINT_SPACING_SECONDS:
            return False
        self._hints[job_id] = now
        return True

    def remember_end(self, watch: Watch) -> None:
        """Remember that the job has ended for clients whose time is just up: they come again."""
        self._hints[watch.job_id] = self._clock()

    def apply(
        self, watch: Watch, access: JobAccess, outcome: PollOutcome, began: float
    ) -> Watch | None:
        """Act on a poll that was made with ``access`` and began at ``began``.

        Returns the watch that is to be polled no more, if any: ``watch``, or the one that has
        taken its place.
        """
        if outcome in _UNENDED:
            watch.unended_at = began
        match outcome:
            case PollOutcome.CHANGED:
                if watch.is_private:
                    return self.end(watch)
                self.remember_end(watch)
                return self.end(self._shared.get(watch.job_id, watch))
            case PollOutcome.REFUSED:
                for waiter in _waiters_with(access, watch):
                    waiter.wake(WaitVerdict.ENDED)
            case PollOutcome.RUNNING:
                for waiter in _waiters_with(access, watch):
                    if waiter.last_seen is not None:
                        waiter.last_seen.shown_at = began
                if watch.is_private:
                    is_hinted = self.is_hinted(watch.job_id, began)
                    return self.end(watch) if is_hinted else self._share(watch)
        return None

    def end(self, watch: Watch) -> Watch:
        """Let everybody who waits read the job, one after the other where they are many."""
        self.discard(watch)
        now = self._clock()
        for waiter in watch.waiters:
            delay = self._wakes.take(now)
            if delay > 0:
                asyncio.get_running_loop().call_later(delay, waiter.wake, WaitVerdict.ENDED)
            else:
                waiter.wake(WaitVerdict.ENDED)
        return watch

    def _share(self, watch: Watch) -> Watch | None:
        """Let a private watch, whose waiter has been shown the job now, be the shared one or join
        it; returns it where it has joined."""
        self._private.pop(watch, None)
        watch.is_private = False
        shared = self._shared.setdefault(watch.job_id, watch)
        if shared is watch:
            return None
        shared.born = min(shared.born, watch.born)
        shared.unended_at = max(shared.unended_at, watch.unended_at)
        for waiter in watch.waiters:
            waiter.watch = shared
        shared.waiters |= watch.waiters
        return watch


def _waiters_with(access: JobAccess, watch: Watch) -> list[Waiter]:
    """The waiters whose credentials a poll was made with."""
    return [one for one in watch.waiters if one.access.batch_key == access.batch_key]
