"""Who asks for a job that is waited for: its own waiter's token, or its organization's scout. Pure.

       appointed                listed                     in the range
OWN ───────────────► NEW ───────────────────► OUTSIDE ◄─────────────────► LEFT
 ▲                    │ not listed               │                         │
 └────────────────────┴─────────── gone, refused, not listed ◄─────────────┘
"""

from __future__ import annotations

from enum import StrEnum


class Cover(StrEnum):
    """Who asks for a job."""

    OWN = "own"
    """Its own waiter's token: there is no scout, or it does not see the job."""
    NEW = "new"
    """The scout, in a list by id: it is not known yet whether it sees the job."""
    OUTSIDE = "outside"
    """The scout, in a list by id: it sees the job, but not in the range that it looks at."""
    LEFT = "left"
    """The scout, in a look at a range."""


MOVES: dict[Cover, frozenset[Cover]] = {
    Cover.OWN: frozenset({Cover.NEW}),
    Cover.NEW: frozenset({Cover.OUTSIDE, Cover.OWN}),
    Cover.OUTSIDE: frozenset({Cover.LEFT, Cover.OWN}),
    Cover.LEFT: frozenset({Cover.OUTSIDE, Cover.OWN}),
}
SCOUTED = frozenset({Cover.NEW, Cover.OUTSIDE, Cover.LEFT})
"""Covers under which the scout's token asks."""
LISTED = frozenset({Cover.NEW, Cover.OUTSIDE})
"""Covers under which it asks by id whenever the job is due."""
SEEN = frozenset({Cover.OUTSIDE, Cover.LEFT})
"""Covers under which a list with the scout's token has had the job."""
