import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.durations import ANSWER_SECONDS, Durations
from gateway.ops.glances.glance import Figures
from gateway.ops.glances.lookout import figures
from gateway.ops.metrics.families import labelled
from gateway.ops.page.pace import LONGEST_SECONDS, Pace, Point, Spread, quantile, spread
from tests.support.sights import glance


def paced(*moments: dict[int, tuple[float, Figures]]) -> Point | None:
    """The last point, of processes that have run for so long and counted so much."""
    pace, point = Pace(), None
    for moment in moments:
        glances = {
            number: glance(seconds=seconds, figures=counted)
            for number, (seconds, counted) in moment.items()
        }
        point = pace.point(glances, 50.0)
    return point


def requests(count: float) -> Figures:
    return {"gateway_requests_total": {"relay GET 2xx": count, "relay POST 4xx": 2 * count}}


def test_first_moment_has_no_rates() -> None:
    assert paced({1: (5.0, requests(7))}) is None
    assert paced({}, {}) is None
    assert paced({1: (5.0, requests(7))}, {1: (5.0, requests(7))}) is None


def test_rates_are_of_the_time_since_the_moment_before_and_by_kind() -> None:
    point = paced({1: (5.0, requests(10))}, {1: (7.0, requests(30))})
    assert point is not None
    assert point.requests == {"relay": 30.0}
    assert (point.at, point.waits, point.refusals) == (50.0, 0.0, {})


def test_rates_of_several_processes_are_summed_each_with_its_own_time() -> None:
    point = paced(
        {1: (5.0, requests(10)), 2: (100.0, requests(0))},
        {1: (7.0, requests(12)), 2: (101.0, requests(2)), 3: (0.5, requests(40))},
    )
    assert point is not None
    assert point.requests == {"relay": 3 * (1 + 2)}


def test_process_that_took_anothers_place_has_counted_from_zero() -> None:
    point = paced({1: (500.0, requests(1000))}, {1: (2.0, requests(10))})
    assert point is not None
    assert point.requests == {"relay": 15.0}
    assert paced({1: (500.0, {})}, {1: (0.0, {})}) is None


def test_moments_between_which_nobody_looked_are_not_compared() -> None:
    """Else the page would begin with the mean of hours."""
    assert paced({1: (5.0, requests(7))}, {1: (6 + LONGEST_SECONDS, requests(9))}) is None
    assert paced({1: (500.0, {})}, {1: (1 + LONGEST_SECONDS, requests(9))}) is None


def test_process_that_does_not_answer_for_a_while_makes_no_peak() -> None:
    before, after = {1: (5.0, requests(10))}, {1: (9.0, requests(10))}
    assert paced(before, {}, after) is None


def test_load_of_the_upstream_and_waits_are_those_of_now() -> None:
    now: Figures = {
        "gateway_upstream_connections": {"busy": 3, "idle": 9, "queued": 2},
        "gateway_waits_in_flight": {"": 12},
        "gateway_upstream_requests_total": {"poll 2xx": 8, "read 5xx": 2, "relay failed": 4},
        "gateway_errors_total": {"BadGateway": 4, "TooManyRequests": 0},
    }
    point = paced({1: (1.0, {})}, {1: (3.0, now)})
    assert point is not None
    assert (point.busy, point.queued, point.waits) == (3, 2, 12)
    assert (point.upstream_requests, point.upstream_failed) == (7, 3)
    assert point.refusals == {"BadGateway": 2}


def test_times_are_those_of_what_happened_since_the_moment_before() -> None:
    quick, slow = Durations(ANSWER_SECONDS), Durations(ANSWER_SECONDS)
    for _ in range(100):
        quick.add(0.002)
        slow.add(4.0)
    before = figures([labelled("gateway_upstream_seconds", {("read",): quick})])
    both = {("read",): quick, ("relay",): slow}
    after = figures([labelled("gateway_upstream_seconds", both)])
    point = paced({1: (1.0, before)}, {1: (3.0, after)})
    assert point is not None
    assert point.upstream.p50 is not None
    assert 2.5 < point.upstream.p50 < 5
    assert point.notice == {}


def test_notice_is_told_by_how_the_end_was_learned() -> None:
    counted = {"push 0.1": 10.0, "push +Inf": 10.0, "poll 0.1": 0.0, "poll +Inf": 0.0}
    point = paced({1: (1.0, {})}, {1: (3.0, {"gateway_notice_seconds_bucket": counted})})
    assert point is not None
    assert point.notice == {"push": Spread(0.05, 0.095), "poll": Spread(None, None)}


def test_quantile_is_spread_evenly_within_a_bucket() -> None:
    buckets = {1.0: 10.0, 2.0: 20.0, math.inf: 20.0}
    assert quantile(buckets, 0.5) == 1.0
    assert quantile(buckets, 0.75) == 1.5
    assert quantile({1.0: 0.0, math.inf: 5.0}, 0.5) == 1.0
    assert quantile({}, 0.5) is None
    assert spread({1.0: 0.0, math.inf: 0.0}) == Spread(None, None)


@given(
    st.lists(st.integers(0, 50), min_size=16, max_size=16),
    st.sampled_from([0.5, 0.95]),
)
def test_quantile_is_within_the_bounds(counts: list[int], share: float) -> None:
    cumulative = [float(sum(counts[: at + 1])) for at in range(16)]
    buckets = dict(zip([*map(float, ANSWER_SECONDS), math.inf], cumulative, strict=True))
    found = quantile(buckets, share)
    if cumulative[-1] == 0:
        assert found is None
    else:
        assert found is not None
        assert 0 <= found <= ANSWER_SECONDS[-1]


@pytest.mark.parametrize("labels", ["relay", "relay GET 2xx"])
def test_first_label_is_the_name_of_a_series(labels: str) -> None:
    point = paced({1: (1.0, {})}, {1: (2.0, {"gateway_requests_total": {labels: 3.0}})})
    assert point is not None
    assert point.requests == {"relay": 3.0}
