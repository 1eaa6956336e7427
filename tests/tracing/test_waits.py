"""Polls are linked to the holds that wait for their jobs, and holds to polls."""

from __future__ import annotations

import pytest

from gateway.protocols.tracing.trace_context import trace_parent
from gateway.tracing.facts import SpanId
from gateway.tracing.tracer import Tracer
from gateway.tracing.waits import MOST_HOLDS, MOST_LINKS, HeldSpan, PollTrace
from tests.support.traced import NotedSpans, traced, tracer


@pytest.fixture
def spans() -> NotedSpans:
    return NotedSpans()


@pytest.fixture
def part(spans: NotedSpans) -> Tracer:
    return tracer(spans)


def hold(number: int, *job_ids: str) -> HeldSpan:
    return HeldSpan(SpanId(f"{number:032x}", f"{number:016x}"), job_ids, 1.0)


def sent(trace: PollTrace | None) -> None:
    assert trace is not None
    trace.sends("poll", "GET", "/acme/job").over(200, None)


def test_poll_begins_a_trace_and_is_linked_both_ways(part: Tracer, spans: NotedSpans) -> None:
    one, other, third = hold(1, "a"), hold(2, "b"), hold(3, "c")
    for each in (one, other, third):
        assert part.waits.add(each)
    sent(part.waits.look(["a", "b", "x"]))
    [request] = spans.requests
    assert request.links == (one.span, other.span)
    assert request.parent_id == ""
    assert request.span.trace_id not in {one.span.trace_id, other.span.trace_id}
    assert one.polls == other.polls == [request.span]
    assert third.polls == []


def test_poll_tells_the_upstream_its_own_trace(part: Tracer, spans: NotedSpans) -> None:
    part.waits.add(hold(1, "a"))
    trace = part.waits.look(["a"])
    assert trace is not None
    assert trace.span is None
    sending = trace.sends("poll", "GET", "/acme/job")
    [(name, value)] = sending.fields([])
    sending.over(200, None)
    parent = trace_parent([value])
    assert name == b"traceparent"
    assert parent is not None
    assert (parent.trace_id, parent.parent_id) == (
        spans.requests[0].span.trace_id,
        spans.requests[0].span.span_id,
    )


def test_poll_that_no_traced_hold_waits_for_is_none(part: Tracer) -> None:
    gone = hold(1, "a")
    part.waits.add(gone)
    part.waits.discard(gone)
    assert part.waits.look(["a"]) is None
    assert part.waits.look_within("a", "z") is None
    assert part.waits.serve([None]) is None


def test_range_is_linked_to_the_holds_within_it(part: Tracer, spans: NotedSpans) -> None:
    for number, job_id in enumerate("abcd", 1):
        part.waits.add(hold(number, job_id))
    sent(part.waits.look_within("b", "c"))
    assert [link.span_id for link in spans.requests[0].links] == [f"{n:016x}" for n in (2, 3)]


def test_hold_for_several_jobs_is_linked_once(part: Tracer, spans: NotedSpans) -> None:
    part.waits.add(hold(1, "a", "b"))
    sent(part.waits.look(["a", "b"]))
    assert len(spans.requests[0].links) == 1


def test_request_that_serves_several_is_linked_to_them(part: Tracer, spans: NotedSpans) -> None:
    traces = [traced(part), traced(part)]
    part.waits.add(hold(1, "a"))
    sent(part.waits.serve([None, *traces, part.waits.look(["a"])]))
    assert spans.requests[0].links == tuple(trace.span for trace in traces)


def test_links_are_bounded_in_both_directions(part: Tracer, spans: NotedSpans) -> None:
    first = hold(1, "a")
    for each in (first, *(hold(number, "a") for number in range(2, 2 * MOST_LINKS))):
        part.waits.add(each)
    for _ in range(2 * MOST_LINKS):
        sent(part.waits.look(["a"]))
    assert {len(request.links) for request in spans.requests} == {MOST_LINKS}
    assert len(first.polls) == MOST_LINKS


def test_holds_that_can_be_linked_are_bounded(part: Tracer) -> None:
    first = hold(0, "a")
    assert part.waits.add(first)
    assert all(part.waits.add(hold(number, "b")) for number in range(1, MOST_HOLDS))
    assert not part.waits.add(hold(MOST_HOLDS, "b"))
    part.waits.discard(first)
    assert part.waits.add(hold(MOST_HOLDS, "b"))
