from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.theeye.job import Job, parse_job
from gateway.sync.push.lateness import Lateness, seconds_since
from tests.support.theeye import finished

TIMES = st.floats(0, 1e9, allow_nan=False)
MONOTONIC, WALL = 1000.0, 1_700_000_000.0


def ended(seconds_ago: float | None) -> Job:
    """A job that says it ended so long before WALL."""
    when = None if seconds_ago is None else f"2023-11-14T22:13:{20 - seconds_ago:06.3f}Z"
    parsed = parse_job(finished(last_update=when))
    assert parsed is not None
    return parsed


def counted(lateness: Lateness, way: str = "poll") -> float:
    return lateness.seconds[way].sum


@pytest.mark.parametrize(
    ("seconds_ago", "unended_ago", "came_ago", "expected"),
    [
        (0.5, 3.0, 9.0, 0.5),
        (5.0, 3.0, 9.0, 3.0),
        (5.0, 9.0, 0.25, 0.25),
        (-2.0, 3.0, 9.0, 0.0),
        (None, 3.0, 9.0, 3.0),
    ],
    ids=[
        "as the orchestrator's clock says",
        "not before the last look that saw it running",
        "not before its request came",
        "never below zero, whatever that clock says",
        "all of the gap where the job does not tell",
    ],
)
def test_lateness_is_from_the_end_to_the_answer(
    seconds_ago: float | None, unended_ago: float, came_ago: float, expected: float
) -> None:
    lateness = Lateness(lambda: MONOTONIC, lambda: WALL)
    lateness.answered(ended(seconds_ago), MONOTONIC - unended_ago, MONOTONIC - came_ago)
    assert counted(lateness) == pytest.approx(expected, abs=0.001)
    assert sum(lateness.seconds["poll"].counts) == 1
    assert set(lateness.seconds) == {"poll"}


@pytest.mark.parametrize(("was_told", "way"), [(True, "push"), (False, "poll")])
def test_way_is_push_where_a_message_has_told_of_the_end(was_told: bool, way: str) -> None:
    asked: list[str] = []

    def told(job_id: str) -> bool:
        asked.append(job_id)
        return was_told

    lateness = Lateness(lambda: MONOTONIC, lambda: WALL, told)
    job = ended(0.5)
    lateness.answered(job, MONOTONIC - 3, MONOTONIC - 3)
    assert asked == [job.id]
    assert counted(lateness, way) == pytest.approx(0.5, abs=0.001)
    assert {name: sum(each.counts) for name, each in lateness.seconds.items()} == {
        "push": int(was_told),
        "poll": int(not was_told),
    }


@given(ended_at=TIMES | st.none(), now=TIMES, most=st.floats(0, 1e6))
def test_lateness_stays_within_what_is_known_by_one_clock(
    ended_at: float | None, now: float, most: float
) -> None:
    assert 0 <= seconds_since(ended_at, now, most) <= most
