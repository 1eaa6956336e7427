"""Spreads requests evenly over time. Pure: the time is an argument."""

from __future__ import annotations

_BURST_SECONDS = 0.25
"""The part of a second's budget that may be used at once."""


class Pacer:
    """Permits at ``per_second`` on average; after a pause ``burst`` of them at once."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._spacing = 1 / per_second
        self._burst = burst
        self._free_at = float("-inf")
        self.slowdown = 1.0
        """Factor by which permits are spaced wider at the moment, from 1."""

    def reconfigure(self, per_second: float) -> None:
        """Permit at another rate from now on; what was taken before counts on."""
        self._spacing = 1 / per_second
        self._burst = _burst(per_second)

    def next_at(self) -> float:
        """Time at which the next permit may be taken."""
        return self._free_at - (self._burst - 1) * self._spacing

    def take(self, now: float) -> float:
        """Take a permit; returns the seconds until it may be used."""
        at = max(self.next_at(), now)
        self._free_at = max(self._free_at, now) + self._spacing * self.slowdown
        return at - now


def paced(per_second: float) -> Pacer:
    """One with a burst that fits."""
    return Pacer(per_second, _burst(per_second))


def _burst(per_second: float) -> int:
    return max(1, round(per_second * _BURST_SECONDS))
