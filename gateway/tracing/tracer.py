"""Begins the traces of requests, and holds what is noted of one until it is over."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from gateway.protocols.http.fields import has, values
from gateway.protocols.tracing.trace_context import SAMPLED, TraceParent, trace_parent
from gateway.protocols.tracing.trace_fields import PARENT, STATE, joined
from gateway.tracing.facts import SpanId
from gateway.tracing.sampling import DRAWN_BITS
from gateway.tracing.sending import TracedSending
from gateway.tracing.waits import HeldSpan, TracedWaits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateway.errors import Field
    from gateway.tracing.facts import RelayedHead, RelayedRequest, SentSpans
    from gateway.tracing.ids import SpanIds
    from gateway.tracing.sampling import Sampling

MOST_HELD: Final = 32
"""A request is held several times where its job was told to have ended and had not. Further times
are not noted."""


class RequestTrace:
    """One request's. ``parent`` is the caller's span, if it is in a trace."""

    __slots__ = (
        "_clock",
        "_flags",
        "_ids",
        "_spans",
        "_state",
        "_waits",
        "admitted",
        "held",
        "parent",
        "relayed",
        "relayed_span",
        "span",
    )

    def __init__(
        self,
        parent: TraceParent | None,
        state: tuple[Field, ...],
        *,
        ids: SpanIds,
        waits: TracedWaits,
        spans: SentSpans,
        clock: Callable[[], float],
    ) -> None:
        self.parent = parent
        trace_id = ids.trace() if parent is None else parent.trace_id
        self.span = SpanId(trace_id, ids.span())
        self.admitted = 0.0
        """When the last check was passed; 0 where none was."""
        self.held: list[HeldSpan] = []
        self.relayed: RelayedRequest | None = None
        """The client's own request as it went upstream."""
        self.relayed_span = self.span
        """Its span, where it went."""
        self._flags = SAMPLED if parent is None else parent.flags | SAMPLED
        self._state = state
        self._ids = ids
        self._waits = waits
        self._spans = spans
        self._clock = clock

    def child(self) -> SpanId:
        """A new span of the trace, for a part of the request."""
        return SpanId(self.span.trace_id, self._ids.span())

    def admit(self) -> None:
        """Every check is passed."""
        if not self.admitted:
            self.admitted = self._clock()

    def relays(self, head: RelayedHead, relayed: RelayedRequest) -> None:
        """The client's own request is about to go upstream; its place in the trace is put in."""
        self.admit()
        self.relayed = relayed
        self.relayed_span = span = self.child()
        parent = TraceParent(span.trace_id, span.span_id, self._flags)
        head.fields = joined(head.fields, parent, continues=self.parent is not None)

    def sends(self, purpose: str, method: str, target: str) -> TracedSending:
        """A request of the gateway's own is about to be sent for this one."""
        return TracedSending(
            self.child(),
            self.span.span_id,
            (),
            (purpose, method, target),
            spans=self._spans,
            clock=self._clock,
            flags=self._flags,
            state=self._state,
            continues=self.parent is not None,
        )

    @contextmanager
    def holding(self, *job_ids: str) -> Iterator[None]:
        """Note a block in which the request only waits for these jobs to end."""
        wanted = dict.fromkeys(job_id.lower() for job_id in job_ids if job_id)
        hold = HeldSpan(self.child(), tuple(wanted), self._clock())
        is_linked = self._waits.add(hold)
        try:
            yield
        finally:
            hold.ended = self._clock()
            if is_linked:
                self._waits.discard(hold)
            if len(self.held) < MOST_HELD:
                self.held.append(hold)


class Tracer:
    """``is_trusted`` tells whether an address is a trusted proxy's; ``spans`` are told of requests
    that were sent; ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        sampling: Sampling,
        is_trusted: Callable[[str], bool],
        spans: SentSpans,
        *,
        ids: SpanIds,
        clock: Callable[[], float],
    ) -> None:
        self._sampling = sampling
        self._is_trusted = is_trusted
        self._spans = spans
        self._ids = ids
        self._clock = clock
        self.waits = TracedWaits(ids, spans, clock)

    def begin(
        self, fields: Sequence[Field], names: list[bytes], address: str
    ) -> RequestTrace | None:
        """The trace of a request that has come from an address; None where it is not traced."""
        parent: TraceParent | None = None
        state: tuple[Field, ...] = ()
        if has(names, PARENT):
            parent = trace_parent(values(fields, PARENT))
        if parent is None:
            is_taken = self._sampling.takes_new(self._ids.bits(DRAWN_BITS))
        else:
            is_taken = self._sampling.takes(parent, is_trusted=self._is_trusted(address))
        if not is_taken:
            return None
        if parent is not None and has(names, STATE):
            state = tuple(line for line in fields if line[0].lower() == STATE)
        return RequestTrace(
            parent,
            state,
            ids=self._ids,
            waits=self.waits,
            spans=self._spans,
            clock=self._clock,
        )
