"""Whose token looks for the jobs of one organization. Pure: the time is an argument.

One token of those that wait is the scout. Its lists have what its rights let it see, which is known
only by having seen a job there while it ran: such a job is *seen*, and asked for with the scout's
token. While it lies in the range that the scout looks at, it is *left* to looks at that range. All
others are asked for with their own waiter's token, see ``cover``.

A scout is a key under which somebody waits at this moment, or a job is followed. When its last
waiter leaves it is the scout no more, and nothing that was seen with it counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.sync.jobs.listing import MAX_JOBS
from gateway.sync.jobs.ranges import Unranged
from gateway.sync.looks.cover import MOVES, SEEN, Cover
from gateway.sync.looks.rivals import Comparison, Rivals
from gateway.sync.looks.sight import LEAST_JOBS, Sight

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from gateway.sync.jobs.ranges import IdRange

WORTHWHILE_LISTS = 3
"""A scout is appointed where the jobs would take so many lists, each with a token of its own."""
UNKNOWN_SECONDS = 600.0
"""Time until one finds out again whether the upstream knows ranges."""
FAILED_SECONDS = 60.0
MAX_FAILURES = 2
"""Looks, or lists, in a row that may fail before all is asked as without a scout, for
``FAILED_SECONDS``."""
REVIEW_SECONDS = 30.0
"""Time between two comparisons with another token, where the scout does not see all."""
RENEW_SECONDS = 120.0
"""Time after which the scout is asked again for the jobs that it did not see: its rights may be
others, or a list had failed."""
_WORSE_SHARE = 0.1
"""Another token must see more than the scout by this share of the jobs."""


@dataclass(slots=True)
class _Member:
    key: bytes
    cover: Cover = Cover.OWN


class Scouts:
    """``moved`` is told of each job whose cover changes. There is no scout before ``idle_until``.
    ``least_jobs`` is ``Sight``'s.

    Job ids are in lower case; a key is a hash that is equal for those who wait with the same
    credentials.
    """

    def __init__(
        self,
        moved: Callable[[str], None],
        idle_until: float = float("-inf"),
        least_jobs: int = LEAST_JOBS,
    ) -> None:
        self._moved = moved
        self._members: dict[str, _Member] = {}
        self._keys: dict[bytes, dict[str, None]] = {}
        self._lists = 0
        """Lists of ids that all jobs would take, each with the token of its waiter."""
        self._sight = Sight(least_jobs)
        self._failures = Counter[bool]()
        """Looks (False) and lists (True) in a row that failed."""
        self._idle_until = idle_until
        self._rivals = Rivals(self._keys)
        self._own: dict[str, None] = {}
        """The jobs that their own waiters' tokens ask for because the scout does not see them."""
        self._review_at = self._renew_at = float("-inf")
        self.scout: bytes | None = None

    def __len__(self) -> int:
        return len(self._members)

    @property
    def lists(self) -> int:
        """Lists of ids that all jobs would take without a scout."""
        return self._lists

    def cover(self, job_id: str) -> Cover:
        return self._members[job_id].cover

    def key(self, job_id: str) -> bytes:
        return self._members[job_id].key

    def jobs_of(self, key: bytes) -> Collection[str]:
        """The jobs whose waiters have this key."""
        return self._keys.get(key, {}).keys()

    # --- who waits

    def join(self, job_id: str, key: bytes, now: float) -> None:
        self._members[job_id] = _Member(key)
        self._own[job_id] = None
        self._count(job_id, key, joins=True)
        if self.scout is not None:
            self._move(job_id, Cover.NEW)
        self.reconsider(now)

    def leave(self, job_id: str, now: float) -> None:
        member = self._members.pop(job_id)
        self._own.pop(job_id, None)
        self._forget(job_id, member)
        self._count(job_id, member.key, joins=False)
        self.reconsider(now)

    def rekey(self, job_id: str, key: bytes, now: float) -> None:
        """Another waiter is the first who waits for the job."""
        member = self._members[job_id]
        if member.key != key:
            self._count(job_id, member.key, joins=False)
            member.key = key
            self._count(job_id, key, joins=True)
            self.reconsider(now)

    # --- what was said

    def bounds(self) -> IdRange | None:
        """The range of the jobs that are left, as narrow as can be; None where there are none."""
        return self._sight.bounds()

    def listed(
        self, key: bytes, asked: Iterable[str], running: Collection[str], seconds: float, now: float
    ) -> None:
        """A list by id, with the key's token, had those that are running, after ``seconds``."""
        self._failures[True] = 0
        self._sight.listed(seconds)
        if key != self.scout:
            return
        is_whole = True
        for job_id in asked:
            member = self._members.get(job_id)
            if member is None:
                continue
            if job_id not in running:
                self._forget(job_id, member)
                self._move(job_id, Cover.OWN)
            elif member.cover is Cover.NEW:
                self._move(job_id, Cover.OUTSIDE)
                if self._sight.add(job_id):
                    self._move(job_id, Cover.LEFT)
                else:
                    is_whole = False
        if not is_whole:
            self._sight.fit(now)
        if self._sight.widen(now) or not is_whole:
            self._sort()

    def looked(self, ids: IdRange, strangers: Collection[str], seconds: float, now: float) -> None:
        """A look at a range returned these, for which nobody waits, after ``seconds``."""
        self._failures[False] = 0
        if self._sight.looked(ids, strangers, seconds, now):
            self._sort()

    def failed(self, reason: Unranged, now: float, *, is_list: bool = False) -> None:
        """A look or list with the scout's token had no answer that could be used."""
        match reason:
            case Unranged.DENIED | Unranged.REFUSED:
                if self.scout is not None:
                    self._rivals.bar(self.scout, now)
                self._dismiss()
            case Unranged.TOO_MUCH:
                self._sight.halve(now)
                self._sort()
            case Unranged.UNKNOWN:
                self._idle_until = now + UNKNOWN_SECONDS
            case Unranged.FAILING:
                self._failures[is_list] += 1
                if self._failures[is_list] >= MAX_FAILURES:
                    self._failures.clear()
                    self._idle_until = now + FAILED_SECONDS
        self.reconsider(now)

    # --- another scout

    def reconsider(self, now: float) -> None:
        """Appoint a scout where one is worthwhile, dismiss it where it is not."""
        least = WORTHWHILE_LISTS if self.scout is None else WORTHWHILE_LISTS - 1
        if now < self._idle_until or self._lists < least:
            self._dismiss()
        elif self.scout is None:
            self._appoint(self._rivals.first_choice(now), now)

    @property
    def review_at(self) -> float:
        """Time from which on there is something to review; infinite where there is nothing."""
        if self.scout is None:
            is_wanted = self._lists >= WORTHWHILE_LISTS
            return max(self._review_at, self._idle_until) if is_wanted else float("inf")
        return self._review_at if self._own else float("inf")

    def review(self, now: float) -> Comparison | None:
        """See, once in a while, to a scout where there is none, and to the jobs that it does not
        see: it may by now, and where they are many another token may see more, which the list shows
        that is returned."""
        if now < self.review_at:
            return None
        self._review_at = now + REVIEW_SECONDS
        scout = self.scout
        if scout is None:
            self.reconsider(now)
            return None
        if now >= self._renew_at:
            self._renew_at = now + RENEW_SECONDS
            for job_id in [*self._own]:
                self._move(job_id, Cover.NEW)
            return None
        if self._share() > 1 - _WORSE_SHARE:
            return None
        unseen = {self._members[job_id].key for job_id in self._own}
        key = self._rivals.next(scout, unseen, now)
        jobs = [*self._members]
        return None if key is None else Comparison(key, tuple(jobs[:: -(-len(jobs) // MAX_JOBS)]))

    def compared(self, comparison: Comparison, share: float, now: float) -> None:
        """The other token's list had this share of the jobs."""
        if comparison.key in self._keys and share > self._share() + _WORSE_SHARE:
            self._appoint(comparison.key, now)

    def _share(self) -> float:
        """The part of the jobs that the scout sees, or may see."""
        return 1 - len(self._own) / max(1, len(self._members))

    def _appoint(self, key: bytes | None, now: float) -> None:
        self._dismiss()
        if key is not None:
            self.scout = key
            self._renew_at = now + RENEW_SECONDS
            for job_id in self._members:
                self._move(job_id, Cover.NEW)

    def _dismiss(self) -> None:
        if self.scout is not None:
            self.scout = None
            self._sight.clear()
            for job_id in self._members:
                self._move(job_id, Cover.OWN)

    # --- records

    def _forget(self, job_id: str, member: _Member) -> None:
        if member.cover in SEEN:
            self._sight.discard(job_id)

    def _sort(self) -> None:
        for job_id, is_looked_at in self._sight:
            self._move(job_id, Cover.LEFT if is_looked_at else Cover.OUTSIDE)

    def _move(self, job_id: str, cover: Cover) -> None:
        member = self._members[job_id]
        if member.cover is not cover:
            assert cover in MOVES[member.cover], (member.cover, cover)
            member.cover = cover
            if cover is Cover.OWN:
                self._own[job_id] = None
            else:
                self._own.pop(job_id, None)
            self._moved(job_id)

    def _count(self, job_id: str, key: bytes, *, joins: bool) -> None:
        jobs = self._keys.setdefault(key, {})
        before = -(-len(jobs) // MAX_JOBS)
        if joins:
            jobs[job_id] = None
        else:
            del jobs[job_id]
        self._lists += -(-len(jobs) // MAX_JOBS) - before
        if not jobs:
            del self._keys[key]
            if key == self.scout:
                self._dismiss()
