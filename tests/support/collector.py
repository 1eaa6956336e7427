"""A collector of traces: takes OTLP over HTTP, as OpenTelemetry's own does, and keeps it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KINDS = {
    Span.SPAN_KIND_INTERNAL: "internal",
    Span.SPAN_KIND_SERVER: "server",
    Span.SPAN_KIND_CLIENT: "client",
}


@dataclass(frozen=True)
class CollectedSpan:
    """One span as it came; ids are hexadecimal, times nanoseconds since 1970."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    started: int
    ended: int
    attributes: dict[str, str | int | float]
    links: list[tuple[str, str]]
    has_failed: bool


@dataclass
class Collector:
    """What came. ``status`` is what is answered, after ``seconds``."""

    endpoint: str = ""
    status: int = 200
    seconds: float = 0.0
    received: list[bytes] = field(default_factory=list)
    """The contents of requests."""
    fields: list[dict[str, str]] = field(default_factory=list)
    """Their fields, names in lower case."""
    spans: list[CollectedSpan] = field(default_factory=list)
    resource: dict[str, str | int | float] = field(default_factory=dict)
    """The last one's."""

    def named(self, name: str) -> list[CollectedSpan]:
        return [span for span in self.spans if span.name == name]

    def of_kind(self, kind: str) -> list[CollectedSpan]:
        return [span for span in self.spans if span.kind == kind]

    async def take(self, request: web.BaseRequest) -> web.Response:
        content = await request.read()
        if self.seconds:
            await asyncio.sleep(self.seconds)
        self.received.append(content)
        self.fields.append({name.lower(): value for name, value in request.headers.items()})
        if self.status == 200:
            self._keep(ExportTraceServiceRequest.FromString(content))
        return web.Response(
            status=self.status,
            body=ExportTraceServiceResponse().SerializeToString(),
            content_type="application/x-protobuf",
        )

    def _keep(self, request: ExportTraceServiceRequest) -> None:
        for of_resource in request.resource_spans:
            self.resource = _attributes(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self.spans += map(_collected, of_scope.spans)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a free port."""
    collector = Collector()
    server = web.Server(collector.take, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        collector.endpoint = f"http://{host}:{port}/v1/traces"
        yield collector
    finally:
        await runner.cleanup()


def _collected(span: Span) -> CollectedSpan:
    return CollectedSpan(
        span.name,
        KINDS[span.kind],
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes),
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        span.status.code == Status.STATUS_CODE_ERROR,
    )


def _attributes(given: object) -> dict[str, str | int | float]:
    return {each.key: _value(each.value) for each in given}  # type: ignore[attr-defined]


def _value(value: object) -> str | int | float:
    kind = value.WhichOneof("value")  # type: ignore[attr-defined]
    found = getattr(value, kind)
    assert isinstance(found, (str, int, float))
    return found
