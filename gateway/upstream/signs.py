"""What requests tell of the upstream's health; monotonic seconds."""

from __future__ import annotations


class Signs:
    """Told of every answer and every failure that is the upstream's."""

    __slots__ = ("answered_at", "failing_since", "is_silent", "refusals", "refusing_since")

    def __init__(self) -> None:
        self.answered_at: float | None = None
        """The last answer, whatever its status."""
        self.failing_since: float | None = None
        """The first failure since then."""
        self.is_silent = False
        """The last failure: it took the request, and did not answer in time."""
        self.refusals = 0
        """Answers with 5xx since the last one with another status."""
        self.refusing_since = 0.0
        """The first of these."""

    def answered(self, now: float, *, is_refusal: bool) -> None:
        self.answered_at = now
        self.failing_since = None
        if is_refusal:
            if not self.refusals:
                self.refusing_since = now
            self.refusals += 1
        else:
            self.refusals = 0

    def failed(self, now: float, *, is_silent: bool) -> None:
        self.is_silent = is_silent
        if self.failing_since is None:
            self.failing_since = now
