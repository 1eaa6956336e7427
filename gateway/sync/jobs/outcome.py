"""The outcome of one look at a job."""

from __future__ import annotations

from enum import Enum, auto


class PollOutcome(Enum):
    """What one look at a job says."""

    RUNNING = auto()
    CHANGED = auto()
    """It ended, or is gone: everybody should read it."""
    NOT_ENDED = auto()
    """A list of those that have ended does not have it: it goes on, or was removed."""
    REFUSED = auto()
    """Not with these credentials: the clients they belong to should read it."""
    FAILING = auto()
    """The upstream did not say."""
