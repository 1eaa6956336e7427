"""Gaps between the polls of a job. Pure: age, history and chance are arguments.

A gap is a share of the job's age, so that an end is noticed late in proportion to what was waited
for anyway, and the polls of a job grow with the logarithm of its age. Where it is known when jobs
of the task usually end, there are few polls before that time:

    first   middle      half                  early  (here most jobs end)  late
    |-------|-----------|---------------------|------|--|--|--|--|--|--|---|--...

The first two are for the job that fails at once, or is quick this time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import SyncConfig
    from gateway.sync.looks.run_times import Usual

JOINING_SHARE = 0.6
"""Share of its gap after which a poll may be made early, together with others."""
LEFT_SECONDS = 1.0
"""The least gap where nobody waits for the end."""
_JITTER = 0.1
_MARGIN = 0.75
"""A gap is longer than its share by so many of the shortest: short jobs may be noticed later in
proportion."""
_FIRST_POLL_SECONDS = 0.3
"""Age at the first poll of a job of a known task, or an eighth of the usual time where that is
less."""
_AS_GOOD_AS_AT = 0.85
"""Share of the wanted age from which on a poll counts as the wanted one: chance moves polls."""
_MAX_DOUBLINGS = 16


def gap(
    age_seconds: float, usual: Usual | None, failures: int, chance: float, config: SyncConfig
) -> float:
    """Seconds until the next poll.

    ``failures``: polls in a row that the upstream failed to answer; each doubles the shortest
    gap, up to the longest. ``chance``: 0 to 1, spreads the polls of many watches.
    """
    least, most = config.min_poll_seconds, config.max_poll_seconds
    spread = 1 - _JITTER + 2 * _JITTER * chance
    if failures > 0:
        patience = least * 2.0 ** min(failures, _MAX_DOUBLINGS)
        return max(least, min(patience * spread, most))
    margin = _MARGIN * least
    seconds = margin + config.poll_share_of_age * age_seconds
    if usual is not None and age_seconds < usual.late:
        if age_seconds >= usual.early:
            # Here most jobs end.
            seconds -= margin / 2
        else:
            until_next = _next_poll(age_seconds, usual.early) - age_seconds
            # A poll at half the time may come sooner; the one after it is not the later for that.
            seconds = max(seconds, min(until_next, usual.early / 2))
    return max(least, min(seconds * spread, most))


class Gaps:
    """Gaps by the settings; ``chance`` gives numbers from 0 to 1."""

    def __init__(self, chance: Callable[[], float], config: SyncConfig) -> None:
        self._chance = chance
        self._config = config
        self.is_relaxed = False
        """Ends are told by hints, and polls are only a safety net."""

    def reconfigure(self, config: SyncConfig) -> None:
        """Have other settings, for gaps to come."""
        self._config = config

    def seconds(
        self,
        age_seconds: float,
        usual: Usual | None,
        failures: int,
        *,
        is_hinted: bool,
        is_left: bool = False,
    ) -> float:
        """Seconds until the next poll of a job; ``is_hinted``: hints would tell its end;
        ``is_left``: no request waits for it."""
        chance = self._chance()
        seconds = gap(age_seconds, usual, failures, chance, self._config)
        if is_left:
            seconds = max(seconds, LEFT_SECONDS)
        if self.is_relaxed and not failures and is_hinted:
            return max(seconds, safety_gap(chance, self._config))
        return seconds


def safety_gap(chance: float, config: SyncConfig) -> float:
    """Seconds until the next poll while the end is expected to be told by a hint."""
    return config.safety_net_seconds * (1 - _JITTER * chance)


def _next_poll(age_seconds: float, early_seconds: float) -> float:
    """Age at the next poll of a job that usually does not end before ``early_seconds``."""
    half = early_seconds / 2
    first = min(early_seconds / 8, _FIRST_POLL_SECONDS)
    polls = (first, math.sqrt(first * half), half)
    ahead = (at for at in polls if age_seconds < at * _AS_GOOD_AS_AT)
    return next(ahead, early_seconds)
