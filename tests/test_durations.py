from __future__ import annotations

import pytest

from gateway.durations import ANSWER_SECONDS, HELD_SECONDS, Durations


def test_durations_count_each_in_the_first_bucket_that_has_room() -> None:
    durations = Durations((1.0, 2.0))
    for seconds in (0.5, 1.0, 1.5, 3.0):
        durations.add(seconds)
    assert durations.counts == [2, 1, 1]
    assert durations.sum == 6.0


@pytest.mark.parametrize("bounds", [ANSWER_SECONDS, HELD_SECONDS])
def test_bounds_rise(bounds: tuple[float, ...]) -> None:
    assert list(bounds) == sorted(set(bounds))
