import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.looks.pacer import Pacer


def test_permits_come_evenly_after_the_first_burst() -> None:
    pace = Pacer(10, burst=3)
    waits = [pace.take(5.0) for _ in range(6)]
    assert waits == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3])
    assert pace.next_at() == pytest.approx(5.4)


def test_pause_gives_back_one_burst_and_no_more() -> None:
    pace = Pacer(10, burst=2)
    pace.take(0.0)
    assert [pace.take(100.0) for _ in range(3)] == pytest.approx([0, 0, 0.1])


def test_slowdown_spreads_the_permits_that_follow() -> None:
    pace = Pacer(10, burst=1)
    pace.slowdown = 5.0
    assert [pace.take(0.0) for _ in range(3)] == pytest.approx([0, 0.5, 1.0])
    pace.slowdown = 1.0
    assert [pace.take(1.5) for _ in range(2)] == pytest.approx([0, 0.1])


@given(
    st.floats(0.1, 1000), st.integers(1, 50), st.lists(st.floats(0, 1), min_size=1, max_size=200)
)
def test_no_span_of_time_has_more_permits_than_its_share_and_a_burst(
    per_second: float, burst: int, pauses: list[float]
) -> None:
    pace, now, turns = Pacer(per_second, burst), 0.0, []
    for pause in pauses:
        now += pause
        turns.append(now + pace.take(now))
    for first, begin in enumerate(turns):
        for last in range(first, len(turns)):
            assert last - first + 1 <= (turns[last] - begin) * per_second + burst + 1e-6
