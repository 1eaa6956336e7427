"""The jobs that a scout sees, and the range of them that it looks at. Pure.

The range grows with the jobs that lie near. It becomes narrower where a look returns too much to
nobody or takes too long, and may grow again after a calm while.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING

from gateway.sync.jobs.ranges import IdRange
from gateway.sync.looks.windows import STRANGER_PRICE, best_range, stamp

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

MAX_STRANGERS = 4096
FREE_STRANGERS = 20
"""So many jobs that nobody waits for never make a range narrower."""
PATIENCE_SECONDS = (1.0, 60.0, 3600.0)
"""Least, first and greatest time between two jobs that costs as much as one is worth."""
CALM_SECONDS = 60.0
SLOW_SECONDS = 0.1
_SLOW_FACTOR = 4.0
"""A look is slow that takes longer than so many times a list of ids, and ``SLOW_SECONDS``."""
_MOST_JOBS = 1 << 20


class Sight:
    """Job ids are in lower case."""

    def __init__(self) -> None:
        self._seen: list[str] = []
        self._range: IdRange | None = None
        self._strangers: list[str] = []
        self._patience = PATIENCE_SECONDS[1]
        self._most = _MOST_JOBS
        self._fitted_at = float("-inf")
        self._list_seconds = SLOW_SECONDS

    def __iter__(self) -> Iterator[tuple[str, bool]]:
        """The jobs that are seen, and whether they are looked at."""
        known = self._range
        return ((one, known is not None and one in known) for one in self._seen)

    def bounds(self) -> IdRange | None:
        """The range as narrow as its jobs allow; None where there are none."""
        if self._range is None:
            return None
        begin = bisect_left(self._seen, self._range.oldest)
        end = bisect_right(self._seen, self._range.newest)
        return IdRange(self._seen[begin], self._seen[end - 1]) if begin < end else None

    def add(self, job_id: str) -> bool:
        """A job is seen; True where the range has it or could be extended to it."""
        if self.bounds() is None:
            self._range = IdRange(job_id, job_id)
        insort(self._seen, job_id)
        known = self.bounds() or IdRange(job_id, job_id)
        before = stamp(known.oldest) - stamp(job_id)
        after = stamp(job_id) - stamp(known.newest)
        if len(self._seen) > self._most or max(before, after) > self._patience:
            return False
        known = self._range or known
        self._range = IdRange(min(known.oldest, job_id), max(known.newest, job_id))
        return True

    def discard(self, job_id: str) -> None:
        del self._seen[bisect_left(self._seen, job_id)]

    def clear(self) -> None:
        self._seen.clear()
        self._range = None

    def listed(self, seconds: float) -> None:
        """A list of ids took so long."""
        self._list_seconds += (seconds - self._list_seconds) / 4

    def looked(self, ids: IdRange, strangers: Collection[str], seconds: float, now: float) -> bool:
        """A look at a range returned these, for which nobody waits, after ``seconds``; True where
        the range is another because of that."""
        others = [one for one in self._strangers if one not in ids]
        self._strangers = sorted([*others, *strangers])[-MAX_STRANGERS:]
        slow = max(SLOW_SECONDS, _SLOW_FACTOR * self._list_seconds)
        is_crowded = (len(strangers) - FREE_STRANGERS) * STRANGER_PRICE > len(self._seen)
        if seconds > slow and self._patience > PATIENCE_SECONDS[0]:
            self._patience = max(PATIENCE_SECONDS[0], self._patience / 4)
        elif not is_crowded:
            if now < self._fitted_at + CALM_SECONDS:
                return False
            self._patience = min(PATIENCE_SECONDS[2], self._patience * 2)
            self._most = min(_MOST_JOBS, self._most * 2)
        self.fit(now)
        return True

    def halve(self, now: float) -> None:
        """Look at the newer half, or less."""
        left = sum(is_looked_at for _, is_looked_at in self)
        self._most = max(1, left // 2)
        self.fit(now)

    def fit(self, now: float) -> None:
        """Let the range be the best that there is."""
        self._fitted_at = now
        costly = self._strangers if len(self._strangers) > FREE_STRANGERS else []
        self._range = best_range(self._seen[-self._most :], costly, self._patience)
