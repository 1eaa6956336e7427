"""Durations counted as a histogram is made of, which costs a request less than keeping one."""

from __future__ import annotations

ANSWER_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
HELD_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)

NOTICE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Durations:
    """How many took how long, by upper ``bounds`` in seconds; the last count is above all."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        at = 0
        # Most are among the shortest.
        for bound in self.bounds:
            if seconds <= bound:
                break
            at += 1
        self.counts[at] += 1
        self.sum += seconds
