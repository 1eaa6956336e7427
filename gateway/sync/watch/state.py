"""The records of watching: a job, the clients that wait for it, and where its polls stand."""

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
    """When a client was shown a job that had not ended, and what polls said since then.

    Outlives the client's request: the next one goes on from here. Times are the clock's seconds.
    """

    shown_at: float
    """When the last request began that showed it, with the client's own credentials."""
    task: TaskKey | None = None
    polled_at: float | None = None
    """When it was last polled, with anybody's credentials."""
    failures: int = 0
    """``PollState.failures`` when the client's last request ended."""
    watched_until: float = field(init=False)
    """When the client's last request ended: hints since then reached nobody."""
    unended_at: float = field(init=False)
    """When the last request began, anybody's, that did not find the job ended."""

    def __post_init__(self) -> None:
        self.watched_until = self.unended_at = self.shown_at


@dataclass(eq=False, slots=True)
class Waiter:
    """One request that is held."""

    access: JobAccess
    last_seen: LastSeen | None
    verdict: asyncio.Future[WaitVerdict]
    watch: Watch

    @property
    def has_time_up(self) -> bool:
        verdict = self.verdict
        done = verdict.done() and not verdict.cancelled()
        return done and verdict.result() is WaitVerdict.TIME_UP

    def wake(self, verdict: WaitVerdict) -> None:
        """End the wait; the first verdict stays."""
        if not self.verdict.done():
            self.verdict.set_result(verdict)


@dataclass(eq=False, slots=True)
class Watch:
    """A job that is waited for."""

    job_id: str
    """In lower case."""
    born: float
    """When the job was first waited for, in the clock's seconds."""
    usual: Usual | None = None
    """When jobs of its task end, where that is known."""
    is_private: bool = False
    """The one waiter is not known to be allowed to see the job, so nobody shares its polls."""
    waiters: dict[Waiter, None] = field(default_factory=dict)
    """Polls use the first waiter's token; after each poll it moves to the end.

    Invariant: every waiter has read the job with its own token, so sharing one poll reveals
    nothing. A private watch has one waiter.
    """
    unended_at: float = float("-inf")
    """When the last poll began that did not find it ended."""

    @property
    def first(self) -> Waiter:
        """The waiter whose credentials the next poll uses."""
        return next(iter(self.waiters))

    def rotate(self) -> None:
        """Move the first waiter to the end."""
        if len(self.waiters) > 1:
            first = self.first
            del self.waiters[first]
            self.waiters[first] = None


@dataclass(eq=False, slots=True)
class Flight:
    """A request, or several in a row, that polls a batch."""

    task: asyncio.Task[None] | None = None
    polls: int = 0
    """Jobs of the batch that are still wanted and of which nothing was said yet."""


@dataclass(eq=False, slots=True)
class PollState:
    """Where the polls of a watch stand. Kept by the scheduler; times are the clock's seconds."""

    watch: Watch
    due: float = 0.0
    """When the next poll is due; infinite while one is under way."""
    planned_at: float = 0.0
    """When ``due`` was planned, which is when the last poll ended."""
    failures: int = 0
    """How many polls in a row, or reads that one led to, told nothing."""
    is_listable: bool = True
    """A list can have the job; else it is polled by itself."""
    listed_at: float = float("-inf")
    """When the request for the last list began that had it."""
    batch_key: bytes | None = None
    """``JobAccess.batch_key`` of the first waiter; None once the watch is not polled any more."""
    flight: Flight | None = None
    """The poll that is under way."""

    def land(self) -> Flight | None:
        """End the poll that is under way, for this watch; returns it."""
        flight, self.flight = self.flight, None
        if flight is not None:
            flight.polls -= 1
        return flight
