"""Makes spans of traced requests that are over, and of what was sent upstream for them.

request  ├── admission
         ├── relay                the client's own request, upstream
         ├── read, create, cancel the gateway's, for the client
         └── hold ┈┈ links ┈┈ poll, a trace of its own: it serves several holds
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.downstream.exchange import Outcome
from gateway.ops.log.visible import shown_word
from gateway.ops.traces.attributes import method_of, name_of, of_exchange, of_request
from gateway.ops.traces.spans import FinishedSpan, SpanRole
from gateway.upstream.messages.messages import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.downstream.exchange import Exchange
    from gateway.ops.traces.attributes import Destination
    from gateway.tracing.facts import RelayedRequest, SentRequest
    from gateway.tracing.tracer import RequestTrace
    from gateway.tracing.waits import HeldSpan

_FAILURES: Final = frozenset({Outcome.FAILED, Outcome.CUT})
_NANOSECONDS: Final = 1e9


class TraceRecorder:
    """``take`` is handed each span and must neither wait nor fail; the clocks give seconds:
    monotonic ones, and those since 1970."""

    def __init__(
        self,
        take: Callable[[FinishedSpan], None],
        upstream: Destination,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._take = take
        self._upstream = upstream
        self._clock = clock
        self._wall_clock = wall_clock

    def observe(self, exchange: Exchange) -> None:
        """Make the spans of a request that is over."""
        trace = exchange.trace
        if trace is None:
            return
        since = self._since()
        self._take(self._request(exchange, trace, since))
        self._take(self._admission(exchange, trace, since))
        for held in trace.held:
            self._take(self._hold(held, trace, since))
        if trace.relayed is not None:
            self._take(self._relay(exchange, trace, trace.relayed, since))

    def sent(self, request: SentRequest) -> None:
        """Make the span of a request of the gateway's own."""
        since = self._since()
        attributes = of_request(
            request.method, request.target, request.purpose, request.status, self._upstream
        )
        error = request.error or _refused(request.status)
        self._take(
            FinishedSpan(
                f"{method_of(request.method)} {request.purpose}",
                SpanRole.CLIENT,
                request.span,
                request.parent_id,
                _at(request.started, since),
                _at(request.ended, since),
                attributes | _error(error),
                request.links,
                error,
            )
        )

    def _request(self, exchange: Exchange, trace: RequestTrace, since: float) -> FinishedSpan:
        has_failed = exchange.status >= 500 or exchange.outcome in _FAILURES
        error = (exchange.reason or str(exchange.status)) if has_failed else ""
        return FinishedSpan(
            name_of(exchange),
            SpanRole.SERVER,
            trace.span,
            "" if trace.parent is None else trace.parent.parent_id,
            _at(exchange.started, since),
            _at(exchange.finished, since),
            of_exchange(exchange) | _error(error),
            error=error,
            is_remote=True,
        )

    def _admission(self, exchange: Exchange, trace: RequestTrace, since: float) -> FinishedSpan:
        error = "" if trace.admitted else exchange.reason or exchange.outcome.value
        limit = {"gateway.limit": exchange.limit} if exchange.limit and error else {}
        return FinishedSpan(
            "admission",
            SpanRole.INTERNAL,
            trace.child(),
            trace.span.span_id,
            _at(exchange.started, since),
            _at(trace.admitted or exchange.finished, since),
            limit | _error(error),
            error=error,
        )

    def _hold(self, held: HeldSpan, trace: RequestTrace, since: float) -> FinishedSpan:
        jobs = {"gateway.job_id": shown_word(held.job_ids[0])} if held.job_ids else {}
        return FinishedSpan(
            "hold",
            SpanRole.INTERNAL,
            held.span,
            trace.span.span_id,
            _at(held.started, since),
            _at(held.ended, since),
            jobs,
            tuple(held.polls),
        )

    def _relay(
        self, exchange: Exchange, trace: RequestTrace, relayed: RelayedRequest, since: float
    ) -> FinishedSpan:
        status, method = relayed.status, exchange.client.method
        error = _refused(status) if status else exchange.reason or exchange.outcome.value
        attributes = of_request(
            method, exchange.target, Purpose.RELAY, status, self._upstream
        ) | _error(error)
        if relayed.seconds:
            attributes["gateway.response_seconds"] = relayed.seconds
        return FinishedSpan(
            f"{method_of(method)} {Purpose.RELAY}",
            SpanRole.CLIENT,
            trace.relayed_span,
            trace.span.span_id,
            _at(relayed.sent_at or trace.admitted, since),
            _at(exchange.finished, since),
            attributes,
            error=error,
        )

    def _since(self) -> float:
        """What makes seconds since 1970 of monotonic ones."""
        return self._wall_clock() - self._clock()


def _at(seconds: float, since: float) -> int:
    return round((seconds + since) * _NANOSECONDS)


def _refused(status: int) -> str:
    return str(status) if status >= 400 else ""


def _error(error: str) -> dict[str, str]:
    return {"error.type": error} if error else {}
