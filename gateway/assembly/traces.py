"""The parts that trace requests."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from gateway import __version__
from gateway.ops.metrics import parts
from gateway.ops.traces.attributes import destination
from gateway.ops.traces.collector_fields import collector_fields
from gateway.ops.traces.recorder import TraceRecorder
from gateway.tracing.ids import SpanIds
from gateway.tracing.sampling import Sampling
from gateway.tracing.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from gateway.config import Config


class TraceParts:
    """``tracer`` begins the traces of requests, ``recorder`` is told of each that is over. The
    clocks give seconds: monotonic ones, and those since 1970."""

    def __init__(
        self,
        config: Config,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        is_trusted: Callable[[str], bool],
    ) -> None:
        from gateway.ops.traces.otlp import otlp_spans  # noqa: PLC0415 - an extra

        traces = config.traces
        fields = collector_fields(traces.headers_file) if traces.headers_file else {}
        self._spans = otlp_spans(
            traces.endpoint,
            fields,
            {"service.name": traces.service_name, "service.version": __version__},
            __version__,
            queue_spans=traces.queue_spans,
            timeout_seconds=traces.timeout_seconds,
        )
        self.recorder = TraceRecorder(
            self._spans.take, destination(config.upstream.url), clock, wall_clock
        )
        # Gateways that share a collector decide alike, and nobody outside knows how.
        key = repr((traces.endpoint, traces.service_name, sorted(fields.items())))
        self.tracer = Tracer(
            Sampling(traces.sample_ratio, traces.believed, key.encode()),
            is_trusted,
            self.recorder,
            ids=SpanIds(random.SystemRandom().getrandbits),
            clock=clock,
        )

    async def aclose(self) -> None:
        """Send the last spans."""
        await self._spans.aclose()

    def metrics(self) -> Iterator[Metric]:
        spans = self._spans
        yield from parts.of_spans(
            exported=spans.exported, failed=spans.failed, dropped=spans.dropped
        )


def trace_parts(
    config: Config,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    is_trusted: Callable[[str], bool],
) -> TraceParts | None:
    """None where the settings want no traces."""
    if not config.traces.endpoint:
        return None
    return TraceParts(config, clock, wall_clock, is_trusted)
