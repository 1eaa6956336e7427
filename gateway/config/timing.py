"""Times that no operator has to choose: right wherever the gateway runs, but for a test."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds."""

    flush_seconds: float = 1.0
    """How old a line of the access log may become before it is written."""
    spare_seconds: float = 5.0
    """How long a client's unused connection is kept where places are short."""
    handshake_seconds: float = 10.0
    """How long a client's TLS handshake may take."""
    trial_seconds: float = 5.0
    """How long a request waits in all for what others tell of its token."""
    late_seconds: float = 1.0
    """Time after which a message about a job that was seen to have ended is as good as none."""
    key_gap_seconds: float = 10.0
    """The time between the beginnings of two fetches of keys, at least."""
    return_seconds: float = 1.0
    """Time within which a client comes again that follows a redirect: until then nothing is asked
    for it. Shorter than hints are remembered."""
    fresh_seconds: float = 5.0
    """How long after it has come a creation's reply is given again, to a repetition with its key,
    without the job being read."""


USUAL = Timing()
