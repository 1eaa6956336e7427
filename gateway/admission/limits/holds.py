"""Places for waits: how many results are waited for, by one client and in all.

A wait has its place from before its job is created until its result is given. Between two of its
requests the place is kept for a moment, as the client follows a redirect; if it does not come, the
place is free again. So nobody is refused in the middle of a wait, nor is a job made for which there
is no place.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

GRACE_SECONDS = 5.0
"""How long a place is kept for a client that is about to come again."""


@dataclass(frozen=True, slots=True)
class _Kept:
    key: bytes
    client: bytes
    job_id: str
    until: float


class Holds:
    """Counts in this process; ``most`` is the bound for all, ``clock`` gives monotonic seconds.

    What is kept is bounded by ``most`` too, for it counts. A place is counted under a ``key``, and
    kept for a ``client``, who is found again also where other limits hold for it by then.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._most_kept = most
        """More where the bound was lowered while more places were taken: nobody loses one."""
        self._clock = clock
        self._by_key: Counter[bytes] = Counter()
        self._kept: dict[int, _Kept] = {}
        """The one that is given up first stands first."""
        self._by_wait: dict[tuple[bytes, str], list[int]] = {}
        self._number = 0
        self._total = 0

    @property
    def total(self) -> int:
        self._expire()
        return self._total

    @property
    def are_full(self) -> bool:
        """There is no place left in all."""
        return self.total >= self._most

    def reconfigure(self, most: int) -> None:
        """Have another bound; places that are taken, or kept, stay so."""
        self._most = most
        self._most_kept = max(most, self.total)

    def of(self, key: bytes) -> int:
        """The number of places that one client has."""
        self._expire()
        return self._by_key.get(key, 0)

    def enter(self, key: bytes) -> None:
        """Take another place."""
        self._total += 1
        self._by_key[key] += 1

    def resume(self, client: bytes, job_id: str) -> bytes | None:
        """Go on in the place that is kept for this client and job; the key under which it counts,
        None where there is none."""
        self._expire()
        numbers = self._by_wait.get((client, job_id))
        return self._forget(numbers[0]).key if numbers else None

    def leave(self, key: bytes) -> None:
        """Give a place back."""
        self._total -= 1
        self._by_key[key] -= 1
        if not self._by_key[key]:
            del self._by_key[key]

    def keep(self, key: bytes, client: bytes, job_id: str) -> None:
        """Leave a place that the client will come back to, for this job."""
        if self.total > self._most_kept:
            # Only where limits are not enforced.
            self.leave(key)
            return
        self._number += 1
        self._kept[self._number] = _Kept(key, client, job_id, self._clock() + GRACE_SECONDS)
        self._by_wait.setdefault((client, job_id), []).append(self._number)

    def _expire(self) -> None:
        while self._kept:
            number, kept = next(iter(self._kept.items()))
            if kept.until > self._clock():
                return
            self._forget(number)
            self.leave(kept.key)

    def _forget(self, number: int) -> _Kept:
        kept = self._kept.pop(number)
        wait = kept.client, kept.job_id
        self._by_wait[wait].remove(number)
        if not self._by_wait[wait]:
            del self._by_wait[wait]
        return kept


def _unbounded(job_id: str) -> None:
    """Count nothing."""


class Place:
    """A wait's place, while the block runs.

    ``left`` is called at its end with the job for which the client will come again, or an empty id.
    A client that goes away in the middle is taken to come again for ``job_id``.
    """

    def __init__(self, left: Callable[[str], None] = _unbounded, job_id: str = "") -> None:
        self._left = left
        self._job_id = job_id
        self._next = ""

    def keep(self, job_id: str) -> None:
        """The client is sent to where it can go on waiting for this job."""
        self._next = job_id

    def leave(self) -> None:
        """The client has what it waited for."""
        self._next = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left(self._job_id if isinstance(failure, asyncio.CancelledError) else self._next)
