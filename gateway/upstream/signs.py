"""What requests tell of the upstream's health; monotonic seconds."""

from __future__ import annotations

from enum import StrEnum


class Trouble(StrEnum):
    """What is wrong with an upstream."""

    UNREACHABLE = "upstream unreachable"
    """It takes no connection, or closes it without an answer."""
    SILENT = "upstream silent"
    """It takes requests and does not answer in time."""
    REFUSING = "upstream refusing"
    """It answers with 5xx."""


class Signs:
    """Told of every answer and every failure that is the upstream's."""

    __slots__ = ("answered_at", "failing_since", "failure", "refusals", "refusing_since")

    def __init__(self) -> None:
        self.answered_at: float | None = None
        """The last answer to anybody, whatever its status."""
        self.failing_since: float | None = None
        """The first failure since then."""
        self.failure = Trouble.UNREACHABLE
        """Of what kind the last one was."""
        self.refusals = 0
        """Answers to clients with 5xx since the last one with another status."""
        self.refusing_since = 0.0
        """The first of these."""

    def answered(self, now: float, *, is_refusal: bool) -> None:
        """A request that is a client's, or made for one, was answered."""
        self.reached(now)
        if is_refusal:
            if not self.refusals:
                self.refusing_since = now
            self.refusals += 1
        else:
            self.refusals = 0

    def reached(self, now: float) -> None:
        """A probe was answered: that says nothing of what clients get."""
        self.answered_at = now
        self.failing_since = None

    def failed(self, now: float, failure: Trouble) -> None:
        self.failure = failure
        if self.failing_since is None:
            self.failing_since = now
