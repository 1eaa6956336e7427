"""Spreads requests evenly over time. Pure: the time is an argument."""

from __future__ import annotations


class Pacer:
    """Permits at ``per_second`` on average; after a pause ``burst`` of them at once."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._spacing = 1 / per_second
        self._burst = burst
        self._free_at = float("-inf")
        self.slowdown = 1.0
        """Factor by which permits are spaced wider at the moment, from 1."""

    def next_at(self) -> float:
        """Time at which the next permit may be taken."""
        return self._free_at - (self._burst - 1) * self._spacing

    def take(self, now: float) -> float:
        """Take a permit; returns the seconds until it may be used."""
        at = max(self.next_at(), now)
        self._free_at = max(self._free_at, now) + self._spacing * self.slowdown
        return at - now
