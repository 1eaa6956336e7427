"""The records of watching: a job, the clients that wait for it, and where its polls stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from gateway.admission.identity.identities import Identity
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.looks.cover import Cover
    from gateway.sync.looks.run_times import TaskKey, Usual


class WaitVerdict(StrEnum):
    """End of a wait."""

    ENDED = "ended"
    """Something changed: read the job again."""
    TIME_UP = "time_up"
    DRAINED = "drained"
    """The process is about to stop."""


@dataclass(slots=True)
class LastSeen:
    """Record of a client that was shown a job that had not ended, and of the polls since then.

    Outlives the client's request: the next one goes on from here. Times are the clock's seconds.
    """

    shown_at: float
    """Start of the last request that showed the job, with the client's own credentials."""
    task: TaskKey | None = None
    polled_at: float | None = None
    """Time of the last poll, with anybody's credentials."""
    failures: int = 0
    """``PollState.failures`` at the end of the client's last request."""
    watched_until: float = field(init=False)
    """End of the client's last request: hints since then reached nobody."""
    unended_at: float = field(init=False)
    """Start of the last request, anybody's, that did not find the job ended."""

    def __post_init__(self) -> None:
        self.watched_until = self.unended_at = self.shown_at


class Share(Enum):
    """How much of a client's wait is a wait for one job."""

    ALL = auto()
    FIRST = auto()
    """One of several at a time: it counts as the client, and the verdict is told by whoever waits
    for all of them."""
    FURTHER = auto()
    """Another of these: it does not count."""


@dataclass(frozen=True, slots=True)
class HeldRequest:
    """Whose request is held, as operators are told."""

    identity: Identity
    request_id: str
    hop: int = 0
    """How many requests of the wait were before it."""


@dataclass(eq=False, slots=True)
class Waiter:
    """One request that is held, or a job that is followed for its client."""

    access: JobAccess
    last_seen: LastSeen | None
    verdict: asyncio.Future[WaitVerdict]
    watch: Watch
    is_left: bool = False
    """There is no request: the client has left."""
    share: Share = Share.ALL
    request: HeldRequest | None = None
    began: float = 0.0
    """Time at which this request began to wait, in the clock's seconds."""
    since: float = 0.0
    """Time at which the client began to, maybe in an earlier request."""

    @property
    def counts(self) -> bool:
        """It is the wait of a client, and the only one of its request that counts."""
        return not self.is_left and self.share is not Share.FURTHER

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
    """The job's id in lower case."""
    born: float
    """Time at which the job was first waited for, in the clock's seconds."""
    usual: Usual | None = None
    """Ages at which jobs of the task end, where they are known."""
    is_private: bool = False
    """The one waiter is not known to be allowed to see the job, so nobody shares its polls."""
    waiters: dict[Waiter, None] = field(default_factory=dict)
    """Polls use the first waiter's token; after each poll it moves to the end.

    Invariant: every waiter has read the job with its own token, so sharing one poll reveals
    nothing. A private watch has one waiter.
    """
    unended_at: float = float("-inf")
    """Start of the last poll that did not find the job ended."""

    @property
    def first(self) -> Waiter:
        """The waiter whose credentials the next poll uses."""
        return next(iter(self.waiters))

    @property
    def is_left(self) -> bool:
        """No request waits for the job."""
        return all(waiter.is_left for waiter in self.waiters)

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
    """State of the polls of a watch. Kept by the scheduler; times are the clock's seconds."""

    watch: Watch
    due: float = 0.0
    """Time of the next poll; infinite while one is under way."""
    planned_at: float = 0.0
    """Time from which ``due`` was planned: the end of the last poll."""
    failures: int = 0
    """Polls in a row, or reads that one led to, that told nothing."""
    is_listable: bool = True
    """A list can have the job; else it is polled by itself."""
    listed_at: float = float("-inf")
    """Start of the last request whose list had the job."""
    batch_key: bytes | None = None
    """``JobAccess.batch_key`` of the first waiter, or ``ground_key`` while a scout asks; None once
    the watch is not polled any more."""
    ground_key: bytes | None = None
    """The key of its organization, where watches are looked for together."""
    list_at: float = float("inf")
    """Time at which a list by id, with the scout's token, is to show the job."""
    flight: Flight | None = None
    """The poll that is under way."""

    def land(self) -> Flight | None:
        """End the poll that is under way, for this watch; returns it."""
        flight, self.flight = self.flight, None
        if flight is not None:
            flight.polls -= 1
        return flight


@dataclass(frozen=True, slots=True)
class JobLook:
    """How a job is looked for."""

    cover: Cover
    unended_at: float
    """Start of the last request that did not find it ended; minus infinity where there was none."""


@dataclass(frozen=True, slots=True)
class OpenWait:
    """A client that waits, as operators are told. Times are the clock's seconds."""

    job_id: str
    task: TaskKey | None
    request: HeldRequest | None
    since: float
    began: float
    look: JobLook | None
    """None for a job that has ended, and whose client is about to be told."""
