"""Which requests are traced, and what is noted of one. On sockets: tests/e2e/test_traces.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gateway.protocols.tracing.trace_context import RANDOM, SAMPLED, TraceParent, trace_parent
from gateway.tracing.tracer import MOST_HELD
from tests.support.traced import (
    PARENT,
    SAMPLED_FIELD,
    STATE_FIELD,
    TRACE,
    NotedSpans,
    begun,
    traced,
    tracer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.errors import Field


@dataclass
class Head:
    fields: Sequence[Field]


@dataclass
class Relayed:
    sent_at: float = 0.0
    status: int = 0
    seconds: float = 0.0


def sent_parent(fields: Sequence[Field]) -> TraceParent:
    parent = trace_parent([value for name, value in fields if name.lower() == b"traceparent"])
    assert parent is not None
    return parent


def test_request_with_a_parent_goes_on_with_its_trace() -> None:
    trace = traced(tracer(NotedSpans()), SAMPLED_FIELD)
    assert trace.parent == TraceParent(TRACE, PARENT, SAMPLED)
    assert trace.span.trace_id == TRACE
    assert trace.span.span_id != PARENT


@pytest.mark.parametrize("said", [[], [b"nonsense"], [SAMPLED_FIELD[1]] * 2])
def test_w3c_4_3_request_without_a_valid_parent_begins_a_trace(said: list[bytes]) -> None:
    trace = traced(tracer(NotedSpans()), *((b"traceparent", value) for value in said))
    assert trace.parent is None
    assert trace.span.trace_id not in {TRACE, "0" * 32}


def test_only_a_trusted_proxy_is_believed_where_the_settings_say_so() -> None:
    part = tracer(
        NotedSpans(), ratio=0.0, believed="proxies", is_trusted=lambda address: address == "::1"
    )
    assert begun(part, SAMPLED_FIELD, address="192.0.2.7") is None
    assert begun(part, SAMPLED_FIELD, address="::1") is not None
    assert begun(part, address="::1") is None


def test_relayed_request_is_told_its_place_and_keeps_the_state() -> None:
    trace = traced(tracer(NotedSpans(), lambda: 7.0), SAMPLED_FIELD, STATE_FIELD)
    head, relayed = Head([(b"Host", b"a"), SAMPLED_FIELD, STATE_FIELD]), Relayed()
    trace.relays(head, relayed)
    assert head.fields[:2] == [(b"Host", b"a"), STATE_FIELD]
    parent = sent_parent(head.fields)
    assert (parent.trace_id, parent.parent_id) == (TRACE, trace.relayed_span.span_id)
    assert trace.relayed_span != trace.span
    assert trace.relayed is relayed
    assert trace.admitted == 7.0


def test_w3c_3_2_2_5_2_random_flag_goes_on_and_sampled_is_set() -> None:
    field = (b"traceparent", f"00-{TRACE}-{PARENT}-02".encode())
    trace = begun(tracer(NotedSpans(), believed="nobody"), field)
    assert trace is not None
    head = Head([field])
    trace.relays(head, Relayed())
    assert sent_parent(head.fields).flags == SAMPLED | RANDOM


def test_own_request_is_a_child_with_the_clients_state() -> None:
    spans = NotedSpans()
    trace = traced(tracer(spans), SAMPLED_FIELD, STATE_FIELD)
    sending = trace.sends("read", "GET", "/acme/job/1")
    fields = sending.fields([(b"Accept", b"*/*")])
    sending.over(200, None)
    [request] = spans.requests
    assert fields[:-1] == [(b"Accept", b"*/*"), STATE_FIELD]
    assert sent_parent(fields) == TraceParent(TRACE, request.span.span_id, SAMPLED)
    assert (request.span.trace_id, request.parent_id) == (TRACE, trace.span.span_id)
    assert (request.purpose, request.method, request.target) == ("read", "GET", "/acme/job/1")
    assert (request.status, request.error, request.links) == (200, "", ())


def test_a_clients_own_state_is_not_sent_twice() -> None:
    trace = traced(tracer(NotedSpans()), SAMPLED_FIELD, STATE_FIELD)
    fields = trace.sends("create", "POST", "/job").fields([SAMPLED_FIELD, STATE_FIELD])
    assert [name for name, _ in fields] == [b"tracestate", b"traceparent"]


def test_the_last_check_is_passed_once() -> None:
    times = iter([1.0, 2.0])
    trace = traced(tracer(NotedSpans(), lambda: next(times)))
    trace.admit()
    trace.admit()
    assert trace.admitted == 1.0


def test_hold_is_noted_with_its_jobs_and_can_be_linked_meanwhile() -> None:
    times = iter(map(float, range(100)))
    part = tracer(NotedSpans(), lambda: next(times))
    trace = traced(part)
    with trace.holding("AB", "", "cd"):
        assert part.waits.look(["ab"]) is not None
        assert part.waits.look(["cd"]) is not None
    assert part.waits.look(["ab", "cd"]) is None
    [hold] = trace.held
    assert hold.job_ids == ("ab", "cd")
    assert hold.started < hold.ended
    assert hold.span.trace_id == trace.span.trace_id


def test_hold_that_is_broken_off_is_noted_and_forgotten() -> None:
    part = tracer(NotedSpans())
    trace = traced(part)
    with pytest.raises(KeyError), trace.holding("ab"):
        raise KeyError
    assert len(trace.held) == 1
    assert not len(part.waits)


def test_holds_of_one_request_are_bounded() -> None:
    trace = traced(tracer(NotedSpans()))
    for _ in range(2 * MOST_HELD):
        with trace.holding("ab"):
            pass
    assert len(trace.held) == MOST_HELD
