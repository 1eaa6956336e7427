from __future__ import annotations

import asyncio
from itertools import accumulate
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.durations import ANSWER_SECONDS, Durations
from gateway.ops.log.slowness import LEAST, STEP_SECONDS, WINDOW_SECONDS, Slowness, percentile
from gateway.upstream.messages.messages import Purpose
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.virtual_time
SLOW_SECONDS = 2.0
LONGEST_SECONDS = WINDOW_SECONDS + STEP_SECONDS


class Stage:
    """An upstream's times, and who looks at them each second."""

    def __init__(
        self, caplog: pytest.LogCaptureFixture, slow_seconds: float = SLOW_SECONDS
    ) -> None:
        self.caplog = caplog
        self.asked = 0
        self.seconds: dict[str, Durations] = {}
        self.slowness = Slowness(self.times, slow_seconds, now)

    def times(self) -> Mapping[str, Durations]:
        self.asked += 1
        return self.seconds

    async def passes(
        self, seconds: float, took: float = 0.01, *, each_second: int = 1, purpose: str = "read"
    ) -> list[str]:
        """What is said while so many requests a second take that long."""
        self.caplog.clear()
        for _ in range(round(seconds)):
            durations = self.seconds.setdefault(purpose, Durations(ANSWER_SECONDS))
            for _ in range(each_second):
                durations.add(took)
            await asyncio.sleep(1)
            self.slowness.look()
        return [record.getMessage() for record in self.caplog.records]


@pytest.mark.parametrize("purpose", ["relay", "create", "read", "poll"])
async def test_upstream_that_becomes_slow_is_told_of_once_and_so_is_its_recovery(
    purpose: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(caplog)
    assert await stage.passes(120, purpose=purpose) == []
    [line] = await stage.passes(300, 4.0, purpose=purpose)
    assert line.startswith(
        f"the upstream is slow: of the requests of the last minute for {purpose} one in twenty took"
    )
    assert line.endswith("(upstream.slow_seconds is 2)")
    [line] = await stage.passes(LONGEST_SECONDS + STEP_SECONDS, 0.5, purpose=purpose)
    assert line.startswith("the upstream is not slow any more, after 3")


@pytest.mark.parametrize("purpose", [Purpose.CANCEL, Purpose.PROBE])
async def test_what_says_nothing_of_other_requests_does_not_count(
    purpose: Purpose, caplog: pytest.LogCaptureFixture
) -> None:
    assert await Stage(caplog).passes(120, 9.0, purpose=purpose) == []


async def test_many_of_one_purpose_do_not_hide_the_few_of_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage(caplog)
    await stage.passes(60, each_second=1000, purpose="relay")
    assert len(await stage.passes(60, 4.0, purpose="create")) == 1


async def test_one_slow_request_in_fifty_is_no_slow_upstream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage(caplog)
    for _ in range(5):
        assert await stage.passes(49) == []
        assert await stage.passes(1, 9.0) == []


async def test_few_requests_say_nothing_however_long_they_take(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage(caplog)
    for _ in range(20):
        assert await stage.passes(1, 9.0) == []
        assert await stage.passes(9, each_second=0) == []
    assert LEAST > 6


async def test_nothing_asked_for_is_no_recovery(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(caplog)
    assert len(await stage.passes(60, 4.0)) == 1
    assert await stage.passes(600, each_second=0) == []
    [line] = await stage.passes(10)
    assert "not slow any more" in line


async def test_what_wavers_around_the_setting_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage(caplog)
    told = await stage.passes(60, 4.0)
    for _ in range(5):
        told += await stage.passes(60, 1.7)
        told += await stage.passes(60, 2.4)
    assert len(told) == 1


async def test_zero_tells_nothing_and_looks_at_nothing(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(caplog, slow_seconds=0)
    assert await stage.passes(120, 9.0) == []
    assert stage.asked == 0


async def test_times_are_looked_at_seldom_and_no_more_is_kept_than_a_minute_needs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage(caplog)
    await stage.passes(600)
    assert stage.asked == 600 / STEP_SECONDS
    await stage.passes(60, 4.0, each_second=3)
    assert len(await stage.passes(LONGEST_SECONDS + STEP_SECONDS)) == 1


@given(
    times=st.lists(st.floats(0.0001, 59), min_size=1, max_size=200),
    share=st.floats(0.01, 1),
)
def test_percentile_lies_within_the_bucket_of_the_request_of_that_rank(
    times: list[float], share: float
) -> None:
    durations = Durations(ANSWER_SECONDS)
    for each in times:
        durations.add(each)
    found = percentile(durations.bounds, durations.counts, share)
    reached = [*accumulate(durations.counts)]
    at = next(i for i, count in enumerate(reached) if count >= share * len(times) and count)
    lower = durations.bounds[at - 1] if at else 0.0
    assert lower <= found <= durations.bounds[at]


def test_percentile_above_all_bounds_is_the_last_and_of_nothing_zero() -> None:
    assert percentile((1.0, 2.0), [0, 0, 5], 0.95) == 2.0
    assert percentile((1.0, 2.0), [0, 0, 0], 0.95) == 0.0
