"""Tells the log when the upstream becomes slow, and when it is so no longer, once each.

Slow is where one in twenty requests of a purpose took longer than a setting, in the last minute:
the time until its response began, or it failed. That counts relays, creations, reads and polls,
each by themselves, for the many of one purpose would hide the few of another. Cancellations are too
few to say anything, and probes go on connections of their own. No request is among these whose
response the upstream holds back by design: waiting is the gateway's.

The counts that the metrics are made of are looked at now and then, so that a request costs nothing
more; what came since a look is the difference.
"""

from __future__ import annotations

import logging
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING

from gateway.upstream.messages.messages import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.durations import Durations

_log = logging.getLogger("gateway.upstream")
WINDOW_SECONDS = 60.0
STEP_SECONDS = 5.0
SHARE = 0.95
LEAST = 20
"""So few requests in the window say nothing: one that is slow may be slow by itself."""
CALM_SHARE = 0.8
"""Part of the setting that the time must be below for it to be over: what wavers is told once."""
_JUDGED = (Purpose.RELAY, Purpose.CREATE, Purpose.READ, Purpose.POLL)

_Counts = dict[str, tuple[int, ...]]
"""By purpose, as ``Durations.counts``."""


class Slowness:
    """``seconds`` gives the times of requests so far, by purpose; ``slow_seconds`` 0 tells nothing;
    ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        seconds: Callable[[], Mapping[str, Durations]],
        slow_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._seconds = seconds
        self._slow_seconds = slow_seconds
        self._clock = clock
        self._looks: deque[tuple[float, _Counts]] = deque(
            [(clock(), {})], maxlen=round(WINDOW_SECONDS / STEP_SECONDS)
        )
        """The last ones: when, and the counts then."""
        self._began: float | None = None
        """When it became slow."""

    def look(self) -> None:
        """Tell what has changed; at most every ``STEP_SECONDS``."""
        now = self._clock()
        if self._slow_seconds <= 0 or now - self._looks[-1][0] < STEP_SECONDS:
            return
        seconds = self._seconds()
        _, before = self._looks[0]
        slow, known = "", False
        longest = 0.0
        for purpose in _JUDGED:
            if (durations := seconds.get(purpose)) is None:
                continue
            counts = _since(before.get(purpose, ()), durations.counts)
            total = sum(counts)
            known = known or total > 0
            if total < (LEAST if self._began is None else 1):
                continue
            found = percentile(durations.bounds, counts, SHARE)
            if found > longest:
                slow, longest = purpose, found
        self._looks.append((now, {name: tuple(each.counts) for name, each in seconds.items()}))
        self._judge(now, slow, longest, is_known=known)

    def _judge(self, now: float, purpose: str, longest: float, *, is_known: bool) -> None:
        if self._began is None:
            if longest > self._slow_seconds:
                self._began = now
                _log.warning(
                    "the upstream is slow: of the requests of the last minute for %s one in twenty"
                    " took %.1f s or longer (upstream.slow_seconds is %g)",
                    *(purpose, longest, self._slow_seconds),
                )
        elif is_known and longest <= self._slow_seconds * CALM_SHARE:
            _log.warning("the upstream is not slow any more, after %.0f s", now - self._began)
            self._began = None


def percentile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float:
    """The time below which that share of the requests stayed, as a histogram tells it: spread
    evenly over its bucket, and the last bound where it is above all of them. 0 of none."""
    rank = share * sum(counts)
    below = 0
    for (lower, upper), count in zip(pairwise((0.0, *bounds)), counts, strict=False):
        if count and below + count >= rank:
            return lower + (upper - lower) * (rank - below) / count
        below += count
    return bounds[-1] if below < sum(counts) else 0.0


def _since(before: Sequence[int], counts: Sequence[int]) -> list[int]:
    if not before:
        return [*counts]
    return [after - earlier for earlier, after in zip(before, counts, strict=True)]
