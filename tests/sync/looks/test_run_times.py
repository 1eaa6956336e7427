import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.looks.run_times import (
    FORGET_SECONDS,
    LAST_TASKS,
    MAX_RUN_SECONDS,
    MAX_TASKS,
    History,
    TaskRuns,
    Usual,
    retry_seconds,
)

TASK = ("acme", "task")


def learned(*seconds: float) -> Usual | None:
    history = History(lambda: 0.0)
    for number, run in enumerate(seconds):
        history.learn(TASK, str(number), run)
    return history.usual(TASK)


def test_few_runs_tell_nothing() -> None:
    assert learned(3, 3, 3, 3) is None
    assert learned(3, 3, 3, 3, 3) is not None


def test_usual_span_holds_most_runs() -> None:
    dice = random.Random(1)  # noqa: S311 - no secret
    runs = [dice.lognormvariate(math.log(3), 0.25) for _ in range(2000)]
    usual = learned(*runs[:20])
    assert usual is not None
    assert 0.75 < sum(usual.early < run < usual.late for run in runs) / 2000 < 0.95


def test_equal_runs_leave_a_margin() -> None:
    usual = learned(*[3.0] * 20)
    assert usual is not None
    assert (usual.early, usual.late) == pytest.approx((2.81, 3.54), abs=0.01)


def test_what_changed_is_forgotten_after_as_many_runs() -> None:
    usual = learned(*[3.0] * 100, *[30.0] * 20)
    assert usual is not None
    assert 25 < usual.early < usual.late < 36


def test_job_counts_once_however_many_waited_for_it() -> None:
    history = History(lambda: 0.0)
    for _ in range(100):
        history.learn(TASK, "one", 3.0)
    assert history.usual(TASK) is None


@pytest.mark.parametrize(
    "seconds", [-1.0, MAX_RUN_SECONDS + 1, float("nan"), float("inf"), -float("inf")]
)
def test_impossible_run_is_not_learned(seconds: float) -> None:
    assert learned(*[seconds] * 10) is None


def test_task_teaches_nothing_about_another_organizations_of_the_same_id() -> None:
    history = History(lambda: 0.0)
    for number in range(20):
        history.learn(("globex", "task"), str(number), 0.1)
    assert history.usual(TASK) is None
    assert history.usual(None) is None


def test_tasks_are_bounded_and_forgotten_when_they_run_no_more() -> None:
    now = 0.0
    history = History(lambda: now)
    for number in range(MAX_TASKS + 10):
        history.learn(("acme", str(number)), "job", 1.0)
    assert len(history) == MAX_TASKS
    now = FORGET_SECONDS + 1
    assert len(history) == 0


@given(st.lists(st.floats(0, MAX_RUN_SECONDS), min_size=5, max_size=30))
def test_usual_span_is_always_one(seconds: list[float]) -> None:
    usual = learned(*seconds)
    assert usual is not None
    assert 0 < usual.early < usual.late < math.inf


@pytest.mark.parametrize(
    ("age", "usual_ages", "expected"),
    [
        (0, None, 1),
        (30, None, 3),
        (0, Usual(4, 9), 6),
        (4.5, Usual(4, 9), 2),
        (5.9, Usual(4, 9), 1),
        (60, Usual(4, 9), 6),
        (0, Usual(0.01, 0.01), 1),
    ],
)
def test_client_is_told_to_come_again_when_such_jobs_usually_have_ended(
    age: float, usual_ages: Usual | None, expected: int
) -> None:
    assert retry_seconds(age, usual_ages) == expected


def test_tasks_that_ended_last_are_told_of() -> None:
    history = History(lambda: 0.0)
    for number in range(5):
        history.learn(("acme", f"task {number}"), "one", number + 1)
    history.learn(("acme", "task 1"), "another", 9)
    assert history.last(3) == [
        TaskRuns(("acme", "task 1"), (2, 9), None),
        TaskRuns(("acme", "task 4"), (5,), None),
        TaskRuns(("acme", "task 3"), (4,), None),
    ]
    assert len(history.last(100)) == 5
    assert history.last(0) == []


def test_tasks_that_are_told_of_are_bounded_and_not_those_that_are_forgotten() -> None:
    now = [0.0]
    history = History(lambda: now[0])
    for number in range(LAST_TASKS + 50):
        history.learn(("acme", str(number)), "one", 1)
    assert len(history.last(10 * LAST_TASKS)) == LAST_TASKS
    now[0] = FORGET_SECONDS + 1
    assert history.last(LAST_TASKS) == []
