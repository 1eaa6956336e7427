"""What is known of one request: the stages fill it, the access log and the metrics read it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.admission.identity.identities import ANONYMOUS
from gateway.protocols.http.query import NO_QUERY

if TYPE_CHECKING:
    from gateway.admission.limits.admission import Admission
    from gateway.admission.limits.buffers import Buffered
    from gateway.downstream.request import Client
    from gateway.protocols.theeye.routes import PreflightRoute, Route
    from gateway.tracing.tracer import RequestTrace


class Kind(StrEnum):
    """What a request is to the gateway."""

    RELAY = "relay"
    WEBSOCKET = "websocket"
    CREATE = "create"
    """A job is created and its result waited for."""
    RESULT = "result"
    """A result is fetched or waited for."""
    CANCEL = "cancel"
    """The job of a result that is to come is cancelled."""
    REFUSED = "refused"
    """Not a request that may go upstream."""


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    """Answered as the upstream or the sync mode had it, whatever the status."""
    REFUSED = "refused"
    """Not let pass by the gateway: its own 4xx, and its 503."""
    FAILED = "failed"
    """The gateway has nothing to answer with: its own 500, 502, 504."""
    CLIENT_CLOSED = "client_closed"
    CUT = "cut"
    """The response had begun and could not be completed, so the client's connection was cut."""
    DRAINED = "drained"
    """A held request was handed back because this process is about to stop."""


# Looking up a member of an enum takes ten times as long.
_REFUSED: Final = Kind.REFUSED
_OK: Final = Outcome.OK


class Exchange:
    """One request and what became of it. Times are seconds of the gateway's monotonic clock."""

    __slots__ = (
        "address",
        "admission",
        "awaits_keys",
        "buffered",
        "client",
        "finished",
        "held_seconds",
        "identity",
        "job_id",
        "job_state",
        "kind",
        "limit",
        "outcome",
        "query",
        "reason",
        "request_id",
        "rid",
        "route",
        "started",
        "status",
        "target",
        "trace",
        "upstream_seconds",
        "upstream_status",
    )

    def __init__(
        self, client: Client, request_id: str, address: str, started: float, limit: str = ""
    ) -> None:
        self.client = client
        self.request_id = request_id
        self.rid = ""
        """The id of the first request of its wait, as its address has it; anybody can write one."""
        self.address = address
        """The client's own address, also behind a trusted proxy."""
        self.started = started
        self.finished = 0.0
        self.held_seconds = 0.0
        """The part of the duration in which we only waited for the job to end."""
        self.target = ""
        """The target that may be sent upstream, in origin-form; empty until it was checked."""
        self.query = NO_QUERY
        """That of ``target``."""
        self.route: Route | PreflightRoute | None = None
        """Where the sync mode may have something to do with it."""
        self.identity = ANONYMOUS
        self.awaits_keys = False
        """Its token cannot be judged before keys were fetched."""
        self.kind = _REFUSED
        self.outcome = _OK
        self.status = 0
        """The status sent, 0 while there is none."""
        self.reason = ""
        """Why the client does not get what it asked for, where that is the gateway's doing: its
        error's code, or a word like one."""
        self.upstream_status = 0
        """Of the upstream's last response to a request for this one; 0 where there was none."""
        self.upstream_seconds = 0.0
        """How long the upstream took to begin such responses, or to fail; all of them together."""
        self.job_id = ""
        self.job_state = ""
        self.admission: Admission | None = None
        """What the limits say of it; None while that is not known, and where there are none."""
        self.limit = limit
        """The limit that was reached, empty if none was."""
        self.buffered: Buffered | None = None
        """What it takes of the memory for jobs and results; released when it is over."""
        self.trace: RequestTrace | None = None
        """What its spans are made from; None where it is not traced."""

    def refuse(self, reason: str) -> None:
        """The gateway does not let it pass."""
        self.reason, self.outcome = reason, Outcome.REFUSED

    @property
    def wait_id(self) -> str:
        """The id that the address of the wait's next request carries."""
        return self.rid or self.request_id

    @property
    def handling_seconds(self) -> float:
        """The duration without the time held."""
        seconds = self.finished - self.started - self.held_seconds
        return seconds if seconds > 0 else 0.0
