"""Counts of what became of requests, and the signs that they give."""

from __future__ import annotations

from gateway.errors import BadGateway, ContentCut, GatewayTimeout, Overloaded
from gateway.upstream import Purpose
from gateway.upstream.signs import Trouble
from gateway.upstream.tally import Tally


def test_responses_count_by_purpose_and_status_class_with_their_time() -> None:
    tally = Tally(lambda: 0.0)
    for status in (200, 204, 503):
        tally.responded(Purpose.RELAY, status, 5.0, 0.25)
    assert tally.requests == {("relay", "2xx"): 2, ("relay", "5xx"): 1}
    assert tally.seconds["relay"].sum == 0.75
    assert (tally.signs.answered_at, tally.signs.refusals) == (5.0, 1)


def test_failures_count_with_their_time_if_something_was_sent() -> None:
    tally = Tally(lambda: 0.0)
    tally.failed(Purpose.READ, BadGateway(), 5.0, 0.0)
    assert tally.seconds == {}
    assert (tally.signs.failing_since, tally.signs.failure) == (5.0, Trouble.UNREACHABLE)
    tally.failed(Purpose.READ, GatewayTimeout(), 6.0, 1.0)
    assert tally.requests == {("read", "failed"): 2}
    assert sum(tally.seconds["read"].counts) == 1
    assert (tally.signs.failing_since, tally.signs.failure) == (5.0, Trouble.SILENT)


def test_failures_that_are_not_the_upstreams_say_nothing_of_it() -> None:
    tally = Tally(lambda: 0.0)
    for failure in (Overloaded(), ContentCut()):
        tally.failed(Purpose.RELAY, failure, 5.0, 1.0)
    assert tally.signs.failing_since is None


def test_probe_is_well_answered_with_anything_but_5xx() -> None:
    tally = Tally(lambda: 7.0)
    assert not tally.probed(0, Trouble.SILENT)
    assert (tally.signs.failing_since, tally.signs.failure) == (7.0, Trouble.SILENT)
    assert tally.probed(404, Trouble.SILENT)
    assert (tally.signs.failing_since, tally.signs.answered_at) == (None, 7.0)
    assert not tally.probed(500, Trouble.SILENT)
    assert tally.signs.failure is Trouble.REFUSING
    assert tally.requests == {
        ("probe", "failed"): 1,
        ("probe", "4xx"): 1,
        ("probe", "5xx"): 1,
    }
