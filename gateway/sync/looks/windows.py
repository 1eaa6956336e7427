"""The range of ids that is worth one look. Pure.

A look at a range has each waited-for job in it for nothing. It costs what it returns that nobody
waits for, and what the upstream goes through between jobs that lie far apart. So the best range is
the part of the line of ids with the greatest sum: a waited-for job counts one, a stranger less than
nothing, and so does the time between two jobs. Jobs much older than the rest, and those whose id
has a wrong time, are left out by that.

    oldest                                                     newest
    |w|--------------------------|wwwwswwwwwwwswwwwwww|--|ssss|w|
                                 └────────────────────┘
"""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING

from gateway.sync.jobs.ranges import IdRange

if TYPE_CHECKING:
    from collections.abc import Sequence

STRANGER_PRICE = 5.0
"""Jobs that a look has to serve for each ended one that it returns to nobody: to list a job costs
about what it does to ask for so many by their ids."""
_STAMP_DIGITS = 8


def stamp(job_id: str) -> int:
    """The time of creation, in Unix seconds, with which TheEye's ids begin."""
    return int(job_id[:_STAMP_DIGITS], 16)


def best_range(
    waited: Sequence[str], strangers: Sequence[str], patience_seconds: float, least: float = 0.0
) -> IdRange | None:
    """The range that serves most for its price; None where none is worth more than ``least`` jobs.

    ``waited`` and ``strangers`` are sorted. ``patience_seconds``: the time between two jobs that
    costs as much as one of them is worth.
    """
    best, total = least, 0.0
    found: IdRange | None = None
    begin, last = "", 0
    line = merge(((one, True) for one in waited), ((one, False) for one in strangers))
    for job_id, is_waited in line:
        if not is_waited:
            total -= STRANGER_PRICE
            continue
        total -= (stamp(job_id) - last) / patience_seconds
        if total <= 0 or not begin:
            begin, total = job_id, 0.0
        total += 1
        last = stamp(job_id)
        if total > best:
            best, found = total, IdRange(begin, job_id)
    return found
