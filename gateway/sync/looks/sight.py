"""The jobs that a scout sees, and the range of them that it looks at. Pure.

There is a range where a look at it serves more than a list of ids would. It grows with the jobs
that lie near. It becomes narrower where a look returns too much to nobody or takes too long, and
may grow again after a calm while.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING

from gateway.sync.jobs.listing import MAX_JOBS
from gateway.sync.jobs.ranges import IdRange
from gateway.sync.looks.windows import STRANGER_PRICE, best_range, stamp

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

LEAST_JOBS = MAX_JOBS
"""A range must be worth more than so many jobs to be looked at: a list of ids has as many, and
nobody else's. One that serves less than half of that is given up."""
MAX_AGE_SECONDS = 21_600.0
"""Greatest time between a job that is looked at and the middle one of those that are seen."""
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
    """Job ids are in lower case. A range must be worth more than ``least_jobs``."""

    def __init__(self, least_jobs: int = LEAST_JOBS) -> None:
        self._least_jobs = least_jobs
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
        begin, end = self._span()
        return IdRange(self._seen[begin], self._seen[end - 1]) if begin < end else None

    def add(self, job_id: str) -> bool:
        """A job is seen; True where the range has it or could be extended to it."""
        known = self.bounds()
        insort(self._seen, job_id)
        if self._range is None or known is None or len(self._seen) > self._most:
            return False
        before = stamp(known.oldest) - stamp(job_id)
        after = stamp(job_id) - stamp(known.newest)
        if max(before, after) > self._patience or not self._is_of_the_age(job_id):
            return False
        known = self._range
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
        begin, end = self._span()
        is_crowded = (len(strangers) - FREE_STRANGERS) * STRANGER_PRICE > end - begin
        if seconds > slow:
            if self._patience > PATIENCE_SECONDS[0]:
                self._patience = max(PATIENCE_SECONDS[0], self._patience / 4)
            else:
                self._most = max(1, (end - begin) // 2)
        elif not is_crowded and end - begin > self._least_jobs / 2:
            return self.widen(now)
        self.fit(now)
        return True

    def widen(self, now: float) -> bool:
        """Let more lie in the range, where nothing has made it narrower for a while; True then."""
        if now < self._fitted_at + CALM_SECONDS:
            return False
        self._patience = min(PATIENCE_SECONDS[2], self._patience * 2)
        self._most = min(_MOST_JOBS, self._most * 2)
        self.fit(now)
        return True

    def halve(self, now: float) -> None:
        """Look at the newer half, or less."""
        begin, end = self._span()
        self._most = max(1, (end - begin) // 2)
        self.fit(now)

    def fit(self, now: float) -> None:
        """Let the range be the best that there is."""
        self._fitted_at = now
        costly = self._strangers if len(self._strangers) > FREE_STRANGERS else []
        near = [one for one in self._seen if self._is_of_the_age(one)]
        self._range = best_range(near[-self._most :], costly, self._patience, self._least_jobs)

    def _span(self) -> tuple[int, int]:
        """The jobs that are looked at are these of the seen ones."""
        if self._range is None:
            return 0, 0
        begin = bisect_left(self._seen, self._range.oldest)
        return begin, bisect_right(self._seen, self._range.newest)

    def _is_of_the_age(self, job_id: str) -> bool:
        middle = self._seen[len(self._seen) // 2]
        return abs(stamp(job_id) - stamp(middle)) <= MAX_AGE_SECONDS
