"""The generic cell rate algorithm: a budget as one number, the time at which it is full again.

Every request moves that time on by one interval, from now on at the earliest. How far it lies ahead
is the budget's level; a request fits while the level stays within ``capacity``. Nothing has to be
refilled, so a budget that nobody uses costs nothing, and a full one need not be kept.

All times are whole microseconds: memory and Redis (``redis_budgets``) must decide alike, and Lua's
numbers are exact up to 2^53 of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

SECOND: Final = 1_000_000
MAX_DEBT: Final = 256
"""How many requests a budget can owe. It also bounds for how long a clock that is set back can make
a budget in Redis seem spent."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests a second in the long run, and ``burst`` at once."""

    per_second: float
    burst: int
    interval: int = field(init=False)
    """Between two requests, rounded up: a rate is rather kept than exceeded."""
    capacity: int = field(init=False)
    """The highest level a request that fits leaves behind."""
    most: int = field(init=False)
    """The highest level there is."""

    def __post_init__(self) -> None:
        interval = max(1, math.ceil(round(SECOND / self.per_second, 3)))
        object.__setattr__(self, "interval", interval)
        object.__setattr__(self, "capacity", interval * self.burst)
        object.__setattr__(self, "most", interval * (self.burst + MAX_DEBT))

    def level(self, full_at: int, now: int) -> int:
        """The level at ``now`` of a budget that will be full at ``full_at``."""
        ahead = full_at - now
        if ahead <= 0:
            return 0
        return ahead if ahead < self.most else self.most  # noqa: FURB136 - min() takes longer

    def fits(self, level: int) -> bool:
        """Tell whether one more request may pass."""
        return level + self.interval <= self.capacity

    def remaining(self, level: int) -> int:
        """The number of requests that may pass at once."""
        return max(self.capacity - level, 0) // self.interval

    def wait_seconds(self, level: int) -> int:
        """After how many whole seconds one more request may pass."""
        return _seconds(level + self.interval - self.capacity)

    def more_seconds(self, level: int) -> int:
        """After how many whole seconds more requests may pass at once than now; 0 where no more
        ever may."""
        left = self.remaining(level)
        if left >= self.burst:
            return 0
        return _seconds(level + (left + 1) * self.interval - self.capacity)

    def full_seconds(self, level: int) -> int:
        """After how many whole seconds the budget is full again."""
        return _seconds(level)


def _seconds(microseconds: int) -> int:
    return max(-(-microseconds // SECOND), 0)
