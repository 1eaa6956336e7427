"""What is known of one request: the stages fill it, the access log and the metrics read it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.admission.identity import ANONYMOUS, Identity

if TYPE_CHECKING:
    from gateway.downstream import Client
    from gateway.routes import Route


class Kind(StrEnum):
    """What a request is to the gateway."""

    RELAY = "relay"
    WEBSOCKET = "websocket"
    CREATE = "create"
    """A job is created and its result waited for."""
    RESULT = "result"
    """A result is fetched or waited for."""
    REFUSED = "refused"
    """Not a request that may go upstream."""


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    CLIENT_CLOSED = "client_closed"
    CUT = "cut"
    """The answer had begun and could not be completed, so the client's connection was cut."""
    DRAINED = "drained"
    """A held request was handed back because this process is about to stop."""


@dataclass(slots=True)
class Exchange:
    """One request and what became of it. Times are seconds of the gateway's monotonic clock."""

    client: Client
    request_id: str
    address: str
    """The client's own address, also behind a trusted proxy."""
    started: float
    target: str = ""
    """The target that may be sent upstream, in origin-form; empty until it was checked."""
    route: Route | None = None
    """Where the sync mode may have something to do with it."""
    identity: Identity = ANONYMOUS
    awaits_keys: bool = False
    """Its token cannot be judged before keys were fetched."""
    kind: Kind = Kind.REFUSED
    outcome: Outcome = Outcome.OK
    status: int = 0
    """The status sent, 0 while there is none."""
    finished: float = 0.0
    held_seconds: float = 0.0
    """The part of the duration in which we only waited for the job to end."""
    job_id: str = ""
    job_state: str = ""

    @property
    def handling_seconds(self) -> float:
        """The duration without the time held."""
        seconds = self.finished - self.started - self.held_seconds
        return seconds if seconds > 0 else 0.0
