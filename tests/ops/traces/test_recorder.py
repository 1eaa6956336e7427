"""The spans that are made of a request, and their times. On sockets: tests/e2e/test_traces.py."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.downstream.exchange import Exchange, Kind, Outcome
from gateway.ops.traces.attributes import destination
from gateway.ops.traces.recorder import TraceRecorder
from gateway.ops.traces.spans import FinishedSpan, SpanRole
from gateway.tracing.facts import SentRequest, SpanId
from gateway.upstream import Outbound, Purpose
from tests.support.records import exchange
from tests.support.traced import PARENT, SAMPLED_FIELD, TRACE, NotedSpans, traced, tracer

BEGAN_AT = 1_800_000_000
"""In seconds since 1970, when the monotonic clock is at 100."""
SECOND = 1_000_000_000


class Recorded:
    """The spans that a recorder makes; its clocks are at 500 s, and 400 s after ``BEGAN_AT``."""

    def __init__(self) -> None:
        self.spans: list[FinishedSpan] = []
        upstream = destination("http://theeye:60080")
        self.recorder = TraceRecorder(
            self.spans.append, upstream, lambda: 500.0, lambda: BEGAN_AT + 400.0
        )

    def of(self, record: Exchange) -> dict[str, FinishedSpan]:
        """The spans of a request by name."""
        self.recorder.observe(record)
        found = {span.name: span for span in self.spans}
        assert len(found) == len(self.spans)
        return found


class Went:
    """A relayed request that was sent a twentieth of a second after the client's had come."""

    def __init__(self, status: int = 200, sent_at: float = 100.05) -> None:
        self.sent_at, self.status, self.seconds = sent_at, status, 0.1


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def record(*, admitted: float = 100.01, relayed: Went | None = None, **known: Any) -> Exchange:
    """One of a quarter of a second, in a client's trace."""
    trace = traced(tracer(NotedSpans(), lambda: admitted), SAMPLED_FIELD)
    if relayed is not None:
        trace.relays(Outbound("GET", "/", [], Purpose.RELAY), relayed)
    elif admitted:
        trace.admit()
    known.setdefault("kind", Kind.RELAY)
    made = exchange(target="/acme/job?access_token=t0ken", **known)
    made.target = "/acme/job?access_token=t0ken"
    made.trace = trace
    return made


def after(span: FinishedSpan) -> tuple[float, float]:
    """When it began and ended, in seconds since the request did, to a tenth of a millisecond."""
    times = (span.started, span.ended)
    began, ended = (round(time / SECOND - BEGAN_AT, 4) for time in times)
    return began, ended


def test_untraced_request_has_no_span(recorded: Recorded) -> None:
    assert not recorded.of(exchange())


def test_relayed_request_has_spans_within_the_clients(recorded: Recorded) -> None:
    made = record(relayed=Went(), status=200)
    spans = recorded.of(made)
    request, admission, relay = spans["GET"], spans["admission"], spans["GET relay"]
    assert request.role is SpanRole.SERVER
    assert (request.span.trace_id, request.parent_id, request.is_remote) == (TRACE, PARENT, True)
    assert {admission.parent_id, relay.parent_id} == {request.span.span_id}
    assert {span.span.trace_id for span in spans.values()} == {TRACE}
    assert len({span.span.span_id for span in spans.values()}) == 3
    assert relay.role is SpanRole.CLIENT
    assert relay.attributes["gateway.response_seconds"] == 0.1
    assert (after(request), after(admission)) == ((0.0, 0.25), (0.0, 0.01))
    assert after(relay) == (0.05, 0.25)
    assert not any(span.error for span in spans.values())
    assert "t0ken" not in repr(spans)


def test_request_that_began_its_trace_has_no_parent(recorded: Recorded) -> None:
    made = record()
    made.trace = traced(tracer(NotedSpans()))
    assert recorded.of(made)["GET"].parent_id == ""


