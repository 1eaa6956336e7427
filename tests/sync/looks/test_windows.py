import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.jobs.ranges import IdRange
from gateway.sync.looks.windows import STRANGER_PRICE, best_range, stamp

NOW = 1_700_000_000


def job(second: int, number: int = 0) -> str:
    """The id of a job that was created so many seconds after another."""
    return f"{NOW + second:08x}{number:016x}"


def worth(waited: list[str], strangers: list[str], ids: IdRange, patience: float) -> float:
    served = [one for one in waited if one in ids]
    price = STRANGER_PRICE * sum(one in ids for one in strangers)
    return len(served) - price - (stamp(served[-1]) - stamp(served[0])) / patience


def test_jobs_that_lie_close_together_are_all_in_the_range() -> None:
    waited = [job(second) for second in range(100)]
    assert best_range(waited, [], 60) == IdRange(waited[0], waited[-1])


@pytest.mark.parametrize("odd", [-1_000_000_000, -90_000, 90_000, 2_000_000_000])
def test_much_older_job_and_one_with_a_wrong_time_are_left_out(odd: int) -> None:
    waited = [job(second) for second in range(100)]
    assert best_range(sorted([*waited, job(odd)]), [], 60) == IdRange(waited[0], waited[-1])


def test_range_ends_before_many_jobs_that_nobody_waits_for() -> None:
    waited = [job(0, number) for number in range(0, 200, 2)]
    strangers = [job(0, number) for number in range(101, 161, 2)]
    assert best_range(waited, strangers, 60) == IdRange(waited[0], job(0, 100))


def test_few_strangers_among_many_jobs_are_put_up_with() -> None:
    waited = [job(0, number) for number in range(200)]
    strangers = [f"{one}" for one in (job(0, 200), job(0, 300))]
    more = [job(0, number) for number in range(301, 400)]
    assert best_range([*waited, *more], strangers, 60) == IdRange(waited[0], more[-1])


def test_nothing_to_wait_for_needs_no_look() -> None:
    assert best_range([], [job(0)], 60) is None


@given(
    st.sets(st.integers(0, 40), max_size=12),
    st.sets(st.integers(0, 40), max_size=6),
    st.sampled_from([1.0, 4.0, 60.0]),
)
def test_no_other_range_serves_more_for_its_price(
    waiting: set[int], ended: set[int], patience: float
) -> None:
    waited = sorted(map(job, waiting))
    strangers = sorted(job(second, 1) for second in ended)
    best = best_range(waited, strangers, patience)
    assert (best is None) == (not waited)
    if best is not None:
        others = [IdRange(a, b) for a in waited for b in waited if a <= b]
        assert best in others
        most = max(worth(waited, strangers, other, patience) for other in others)
        assert worth(waited, strangers, best, patience) == pytest.approx(most)
