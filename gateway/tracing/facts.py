"""What is noted of spans: ids, times in seconds of the gateway's monotonic clock, what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.errors import Field


@dataclass(frozen=True, slots=True)
class SpanId:
    """A span, by the ids of its trace (32 hexadecimal digits) and its own (16)."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request of the gateway's own that went upstream, and what came of it."""

    span: SpanId
    parent_id: str
    """The span that it was sent for; empty where it serves several, which are linked."""
    links: tuple[SpanId, ...]
    purpose: str
    method: str
    target: str
    started: float
    ended: float
    status: int
    """0 where there was no response."""
    error: str
    """What kept it from one; empty where nothing did."""


class SentSpans(Protocol):
    """Takes note of requests that were sent."""

    def sent(self, request: SentRequest) -> None:
        """Take note; must neither wait nor fail."""
        raise NotImplementedError


class SpanSending(Protocol):
    """A request of the gateway's own that is on its way upstream."""

    def fields(self, fields: Iterable[Field]) -> list[Field]:
        """Its fields, with its place in the trace."""
        raise NotImplementedError

    def over(self, status: int, failure: BaseException | None) -> None:
        """It has its response, with this status, or cannot have one; called once."""
        raise NotImplementedError


class SendingTrace(Protocol):
    """For what requests are sent."""

    @property
    def span(self) -> SpanId | None:
        """The span that they are sent for; None where there are several."""
        raise NotImplementedError

    def sends(self, purpose: str, method: str, target: str) -> SpanSending:
        """Begin the span of one that is about to be sent."""
        raise NotImplementedError


class RelayedHead(Protocol):
    """A client's request as it goes upstream."""

    fields: Sequence[Field]


class RelayedRequest(Protocol):
    """What is known of a client's request that went upstream: when, the status of its response,
    and how long that took to begin; 0 while there is none."""

    sent_at: float
    status: int
    seconds: float
