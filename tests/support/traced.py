"""Traces without a collector: ids in their order, and what was noted."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from gateway.tracing.ids import SpanIds
from gateway.tracing.sampling import Believed, Sampling
from gateway.tracing.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.errors import Field
    from gateway.tracing.facts import SentRequest
    from gateway.tracing.tracer import RequestTrace

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED_FIELD = (b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())
STATE_FIELD = (b"tracestate", b"congo=t61rcWkgMzE")


class NotedSpans:
    """The requests of the gateway's own that were sent."""

    def __init__(self) -> None:
        self.requests: list[SentRequest] = []

    def sent(self, request: SentRequest) -> None:
        self.requests.append(request)


def counted_ids() -> SpanIds:
    """One after the other."""
    numbers = count(1_000_001)
    return SpanIds(lambda _: next(numbers))


def tracer(
    spans: NotedSpans,
    clock: Callable[[], float] = lambda: 100.0,
    *,
    ratio: float = 1.0,
    believed: Believed = "everybody",
    is_trusted: Callable[[str], bool] = lambda _: False,
) -> Tracer:
    """One that takes all that is not said otherwise of."""
    sampling = Sampling(ratio, believed, b"of a test")
    return Tracer(sampling, is_trusted, spans, ids=counted_ids(), clock=clock)


def begun(tracer: Tracer, *fields: Field, address: str = "192.0.2.7") -> RequestTrace | None:
    """The trace of a request with these fields."""
    return tracer.begin(fields, [name.lower() for name, _ in fields], address)


def traced(tracer: Tracer, *fields: Field) -> RequestTrace:
    """The same, of one that is taken."""
    trace = begun(tracer, *fields)
    assert trace is not None
    return trace
