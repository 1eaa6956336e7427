"""The state of watching: who waits for a job, and how a wait ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.watch.run_times import TaskKey, Usual


class WaitVerdict(StrEnum):
    """How a wait ended."""

    ENDED = "ended"
    """Something changed: read the job again."""
    TIME_UP = "time_up"
    DRAINED = "drained"
    """This process is about to stop."""


@dataclass(slots=True)
class LastSeen:
    """That a client was shown a job that had not ended; times in the clock's seconds."""

    shown_at: float
    """When the last request began that showed it, with the client's own credentials."""
    task: TaskKey | None = None
    looked_at: float | None = None
    """When it was last looked at, by anybody."""
    failures: int = 0
    """Its watch's, when its client's last request ended."""
    watched_until: float = field(init=False)
    """When its client's last request ended: hints since then reached nobody."""
    unended_at: float = field(init=False)
    """When the last request began, anybody's, that did not find the job ended."""

    def __post_init__(self) -> None:
        self.watched_until = self.unended_at = self.shown_at


@dataclass(eq=False, slots=True)
class Waiter:
    access: JobAccess
    group: bytes
    """The reading's, at hand."""
    last_seen: LastSeen | None
    verdict: asyncio.Future[WaitVerdict]
    watch: Watch

    @property
    def has_time_up(self) -> bool:
        verdict = self.verdict
        done = verdict.done() and not verdict.cancelled()
        return done and verdict.result() is WaitVerdict.TIME_UP

    def wake(self, verdict: WaitVerdict) -> None:
        if not self.verdict.done():
            self.verdict.set_result(verdict)


@dataclass(eq=False, slots=True)
class Flight:
    """A request that looks at jobs."""

    task: asyncio.Task[None] | None = None
    watches: int = 0
    """How many still wait for what it says."""


@dataclass(eq=False, slots=True)
class Watch:
    """A job that is waited for. What stands below ``waiters`` is polling's."""

    job_id: str
    """In lower case."""
    born: float
    """When the job was first waited for, in the clock's seconds."""
    usual: Usual | None = None
    """When jobs of its task end, where that is known."""
    is_private: bool = False
    """Its one waiter is not known to be allowed to see the job."""
    waiters: dict[Waiter, None] = field(default_factory=dict)
    """In the order in which they lend their credentials; a waiter of another token than the
    first's has read the job with its own before it came here."""
    is_listable: bool = True
    listed_at: float = float("-inf")
    """When the last list was asked for that had it."""
    due: float = 0.0
    """When it is to be looked at next, and since when it has been planned."""
    planned_at: float = 0.0
    unended_at: float = float("-inf")
    """When the last look began that did not find it ended."""
    failures: int = 0
    """How many looks in a row, or reads that one led to, told nothing."""
    group: bytes | None = None
    """Of the reading that the next look is to use; None while it is not looked at."""
    flight: Flight | None = None
    """The look that is being made."""

    @property
    def asker(self) -> Waiter:
        """Whose turn it is to lend their credentials."""
        return next(iter(self.waiters))

    def pass_turn(self) -> None:
        """Let another waiter's credentials be used for the next look."""
        if len(self.waiters) > 1:
            first = self.asker
            del self.waiters[first]
            self.waiters[first] = None