def test_refusal_is_an_admission_that_failed(recorded: Recorded) -> None:
    made = record(admitted=0.0, status=429, reason="TooMany", outcome=Outcome.REFUSED, limit="rate")
    spans = recorded.of(made)
    assert {*spans} == {"GET", "admission"}
    admission = spans["admission"]
    assert after(admission) == (0.0, 0.25)
    assert admission.error == admission.attributes["error.type"] == "TooMany"
    assert admission.attributes["gateway.limit"] == "rate"
    assert spans["GET"].error == ""


@pytest.mark.parametrize(
    ("known", "error"),
    [
        ({"status": 502, "reason": "BadGateway", "outcome": Outcome.FAILED}, "BadGateway"),
        ({"status": 500}, "500"),
        ({"status": 200, "outcome": Outcome.CUT, "reason": "ContentCut"}, "ContentCut"),
        ({"status": 404}, ""),
        ({"status": 0, "outcome": Outcome.CLIENT_CLOSED}, ""),
    ],
)
def test_request_has_failed_where_that_was_not_the_clients_doing(
    recorded: Recorded, known: dict[str, Any], error: str
) -> None:
    span = recorded.of(record(**known))["GET"]
    assert span.error == error
    assert span.attributes.get("error.type", "") == error


@pytest.mark.parametrize(
    ("went", "known", "error"),
    [
        (Went(404), {"status": 404}, "404"),
        (Went(0), {"status": 504, "reason": "Timeout", "outcome": Outcome.FAILED}, "Timeout"),
        (Went(0), {"status": 0, "outcome": Outcome.CLIENT_CLOSED}, "client_closed"),
    ],
)
def test_relay_has_failed_where_there_was_no_good_response(
    recorded: Recorded, went: Went, known: dict[str, Any], error: str
) -> None:
    assert recorded.of(record(relayed=went, **known))["GET relay"].error == error


def test_relay_that_was_never_sent_began_when_the_request_was_admitted(recorded: Recorded) -> None:
    went = Went(0, sent_at=0.0)
    spans = recorded.of(record(relayed=went, status=503, reason="Overloaded"))
    assert after(spans["GET relay"]) == (0.01, 0.25)


def test_hold_has_its_times_and_the_polls_that_it_saw(recorded: Recorded) -> None:
    times = iter([100.0, 100.02, 100.03, 100.04, 100.2])
    spans = NotedSpans()
    part = tracer(spans, lambda: next(times))
    made = record(kind=Kind.RESULT)
    made.trace = traced(part)
    made.trace.admit()
    with made.trace.holding("AB"):
        poll = part.waits.look(["ab"])
        assert poll is not None
        poll.sends("poll", "GET", "/acme/job").over(200, None)
    hold = recorded.of(made)["hold"]
    assert hold.parent_id == made.trace.span.span_id
    assert after(hold) == (0.02, 0.2)
    assert hold.links == (spans.requests[0].span,)
    assert hold.attributes == {"gateway.job_id": "ab"}


def test_hold_for_no_job_that_is_known_tells_none(recorded: Recorded) -> None:
    made = record()
    assert made.trace is not None
    with made.trace.holding():
        pass
    assert recorded.of(made)["hold"].attributes == {}


@pytest.mark.parametrize(
    ("status", "error", "told"), [(200, "", ""), (404, "", "404"), (0, "BadGateway", "BadGateway")]
)
def test_own_request_is_a_span_with_its_links(
    recorded: Recorded, status: int, error: str, told: str
) -> None:
    span, link = SpanId(TRACE, PARENT), SpanId("1" * 32, "1" * 16)
    recorded.recorder.sent(
        SentRequest(
            span,
            "",
            (link,),
            "poll",
            "GET",
            "/acme/job?access_token=t0ken",
            started=100.5,
            ended=101.0,
            status=status,
            error=error,
        )
    )
    [made] = recorded.spans
    assert (made.name, made.role, made.span, made.links) == (
        "GET poll",
        SpanRole.CLIENT,
        span,
        (link,),
    )
    assert after(made) == (0.5, 1.0)
    assert made.error == told
    assert made.attributes["url.full"] == "http://theeye:60080/acme/job"
