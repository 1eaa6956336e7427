import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import SyncConfig
from gateway.sync.schedule import gap

CONFIG = SyncConfig()
AGES = st.floats(0, 1e6)
CHANCES = st.floats(0, 1)


@pytest.mark.parametrize(("age", "seconds"), [(0, 0.05), (0.5, 0.05), (10, 0.8), (25, 2), (9e9, 2)])
def test_gap_grows_with_the_age_between_its_bounds(age: float, seconds: float) -> None:
    assert gap(age, 0, 0.5, CONFIG) == pytest.approx(seconds)


@given(AGES, CHANCES)
def test_end_is_noticed_within_a_tenth_of_the_age(age: float, chance: float) -> None:
    seconds = gap(age, 0, chance, CONFIG)
    assert CONFIG.min_poll_seconds <= seconds <= CONFIG.max_poll_seconds
    assert seconds <= max(CONFIG.min_poll_seconds, age / 10)


def test_looks_of_many_watches_are_spread() -> None:
    assert gap(10, 0, 0, CONFIG) < gap(10, 0, 1, CONFIG)


def test_gap_doubles_with_each_failure_up_to_twice_the_longest() -> None:
    gaps = [gap(0, failures, 0, CONFIG) for failures in range(9)]
    assert gaps == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 4.0, 4.0])


@given(AGES, st.integers(1, 10**9), CHANCES)
def test_gap_after_failures_is_bounded(age: float, failures: int, chance: float) -> None:
    assert CONFIG.min_poll_seconds <= gap(age, failures, chance, CONFIG) <= 4
