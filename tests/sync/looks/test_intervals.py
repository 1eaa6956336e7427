import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config import SyncConfig
from gateway.sync.looks.intervals import LEFT_SECONDS, Gaps, gap, safety_gap
from gateway.sync.looks.run_times import Usual

CONFIG = SyncConfig()
AGES = st.floats(0, 1e6)
CHANCES = st.floats(0, 1)
USUALS = st.one_of(
    st.none(),
    st.tuples(st.floats(0.001, 1e5), st.floats(1, 100)).map(lambda p: Usual(p[0], p[0] * p[1])),
)


@pytest.mark.parametrize(
    ("age", "seconds"), [(0, 0.1), (0.25, 0.1), (1, 0.175), (10, 1.075), (50, 5), (9e9, 5)]
)
def test_gap_is_a_tenth_of_the_age_and_a_margin(age: float, seconds: float) -> None:
    assert gap(age, None, 0, 0.5, CONFIG) == pytest.approx(seconds)


@given(AGES, USUALS, st.integers(0, 10**9), CHANCES)
def test_gap_stays_between_its_bounds(
    age: float, usual: Usual | None, failures: int, chance: float
) -> None:
    seconds = gap(age, usual, failures, chance, CONFIG)
    assert CONFIG.min_poll_seconds <= seconds <= CONFIG.max_poll_seconds


@given(AGES, CHANCES)
def test_end_is_noticed_late_in_proportion_to_the_age(age: float, chance: float) -> None:
    assert gap(age, None, 0, chance, CONFIG) <= max(0.1, (0.1 + age / 10) * 1.1)


@given(st.floats(0, 100), st.floats(0.5, 1000), CHANCES)
@example(0.21875, 0.5, 1.0)
def test_what_was_learned_delays_no_poll_beyond_half_the_usual_time(
    age: float, early: float, chance: float
) -> None:
    plain = gap(age, None, 0, chance, CONFIG)
    learned = gap(age, Usual(early, 2 * early), 0, chance, CONFIG)
    assert learned <= max(plain, early / 2 * 1.1)


def ages_of_looks(usual: Usual | None, until: float, chance: float = 0.5) -> list[float]:
    ages = [gap(0, usual, 0, chance, CONFIG)]
    while ages[-1] < until:
        ages.append(ages[-1] + gap(ages[-1], usual, 0, chance, CONFIG))
    return ages


def test_few_polls_are_made_before_jobs_of_the_task_usually_end() -> None:
    usual = Usual(4.0, 9.0)
    assert ages_of_looks(usual, 4)[:4] == pytest.approx([0.3, 0.775, 2, 4], abs=0.01)
    assert gap(3.9, usual, 0, 0.5, CONFIG) == pytest.approx(0.465)
    assert gap(4, usual, 0, 0.5, CONFIG) < gap(4, None, 0, 0.5, CONFIG)
    assert gap(9, usual, 0, 0.5, CONFIG) == gap(9, None, 0, 0.5, CONFIG)


@given(st.floats(0.3, 60), CHANCES)
def test_job_that_ends_at_once_is_noticed_soon_though_its_task_is_slow(
    early: float, chance: float
) -> None:
    first, second, *_ = ages_of_looks(Usual(early, 2 * early), early, chance)
    assert first <= 0.33
    assert second <= max(3.3, first + 0.165)


@given(st.floats(1, 8), CHANCES)
def test_early_polls_cost_two_requests_at_most(early: float, chance: float) -> None:
    half = [age for age in ages_of_looks(Usual(early, 2 * early), early, chance) if age < early]
    assert len(half) <= 3 + (half[-1] > 0.85 * early)


def test_polls_of_many_watches_are_spread() -> None:
    assert gap(10, None, 0, 0, CONFIG) < gap(10, None, 0, 1, CONFIG)
    assert safety_gap(0, CONFIG) > safety_gap(1, CONFIG)


def test_gap_doubles_with_each_failure_up_to_the_longest() -> None:
    gaps = [gap(0, None, failures, 0.5, CONFIG) for failures in range(8)]
    assert gaps == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])


@given(CHANCES)
def test_safety_net_is_no_wider_than_it_is_set(chance: float) -> None:
    assert 9 <= safety_gap(chance, CONFIG) <= 10


@given(AGES, USUALS, CHANCES)
def test_job_that_nobody_waits_for_is_polled_no_more_often_than_once_a_second(
    age: float, usual: Usual | None, chance: float
) -> None:
    gaps = Gaps(lambda: chance, CONFIG)
    awaited = gaps.seconds(age, usual, 0, is_hinted=True)
    assert gaps.seconds(age, usual, 0, is_hinted=True, is_left=True) == max(awaited, LEFT_SECONDS)
