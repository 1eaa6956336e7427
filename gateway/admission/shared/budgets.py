"""Budgets in memory that several processes share; they decide as ``MemoryBudgets`` do.

The memory is a table of buckets. The keyed hash of a budget says which bucket is its own; there are
places in it for budgets of tokens that the upstream knows, and as many for others. A place has the
hash, and the time at which the budget is full again: one number of eight bytes, written in one. So
a process that dies at any moment leaves behind nothing worse than a place that is free too early.

In a full bucket the budget that will be full first is forgotten. Budgets that are full again are
free places; so that happens only where more than ``WAYS`` clients of one bucket have used theirs
within the time that refills them.

Each decision takes the lock of its bucket. Where that is not to be had in time, since whoever has
it stands still, it is made without: two that are made at once then count as one.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from gateway.admission.limits.memory_budgets import Budget, Use, Verdict
from gateway.protocols.theeye.routes import RouteKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.shared.locks import Locks

WAYS: Final = 8
_PLACES: Final = 2 * WAYS
"""Those of known tokens come first."""
_HASH_BYTES: Final = 16
_KEYS_BYTES: Final = _PLACES * _HASH_BYTES
BUCKET_BYTES: Final = _KEYS_BYTES + 8 * _PLACES
_NUMBERS: Final = BUCKET_BYTES // 8
_FIRST_TIME: Final = _KEYS_BYTES // 8
"""The number in a bucket that is the time of its first place."""
_LOOK: Final = Use.LOOK
_OWE: Final = Use.OWE


class SharedBudgets:
    """``memory`` has zeros at first, ``BUCKET_BYTES`` or a multiple of them. ``secret`` is the same
    in all processes, and so are the numbers of the ``locks``. Times are whole microseconds of the
    system's monotonic clock.
    """

    def __init__(self, memory: memoryview, secret: bytes, locks: Locks) -> None:
        self._memory = memory
        self._numbers = memory.cast("q")
        # Nobody can choose keys of one bucket without the secret.
        self._hashing = {
            kind: blake2b(kind.value.encode(), digest_size=_HASH_BYTES, key=secret)
            for kind in RouteKind
        }
        self._locks = locks
        self._buckets = len(memory) // BUCKET_BYTES

    def use(self, budgets: Sequence[Budget], use: Use, now: int) -> Verdict:
        """Decide on one request."""
        if len(budgets) == 1:
            hashed = self._hash(budgets[0])
            bucket = self._bucket(hashed)
            is_locked = self._locks.take(bucket)
            try:
                return self._use_one(budgets[0], hashed, bucket, use, now)
            finally:
                if is_locked:
                    self._locks.give_back(bucket)
        hashes = [self._hash(budget) for budget in budgets]
        buckets = [self._bucket(hashed) for hashed in hashes]
        # All take locks in the same order, so that no two wait for each other.
        taken = [bucket for bucket in sorted(set(buckets)) if self._locks.take(bucket)]
        try:
            return self._use_all(list(zip(budgets, hashes, buckets, strict=True)), use, now)
        finally:
            for bucket in taken:
                self._locks.give_back(bucket)

    def level(self, budget: Budget, now: int) -> int:
        """The used part of a budget, in microseconds (``gcra``)."""
        return self.use((budget,), _LOOK, now).level

    def kept(self) -> dict[str, int]:
        """Count none: the table has the same size always, and belongs to no process."""
        return {}

    def _use_all(self, found: Sequence[tuple[Budget, bytes, int]], use: Use, now: int) -> Verdict:
        if use.is_checked:
            seen = [self._use_one(*budget, _LOOK, now) for budget in found]
            for verdict in seen:
                if verdict.refused is not None:
                    return verdict
            if not use.is_charged:
                return seen[0]
        charged = [self._use_one(*budget, _OWE, now) for budget in found]
        return charged[0]

    def _use_one(self, budget: Budget, hashed: bytes, bucket: int, use: Use, now: int) -> Verdict:
        rate = budget.rate
        first = bucket * _NUMBERS + _FIRST_TIME
        place = self._place(bucket, hashed)
        level = 0 if place < 0 else rate.level(self._numbers[first + place], now)
        if use is not _OWE and level + rate.interval > rate.capacity:
            return Verdict(budget, level)
        if use is not _LOOK:
            level += rate.interval
            level = min(level, rate.most)
            before = place
            if place < 0 or (budget.is_known and place >= WAYS):
                # What is refused is not kept: a flood that is refused must push out nothing.
                place = self._settle(bucket, hashed, is_known=budget.is_known)
            self._numbers[first + place] = now + level
            if 0 <= before != place:
                # Its token has just become known.
                self._numbers[first + before] = 0
        return Verdict(None, level)

    def _hash(self, budget: Budget) -> bytes:
        hashing = self._hashing[budget.kind].copy()
        hashing.update(budget.key)
        return hashing.digest()

    def _bucket(self, hashed: bytes) -> int:
        return int.from_bytes(hashed, "little") % self._buckets

    def _place(self, bucket: int, hashed: bytes) -> int:
        """The place of a budget in its bucket, -1 if it has none."""
        begin = bucket * BUCKET_BYTES
        keys = self._memory[begin : begin + _KEYS_BYTES].tobytes()
        at = keys.find(hashed)
        return at // _HASH_BYTES if at >= 0 and not at % _HASH_BYTES else -1

    def _settle(self, bucket: int, hashed: bytes, *, is_known: bool) -> int:
        """Give a place to a budget that has none: that of the budget that is full first."""
        first = bucket * _NUMBERS + _FIRST_TIME
        begin = 0 if is_known else WAYS
        times = self._numbers[first + begin : first + begin + WAYS].tolist()
        place = begin + times.index(min(times))
        # While it has its new name and no time yet it is full, whoever looks.
        self._numbers[first + place] = 0
        at = bucket * BUCKET_BYTES + place * _HASH_BYTES
        self._memory[at : at + _HASH_BYTES] = hashed
        return place
