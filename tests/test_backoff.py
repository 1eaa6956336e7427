"""Gaps between attempts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backoff import Backoff

STEADY_SECONDS = 60.0


def test_each_gap_is_twice_the_last_up_to_the_longest() -> None:
    backoff = Backoff(0.1, 1.0, STEADY_SECONDS)
    assert [backoff.gap() for _ in range(6)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_what_lasted_is_followed_by_the_first_gap_and_what_ended_soon_is_not() -> None:
    backoff = Backoff(0.1, 1.0, STEADY_SECONDS)
    gaps = []
    for seconds in (0.0, 59.9, 60.0, 0.0):
        backoff.lasted(seconds)
        gaps.append(backoff.gap())
    assert gaps == pytest.approx([0.1, 0.2, 0.1, 0.2])


@given(attempts=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), max_size=50))
def test_gaps_are_bounded_whatever_chance_and_attempts(attempts: list[tuple[float, float]]) -> None:
    backoff = Backoff(0.1, 5.0, STEADY_SECONDS)
    for seconds, chance in attempts:
        backoff.lasted(seconds)
        assert 0.05 <= backoff.gap(chance) <= 5.0


def test_chance_shortens_a_gap_by_up_to_half() -> None:
    shortest, longest = (Backoff(0.1, 5.0, STEADY_SECONDS).gap(chance) for chance in (0, 1))
    assert 2 * shortest == longest == 0.1
