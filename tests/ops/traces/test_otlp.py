"""Spans on their way to a collector, with OpenTelemetry's own SDK."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from gateway.ops.traces.otlp import OtlpSpans, WatchedExporter, otlp_spans
from gateway.ops.traces.spans import FinishedSpan, SpanRole
from gateway.tracing.facts import SpanId
from tests.support.collector import collecting
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PATIENCE_SECONDS = 60.0
RESOURCE = {"service.name": "gateway", "service.version": "1"}


def span(number: int = 1, parent_id: str = "", *, error: str = "") -> FinishedSpan:
    return FinishedSpan(
        "GET",
        SpanRole.SERVER,
        SpanId(TRACE, f"{number:016x}"),
        parent_id,
        1_800_000_000_000_000_000,
        1_800_000_000_250_000_000,
        {"http.request.method": "GET", "http.response.status_code": 200, "seconds": 0.5},
        (SpanId("1" * 32, "2" * 16),),
        error,
        is_remote=True,
    )


class Gate(SpanExporter):
    """Takes spans once it is opened, or fails as it is told."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.opened = threading.Event()
        if is_open:
            self.opened.set()
        self.outcome: SpanExportResult | Exception = SpanExportResult.SUCCESS
        self.spans = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.opened.wait(PATIENCE_SECONDS)
        self.spans += len(spans)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def shutdown(self) -> None:
        self.opened.set()


async def test_collector_gets_spans_as_they_were_made() -> None:
    async with collecting() as collector:
        spans = otlp_spans(
            collector.endpoint,
            {"Authorization": "Bearer s3cret"},
            RESOURCE,
            "1",
            queue_spans=10,
            timeout_seconds=PATIENCE_SECONDS,
        )
        spans.take(span(1))
        spans.take(span(2, "00f067aa0ba902b7", error="BadGateway"))
        await spans.aclose(PATIENCE_SECONDS)
        one, other = collector.spans
        assert collector.fields[0]["authorization"] == "Bearer s3cret"
        assert collector.resource["service.name"] == "gateway"
    assert (one.name, one.kind, one.trace_id) == ("GET", "server", TRACE)
    assert (one.span_id, one.parent_id, one.has_failed) == (f"{1:016x}", "", False)
    assert (other.span_id, other.parent_id, other.has_failed) == (
        f"{2:016x}",
        "00f067aa0ba902b7",
        True,
    )
    assert (one.started, one.ended) == (1_800_000_000_000_000_000, 1_800_000_000_250_000_000)
    assert one.attributes == {**span().attributes}
    assert one.links == [("1" * 32, "2" * 16)]
    assert (spans.exported, spans.failed, spans.dropped) == (2, 0, 0)


async def test_spans_for_which_there_is_no_room_are_dropped_and_counted() -> None:
    gate = Gate(is_open=False)
    spans = OtlpSpans(gate, RESOURCE, "1", queue_spans=5, gap_seconds=0.001)
    for number in range(1, 101):
        spans.take(span(number))
    # Those that are being sent are no longer in the queue.
    assert 90 <= spans.dropped <= 95
    gate.opened.set()
    await spans.aclose(PATIENCE_SECONDS)
    assert gate.spans == spans.exported == 100 - spans.dropped


async def test_end_does_not_wait_for_a_collector_that_hangs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = Gate(is_open=False)
    spans = OtlpSpans(gate, RESOURCE, "1", queue_spans=5, gap_seconds=0.001)
    spans.take(span())
    began = asyncio.get_running_loop().time()
    await spans.aclose(0.02)
    assert asyncio.get_running_loop().time() - began < PATIENCE_SECONDS / 2
    assert "in time" in caplog.text
    gate.opened.set()
    await until(lambda: spans.exported == 1)


@pytest.mark.parametrize("outcome", [SpanExportResult.FAILURE, ValueError("s3cret")])
def test_collector_that_fails_and_recovers_is_told_once_each(
    outcome: SpanExportResult | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    exporter = WatchedExporter(gate)
    gate.outcome = outcome
    nothing: list[ReadableSpan] = []
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert exporter.export(nothing) is SpanExportResult.FAILURE
        gate.outcome = SpanExportResult.SUCCESS
        for _ in range(3):
            assert exporter.export(nothing) is SpanExportResult.SUCCESS
    assert [record.getMessage() for record in caplog.records] == [
        "the collector of traces takes no spans; those that it misses are lost",
        "the collector of traces takes spans again",
    ]


async def test_spans_that_the_collector_does_not_take_are_counted() -> None:
    gate = Gate()
    gate.outcome = SpanExportResult.FAILURE
    spans = OtlpSpans(gate, RESOURCE, "1", queue_spans=5)
    spans.take(span())
    await spans.aclose(PATIENCE_SECONDS)
    assert (spans.exported, spans.failed, spans.dropped) == (0, 1, 0)
