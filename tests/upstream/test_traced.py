"""Requests of the gateway's own as spans, over real sockets."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.config import UpstreamConfig
from gateway.errors import BadGateway
from gateway.upstream import Heard, Purpose, Upstream
from gateway.upstream.traced import TracedUpstream
from tests.support.traced import SAMPLED_FIELD, TRACE, NotedSpans, traced, tracer
from tests.support.upstream import upstream_answering

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.upstream import Script

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ABSENT = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def before(
    *answers: bytes, close: bool = False
) -> AsyncIterator[tuple[TracedUpstream, Script]]:
    async with upstream_answering(*answers, close=close) as script:
        upstream = Upstream(UpstreamConfig(url=script.url), time.monotonic)
        try:
            yield TracedUpstream(upstream), script
        finally:
            upstream.close()


async def read(upstream: TracedUpstream, heard: Heard | None) -> int:
    reply = await upstream.request(
        "GET", "/x", (), purpose=Purpose.READ, max_bytes=1000, heard=heard
    )
    return reply.status


async def test_request_for_a_trace_is_a_span_and_says_so_upstream() -> None:
    spans = NotedSpans()
    trace = traced(tracer(spans, time.monotonic), SAMPLED_FIELD)
    heard = Heard(trace)
    async with before(OK, ABSENT) as (upstream, script):
        assert await read(upstream, heard) == 200
        assert await read(upstream, heard) == 404
    assert [request.status for request in spans.requests] == [200, 404]
    for request, head in zip(spans.requests, script.heads, strict=True):
        assert f"traceparent: 00-{TRACE}-{request.span.span_id}-01\r\n".encode() in head
        assert request.parent_id == trace.span.span_id
        assert request.started <= request.ended
    assert (heard.status, heard.was_sent) == (404, True)
    assert heard.seconds > 0


async def test_failure_is_noted_and_raised() -> None:
    spans = NotedSpans()
    heard = Heard(traced(tracer(spans)))
    async with before(b"nonsense\r\n\r\n", close=True) as (upstream, _):
        with pytest.raises(BadGateway):
            await read(upstream, heard)
    [request] = spans.requests
    assert (request.status, request.error) == (0, BadGateway.code)
    assert heard.was_sent


@pytest.mark.parametrize("heard", [None, Heard()])
async def test_request_for_no_trace_is_sent_as_it_is(heard: Heard | None) -> None:
    async with before(OK) as (upstream, script):
        assert await read(upstream, heard) == 200
    assert b"traceparent" not in script.heads[0]
    assert heard is None or heard.status == 200
