"""When to look at a job again. Pure: the age and the chance are arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.config import SyncConfig

_SHARE_OF_AGE = 0.08
"""With the jitter above it, an end is noticed within a tenth of the time a job ran."""
_JITTER = 0.2
_MAX_DOUBLINGS = 16


def gap(age_seconds: float, failures: int, chance: float, config: SyncConfig) -> float:
    """Seconds until the next look.

    ``failures``: how many looks in a row the upstream failed to answer; each doubles the shortest
    gap, up to twice the longest. ``chance``: 0 to 1, spreads the looks of many watches.
    """
    least, most = config.min_poll_seconds, config.max_poll_seconds
    spread = 1 - _JITTER + 2 * _JITTER * chance
    seconds = max(least, min(age_seconds * _SHARE_OF_AGE * spread, most))
    if failures > 0:
        patience = least * 2 ** min(failures, _MAX_DOUBLINGS) * (1 - _JITTER * chance)
        seconds = max(seconds, min(patience, 2 * most))
    return seconds
