"""Whose token looks for the jobs of one organization. Pure: the time is an argument.

One token of those that wait is the scout. Its lists have what its rights let it see, which is known
only by having seen a job there while it ran: such a job is *seen*, and while it lies in the range
that the scout looks at, it is *left* to the scout. All others are asked for with their own waiter's
token.

           appointed                listed                     in the range
    OWN ───────────────► NEW ───────────────────► OUTSIDE ◄─────────────────► LEFT
     ▲                    │ not listed               │                         │
     └────────────────────┴──────── gone, refused, too slow, not listed ◄──────┘

A scout is a key under which somebody waits at this moment, or a job is followed. When its last
waiter leaves it is the scout no more, and nothing that was seen with it counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.sync.jobs.listing import MAX_JOBS
from gateway.sync.jobs.ranges import Unranged
from gateway.sync.looks.sight import Sight

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from gateway.sync.jobs.ranges import IdRange

WORTHWHILE_LISTS = 3
"""A scout is appointed where the jobs would take so many lists, each with a token of its own."""
BARRED_SECONDS = 600.0
"""Time for which a token that was refused is no scout."""
UNKNOWN_SECONDS = 600.0
"""Time until one finds out again whether the upstream knows ranges."""
FAILED_SECONDS = 60.0
MAX_FAILURES = 2
"""Looks in a row that may fail before all is asked as without a scout, for ``FAILED_SECONDS``."""
COMPARE_SECONDS = 30.0
"""Time between two comparisons with another token, where the scout does not see all."""
_WORSE_SHARE = 0.1
"""Another token must see more than the scout by this share of the jobs."""


class Cover(StrEnum):
    """Who asks for a job."""

    OWN = "own"
    """Its own waiter's token: there is no scout, or it does not see the job."""
    NEW = "new"
    """The scout, in a list by id: it is not known yet whether it sees the job."""
    OUTSIDE = "outside"
    """Its own waiter's token: the scout sees it, but not in the range that it looks at."""
    LEFT = "left"
    """The scout, in a look at a range."""


MOVES: dict[Cover, frozenset[Cover]] = {
    Cover.OWN: frozenset({Cover.NEW}),
    Cover.NEW: frozenset({Cover.OUTSIDE, Cover.OWN}),
    Cover.OUTSIDE: frozenset({Cover.LEFT, Cover.OWN}),
    Cover.LEFT: frozenset({Cover.OUTSIDE, Cover.OWN}),
}
SCOUTED = frozenset({Cover.NEW, Cover.LEFT})
"""Covers under which the scout's token asks."""
_SEEN = frozenset({Cover.OUTSIDE, Cover.LEFT})


@dataclass(slots=True)
class _Member:
    key: bytes
    cover: Cover = Cover.OWN


@dataclass(frozen=True, slots=True)
class Comparison:
    """A list by which another token shows what it sees."""

    key: bytes
    jobs: tuple[str, ...]


class Scouts:
    """``moved`` is told of each job whose cover changes. There is no scout before ``idle_until``.

    Job ids are in lower case; a key is a hash that is equal for those who wait with the same
    credentials.
    """

    def __init__(self, moved: Callable[[str], None], idle_until: float = float("-inf")) -> None:
        self._moved = moved
        self._members: dict[str, _Member] = {}
        self._keys: dict[bytes, dict[str, None]] = {}
        self._lists = 0
        """Lists of ids that all jobs would take, each with the token of its waiter."""
        self._sight = Sight()
        self._failures = 0
        self._idle_until = idle_until
        self._barred: dict[bytes, float] = {}
        self._compared: dict[bytes, float] = {}
        self._compare_at = float("-inf")
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
        self._count(job_id, key, joins=True)
        if self.scout is not None:
            self._move(job_id, Cover.NEW)
        self.reconsider(now)

    def leave(self, job_id: str, now: float) -> None:
        member = self._members.pop(job_id)
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
        self._failures = 0
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
            self._sort()

    def looked(self, ids: IdRange, strangers: Collection[str], seconds: float, now: float) -> None:
        """A look at a range returned these, for which nobody waits, after ``seconds``."""
        self._failures = 0
        if self._sight.looked(ids, strangers, seconds, now):
            self._sort()

    def failed(self, reason: Unranged, now: float) -> None:
        """A look or list with the scout's token had no answer that could be used."""
        match reason:
            case Unranged.DENIED | Unranged.REFUSED:
                if self.scout is not None:
                    self._barred[self.scout] = now + BARRED_SECONDS
                self._dismiss()
            case Unranged.TOO_MUCH:
                self._sight.halve(now)
                self._sort()
            case Unranged.UNKNOWN:
                self._idle_until = now + UNKNOWN_SECONDS
            case Unranged.FAILING:
                self._failures += 1
                if self._failures >= MAX_FAILURES:
                    self._failures = 0
                    self._idle_until = now + FAILED_SECONDS
        self.reconsider(now)

    # --- another scout

    def reconsider(self, now: float) -> None:
        """Appoint a scout where one is worthwhile, dismiss it where it is not."""
        least = WORTHWHILE_LISTS if self.scout is None else WORTHWHILE_LISTS - 1
        if now < self._idle_until or self._lists < least:
            self._dismiss()
        elif self.scout is None:
            self._appoint(self._first_choice(now))

    def compare(self, now: float) -> Comparison | None:
        """Another token that may see more than the scout does, once in a while."""
        if self.scout is None or now < self._compare_at:
            return None
        self._compare_at = now + COMPARE_SECONDS
        unseen = {member.key for member in self._members.values() if member.cover is Cover.OWN}
        if self._share() > 1 - _WORSE_SHARE:
            return None
        self._compared = {key: at for key, at in self._compared.items() if at > now}
        choice = [
            key for key in unseen if key not in self._compared and not self._is_barred(key, now)
        ]
        if not choice:
            return None
        key = max(choice, key=lambda one: len(self._keys[one]))
        self._compared[key] = now + BARRED_SECONDS
        jobs = [*self._members]
        return Comparison(key, tuple(jobs[:: -(-len(jobs) // MAX_JOBS)]))

    def compared(self, comparison: Comparison, share: float) -> None:
        """The other token's list had this share of the jobs."""
        if comparison.key in self._keys and share > self._share() + _WORSE_SHARE:
            self._appoint(comparison.key)

    def _share(self) -> float:
        """The part of the jobs that the scout sees, or may see."""
        own = sum(member.cover is Cover.OWN for member in self._members.values())
        return 1 - own / max(1, len(self._members))

    def _first_choice(self, now: float) -> bytes | None:
        self._barred = {key: at for key, at in self._barred.items() if at > now}
        choice = [key for key in self._keys if key not in self._barred]
        return max(choice, key=lambda key: len(self._keys[key]), default=None)

    def _is_barred(self, key: bytes, now: float) -> bool:
        return self._barred.get(key, now) > now

    def _appoint(self, key: bytes | None) -> None:
        self._dismiss()
        if key is not None:
            self.scout = key
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
        if member.cover in _SEEN:
            self._sight.discard(job_id)

    def _sort(self) -> None:
        for job_id, is_looked_at in self._sight:
            self._move(job_id, Cover.LEFT if is_looked_at else Cover.OUTSIDE)

    def _move(self, job_id: str, cover: Cover) -> None:
        member = self._members[job_id]
        if member.cover is not cover:
            assert cover in MOVES[member.cover], (member.cover, cover)
            member.cover = cover
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
