"""What ties a job to its creator: its states, who waits for the job here, and how they leave.

    HELD --the last one leaves--> LOOSE --nobody has come for abandon_seconds--> CANCELLING --> over
      ^                            |  ^                                            |    |
      +------ somebody comes ------+  +---- the upstream, or Redis, does not say --+    |
      +------------- somebody has come before anything was sent ------------------------+

From each state it is over as soon as the job has ended, or its creator was told that it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from cachetools import TTLCache

from gateway.sync.jobs.access import credentials

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from gateway.admission.identity.identities import Identity
    from gateway.downstream.exchange import Exchange
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.tethers.wish import Wish


MAX_KNOWN: Final = 20_000
KNOWN_SECONDS: Final = 3600.0
"""How long it is remembered what is to become of a job, after somebody has asked for it here."""
MAX_CREDENTIALS_BYTES: Final = 8 * 1024
"""Of a token that is kept in memory."""


class TetherState(StrEnum):
    """Who holds on to a job, as this process sees it."""

    HELD = "held"
    """Somebody waits for it here."""
    LOOSE = "loose"
    """Nobody does; somebody may come back until a time."""
    CANCELLING = "cancelling"
    """That time is over: it is being found out whether somebody waits elsewhere, and cancelled."""
    OVER = "over"


FOLLOWERS: Final = {
    TetherState.HELD: frozenset({TetherState.LOOSE, TetherState.CANCELLING, TetherState.OVER}),
    TetherState.LOOSE: frozenset({TetherState.HELD, TetherState.CANCELLING, TetherState.OVER}),
    TetherState.CANCELLING: frozenset({TetherState.HELD, TetherState.LOOSE, TetherState.OVER}),
    TetherState.OVER: frozenset[TetherState](),
}
"""The states that may come after each."""


class Departure(Enum):
    """How a request ended that waited for a job."""

    ENDED = auto()
    """With the result."""
    SENT_ON = auto()
    """With a redirect to the next request, or a failure: the client is expected again."""
    TIMED_OUT = auto()
    """Without a result, as the last of its wait."""
    TOLD = auto()
    """Without a result; the client was told that the job goes on, and when to ask again."""
    LOST = auto()
    """The connection was lost."""
    DRAINED = auto()
    """This process is about to stop; another goes on."""


@dataclass(frozen=True, slots=True)
class TetherRecord:
    """What all gateways know of a job that is tied to its creator."""

    creator: bytes
    """As ``creator_hash`` has it."""
    wish: Wish


@dataclass(eq=False, slots=True)
class Presence:
    """A request that waits, or asks, for a job's result here."""

    job_id: str
    """In lower case."""
    exchange: Exchange
    access: JobAccess
    holder: bytes | None
    """Whose results are kept with it, None where nobody can be told."""
    record: TetherRecord | None = None
    """None while it is not known that the job is tied."""
    is_free: bool = False
    """Others have said that the job is tied to nobody."""
    departure: Departure | None = None
    """None while it has not ended."""

    @property
    def is_creators(self) -> bool:
        """Its client has created the job."""
        record = self.record
        return record is not None and creator_hash(self.holder, self.job_id) == record.creator

    @property
    def is_to_cancel(self) -> bool:
        """Its client has created the job, and wants it cancelled now that the wait is over."""
        timed_out = self.departure is Departure.TIMED_OUT and self.is_creators
        return timed_out and self.record is not None and self.record.wish.on_timeout

    @property
    def counts(self) -> bool:
        """It keeps the job: its client has created it, or was shown it with its own token."""
        return self.is_creators or bool(self.exchange.job_state)


@dataclass(eq=False, slots=True)
class Tether:
    """A job that is cancelled once nobody waits for it."""

    job_id: str
    """In lower case."""
    record: TetherRecord
    access: JobAccess | None = None
    """With the token of the creator's last request here; None where it never came here."""
    holder: bytes | None = None
    state: TetherState = TetherState.HELD
    present: dict[Presence, None] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None
    """Of one that is loose."""
    attempts: int = 0
    """Attempts to cancel it that told nothing."""
    is_let_go: bool = False
    """Its creator was told that the job goes on, and has not come back."""

    @property
    def is_over(self) -> bool:
        return self.state is TetherState.OVER

    @property
    def is_held(self) -> bool:
        """Somebody waits here who counts."""
        return any(presence.counts for presence in self.present)

    def move(self, state: TetherState) -> None:
        """Go on to another state."""
        if state is not self.state:
            assert state in FOLLOWERS[self.state], f"{self.state} does not become {state}"
            self.state = state
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def holder_of(identity: Identity) -> bytes | None:
    """A hash of whoever has a token: organization and user where those are verified, else the
    token; None without one."""
    return identity.key if identity.is_verified else identity.token_hash


def creator_hash(holder: bytes | None, job_id: str) -> bytes:
    """A hash of the holder and a job in lower case, 16 bytes, which tells nothing of them; empty
    without a holder."""
    if holder is None:
        return b""
    return blake2b(holder + job_id.encode(), digest_size=16, person=b"tether").digest()


def hindrance(exchange: Exchange, *, by_secret: bool) -> str:
    """Why nobody could cancel a job for its creator, empty where that can be done."""
    if by_secret:
        return "only a token cancels jobs"
    if holder_of(exchange.identity) is None:
        return "the request has no token that the gateway can tell"
    token = credentials(exchange.query, exchange.client.fields)
    if len(token.query) + sum(len(value) for _, value in token.fields) > MAX_CREDENTIALS_BYTES:
        return f"the token has more than {MAX_CREDENTIALS_BYTES} bytes"
    return ""


def remembered(
    clock: Callable[[], float],
) -> tuple[TTLCache[str, TetherRecord], TTLCache[str, bool]]:
    """What is known of jobs: the record of each that is tied, and those that others need not be
    asked about. A job is tied before anybody is shown it, or never. Who was shown none may have
    guessed an id that is still to be given."""
    return TTLCache(MAX_KNOWN, KNOWN_SECONDS, clock), TTLCache(MAX_KNOWN, KNOWN_SECONDS, clock)
