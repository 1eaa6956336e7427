"""The span of a request of the gateway's own, from before it is sent until it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import GatewayError
from gateway.protocols.tracing.trace_context import SAMPLED, TraceParent
from gateway.protocols.tracing.trace_fields import joined
from gateway.tracing.facts import SentRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.errors import Field
    from gateway.tracing.facts import SentSpans, SpanId


class TracedSending:
    """``state``: the trace's ``tracestate`` lines, for requests that have none; ``continues``: what
    stands in ``fields`` is of the same trace."""

    def __init__(
        self,
        span: SpanId,
        parent_id: str,
        links: tuple[SpanId, ...],
        what: tuple[str, str, str],
        *,
        spans: SentSpans,
        clock: Callable[[], float],
        flags: int = SAMPLED,
        state: tuple[Field, ...] = (),
        continues: bool = False,
    ) -> None:
        self._span = span
        self._parent_id = parent_id
        self._links = links
        self._what = what
        self._spans = spans
        self._clock = clock
        self._flags = flags
        self._state = state
        self._continues = continues
        self._started = clock()

    def fields(self, fields: Iterable[Field]) -> list[Field]:
        parent = TraceParent(self._span.trace_id, self._span.span_id, self._flags)
        # A client's own request has the state among its fields already.
        without = [line for line in fields if line not in self._state]
        return joined([*without, *self._state], parent, continues=self._continues)

    def over(self, status: int, failure: BaseException | None) -> None:
        purpose, method, target = self._what
        self._spans.sent(
            SentRequest(
                self._span,
                self._parent_id,
                self._links,
                purpose,
                method,
                target,
                self._started,
                self._clock(),
                status,
                error_of(failure),
            )
        )


def error_of(failure: BaseException | None) -> str:
    """A failure as a short word: its code where it is one of the gateway's, else its kind."""
    if failure is None:
        return ""
    return failure.code if isinstance(failure, GatewayError) else type(failure).__name__
