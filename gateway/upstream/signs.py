"""Signs of the upstream's health that requests give; monotonic seconds."""

from __future__ import annotations

from enum import StrEnum


class Trouble(StrEnum):
    """A way in which an upstream fails."""

    UNREACHABLE = "upstream unreachable"
    """It takes no connection, or closes it without a response."""
    SILENT = "upstream silent"
    """It takes requests and does not answer in time."""
    REFUSING = "upstream refusing"
    """It answers with 5xx."""


class Signs:
    """The last response, and the first failure since then that is the upstream's."""

    __slots__ = ("answered_at", "failing_since", "failure", "refusals", "refusing_since")

    def __init__(self) -> None:
        self.answered_at: float | None = None
        """Time of the last response, whatever its status."""
        self.failing_since: float | None = None
        """Time of the first failure since then."""
        self.failure = Trouble.UNREACHABLE
        """The kind of the last one."""
        self.refusals = 0
        """Responses to clients with 5xx since the last one with another status."""
        self.refusing_since = 0.0
        """Time of the first of these."""

    def answered(self, now: float, *, is_refusal: bool) -> None:
        """Note a response to a request that is a client's, or made for one."""
        self.reached(now)
        if is_refusal:
            if not self.refusals:
                self.refusing_since = now
            self.refusals += 1
        else:
            self.refusals = 0

    def reached(self, now: float) -> None:
        """Note a response to a probe, which says nothing of what clients get."""
        self.answered_at = now
        self.failing_since = None

    def failed(self, now: float, failure: Trouble) -> None:
        self.failure = failure
        if self.failing_since is None:
            self.failing_since = now
