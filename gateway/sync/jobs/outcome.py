"""The outcome of one poll of a job."""

from __future__ import annotations

from enum import Enum, auto


class PollOutcome(Enum):
    """Outcome of one poll of a job."""

    RUNNING = auto()
    CHANGED = auto()
    """The job ended, or is gone: everybody should read it."""
    NOT_ENDED = auto()
    """Missing from a list of those that have ended: the job goes on, or was removed."""
    REFUSED = auto()
    """The credentials are not accepted: the clients they belong to should read the job."""
    FAILING = auto()
    """The upstream did not say."""
