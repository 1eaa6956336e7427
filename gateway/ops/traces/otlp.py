"""Sends spans to a collector: OTLP over HTTP, by OpenTelemetry's SDK, in a thread of its own.

A span is dropped where the queue is full. What the SDK tells of a collector that fails, for each
batch, is not logged: one line says that it fails, and one that it takes spans again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from gateway.ops.traces.spans import SpanRole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from gateway.ops.traces.spans import FinishedSpan
    from gateway.tracing.facts import SpanId

_log = logging.getLogger("gateway.traces")
BATCH_SPANS: Final = 512
GAP_SECONDS: Final = 1.0
"""Longest time for which a span waits for others to be sent with it."""
CLOSE_SECONDS: Final = 2.0
"""Longest time that the end of the process waits for the collector."""
_KINDS: Final = {
    SpanRole.SERVER: SpanKind.SERVER,
    SpanRole.CLIENT: SpanKind.CLIENT,
    SpanRole.INTERNAL: SpanKind.INTERNAL,
}


class WatchedExporter(SpanExporter):
    """Counts what another exporter does, and tells when it begins to fail and when no longer."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_failing = False
        self.taken = self.exported = self.failed = 0
        """Spans so far: out of the queue, of these at the collector, and lost."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        try:
            result = self._exporter.export(spans)
        except Exception:
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.exported += len(spans)
        else:
            self.failed += len(spans)
        self._tell(is_failing=result is not SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def _tell(self, *, is_failing: bool) -> None:
        if is_failing and not self._is_failing:
            _log.warning("the collector of traces takes no spans; those that it misses are lost")
        elif self._is_failing and not is_failing:
            _log.warning("the collector of traces takes spans again")
        self._is_failing = is_failing


class GivenIds(IdGenerator):
    """The SDK's next span has the ids that were given out long before."""

    def __init__(self) -> None:
        self.next: SpanId | None = None

    def generate_span_id(self) -> int:
        assert self.next is not None, "given before each span"
        return int(self.next.span_id, 16)

    def generate_trace_id(self) -> int:
        assert self.next is not None, "given before each span"
        return int(self.next.trace_id, 16)


class OtlpSpans:
    """Call ``take`` from one thread. ``queue_spans``: how many wait to be sent, at most."""

    def __init__(
        self,
        exporter: SpanExporter,
        resource: Mapping[str, str],
        version: str,
        queue_spans: int,
        gap_seconds: float = GAP_SECONDS,
    ) -> None:
        self._exporter = WatchedExporter(exporter)
        self._capacity = queue_spans
        self._given = 0
        self.dropped = 0
        """Spans so far for which the queue had no room."""
        self._ids = GivenIds()
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=queue_spans,
            schedule_delay_millis=gap_seconds * 1000,
            max_export_batch_size=min(BATCH_SPANS, queue_spans),
        )
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create({**resource}),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("gateway", version)

    @property
    def exported(self) -> int:
        """Spans so far that the collector has taken."""
        return self._exporter.exported

    @property
    def failed(self) -> int:
        """Spans so far that it has not."""
        return self._exporter.failed

    def take(self, finished: FinishedSpan) -> None:
        """Put a span into the queue, or drop it."""
        if self._given - self._exporter.taken >= self._capacity:
            self.dropped += 1
            return
        self._given += 1
        parent = NonRecordingSpan(_context(finished, finished.parent_id))
        self._ids.next = finished.span
        span = self._tracer.start_span(
            finished.name,
            set_span_in_context(parent) if finished.parent_id else None,
            _KINDS[finished.role],
            finished.attributes,
            [Link(_linked(link)) for link in finished.links],
            finished.started,
        )
        if finished.error:
            span.set_status(Status(StatusCode.ERROR))
        span.end(finished.ended)

    async def aclose(self, seconds: float = CLOSE_SECONDS) -> None:
        """Send what is left, for so long at most."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        shutdown: Callable[[], None] = self._processor.shutdown

        def close() -> None:
            shutdown()
            with contextlib.suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(done.set)

        # No pool's thread: the end of the process would wait for those.
        threading.Thread(target=close, name="close traces", daemon=True).start()
        try:
            async with asyncio.timeout(seconds):
                await done.wait()
        except TimeoutError:
            _log.warning("the collector of traces did not take the last spans in time")


def otlp_spans(
    endpoint: str,
    fields: Mapping[str, str],
    resource: Mapping[str, str],
    version: str,
    *,
    queue_spans: int,
    timeout_seconds: float,
) -> OtlpSpans:
    """Spans that are sent to ``endpoint``, with these fields."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(endpoint, headers={**fields}, timeout=timeout_seconds)
    return OtlpSpans(exporter, resource, version, queue_spans)


def _context(finished: FinishedSpan, span_id: str) -> SpanContext:
    return SpanContext(
        int(finished.span.trace_id, 16),
        int(span_id or "0", 16),
        is_remote=finished.is_remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _linked(link: SpanId) -> SpanContext:
    return SpanContext(
        int(link.trace_id, 16),
        int(link.span_id, 16),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
