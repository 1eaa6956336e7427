from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.limits.gcra import MAX_DEBT, SECOND, Rate

RATES = st.builds(
    Rate,
    st.floats(0.001, 100_000, allow_nan=False),
    st.integers(1, 1000),
)


@pytest.mark.parametrize(
    ("per_second", "interval"),
    [(20.0, 50_000), (3.0, 333_334), (0.1, 10_000_000), (50.0 * 0.1, 200_000), (100_000.0, 10)],
)
def test_interval_is_whole_and_rather_too_long(per_second: float, interval: int) -> None:
    assert Rate(per_second, 1).interval == interval


def test_full_budget_takes_its_burst_at_once_and_then_one_an_interval() -> None:
    rate = Rate(20.0, 3)
    level = rate.level(0, 1000 * SECOND)
    for left in (3, 2, 1):
        assert rate.remaining(level) == left
        assert rate.fits(level)
        level += rate.interval
    assert rate.remaining(level) == 0
    assert not rate.fits(level)
    assert rate.fits(level - rate.interval)


@pytest.mark.parametrize(
    ("level", "wait", "full"), [(0, 0, 0), (2_000_000, 0, 2), (4_000_000, 2, 4), (4_000_001, 3, 5)]
)
def test_times_are_whole_seconds_rounded_up(level: int, wait: int, full: int) -> None:
    rate = Rate(0.5, 2)
    assert rate.wait_seconds(level) == wait
    assert rate.full_seconds(level) == full


def test_level_is_bounded_whatever_the_clock_does() -> None:
    rate = Rate(10.0, 5)
    assert rate.level(10**15, 0) == rate.interval * (5 + MAX_DEBT)
    assert rate.level(0, 10**15) == 0


@given(rate=RATES, level=st.integers(0, 10**12))
def test_who_waits_as_long_as_told_fits(rate: Rate, level: int) -> None:
    after = max(level - rate.wait_seconds(level) * SECOND, 0)
    assert rate.fits(after)
    assert rate.remaining(after) >= 1


@given(rate=RATES, level=st.integers(0, 10**12))
def test_more_is_there_when_it_is_said_and_not_a_second_before(rate: Rate, level: int) -> None:
    left, seconds = rate.remaining(level), rate.more_seconds(level)
    assert seconds > 0 or left == rate.burst
    if seconds:
        assert rate.remaining(max(level - seconds * SECOND, 0)) > left
        assert rate.remaining(max(level - (seconds - 1) * SECOND, 0)) == left
