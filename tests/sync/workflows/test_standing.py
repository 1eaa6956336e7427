import json
import time
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.workflows.graph import parse_graph
from gateway.sync.workflows.standing import Stage, Standing, silent_seconds, standing
from gateway.sync.workflows.task_jobs import ListedJob
from tests.support.running_workflow import (
    EPOCH,
    A,
    B,
    C,
    ended,
    labelled,
    moment,
    task_job,
    with_event_nodes,
)

CHAIN = ((A, "success", B), (B, "success", C))
FORK = ((A, "success", B), (A, "success", C))
LOOP = ((A, "again", A), (A, "success", B))
GONE = {"lifecycle": "terminated", "state": "error"}
CANCELED = {"lifecycle": "terminated", "state": "canceled"}
KILLED = {"lifecycle": "terminated", "state": "timeout"}

CASES = {
    "no job yet": (CHAIN, [], Stage.BETWEEN, None),
    "first runs": (CHAIN, [task_job(1, A)], Stage.RUNNING, None),
    "the next is to come": (CHAIN, [ended(1, A)], Stage.BETWEEN, 1),
    "second runs": (CHAIN, [ended(1, A), task_job(2, B)], Stage.RUNNING, None),
    "all have run": (CHAIN, [ended(1, A), ended(2, B), ended(3, C)], Stage.ENDED, 3),
    "failure without a follower": (CHAIN, [ended(1, A), ended(2, B, "failure")], Stage.ENDED, 2),
    "event of its own": (CHAIN, [ended(1, A, "other")], Stage.ENDED, 1),
    "killed": (CHAIN, [ended(1, A, "timeout", **KILLED)], Stage.ENDED, 1),
    "canceled": (CHAIN, [ended(1, A, "", **CANCELED)], Stage.ENDED, 1),
    "script is gone": (CHAIN, [ended(1, A), ended(2, B, "", **GONE)], Stage.ENDED, 2),
    "waits for a person": (
        CHAIN,
        [ended(1, A), task_job(2, B, lifecycle="onhold")],
        Stage.RUNNING,
        None,
    ),
    "half of a fork is to come": (FORK, [ended(1, A), ended(2, B)], Stage.BETWEEN, 2),
    "half of a fork runs": (FORK, [ended(1, A), ended(2, B), task_job(3, C)], Stage.RUNNING, None),
    "fork has run": (FORK, [ended(1, A), ended(2, B), ended(3, C)], Stage.ENDED, 3),
    "fork has run the other way": (
        FORK,
        [ended(1, A), ended(2, B, last_update=moment(9)), ended(3, C)],
        Stage.ENDED,
        2,
    ),
    "loop goes on": (LOOP, [ended(1, A, "again")], Stage.BETWEEN, 1),
    "loop was left": (LOOP, [ended(1, A, "again"), ended(2, A, "success")], Stage.BETWEEN, 2),
    "loop has ended": (LOOP, [ended(1, A, "again"), ended(2, A), ended(3, B)], Stage.ENDED, 3),
    "older jobs were removed": (CHAIN, [ended(3, C)], Stage.ENDED, 3),
}


def listed(jobs: Any) -> Any:
    return msgspec.convert(jobs, list[ListedJob])


def graph_of(edges: Any, made: Any = labelled) -> Any:
    return parse_graph(json.dumps(made(*edges)).encode())


@pytest.mark.parametrize("made", [labelled, with_event_nodes])
@pytest.mark.parametrize("case", CASES)
def test_stage_by_the_graph(case: Any, made: Any) -> None:
    edges, jobs, stage, last = CASES[case]
    at = standing(None, listed(jobs), graph_of(edges, made))
    assert at.stage is stage
    assert (at.last and int(at.last.id[-3:])) == last


@pytest.mark.parametrize("lifecycle", ["ready", "started", None])
def test_own_job_that_goes_on_changes_nothing(lifecycle: Any) -> None:
    jobs = listed([ended(1, A), ended(2, B), ended(3, C)])
    assert standing(lifecycle, jobs, graph_of(CHAIN)).stage is Stage.ENDED


@pytest.mark.parametrize("lifecycle", ["finished", "terminated", "canceled"])
def test_own_job_that_has_ended_is_believed(lifecycle: Any) -> None:
    jobs = listed([ended(1, A), task_job(2, B)])
    at = standing(lifecycle, jobs, graph_of(CHAIN))
    assert (at.stage, at.last and at.last.task_id) == (Stage.ENDED, A)


def test_canceled_before_any_job_has_no_last() -> None:
    assert standing("terminated", [], graph_of(CHAIN)) == Standing(Stage.ENDED)


def test_without_a_graph_it_is_silent_or_runs() -> None:
    assert standing(None, listed([ended(1, A)]), None).stage is Stage.SILENT
    assert standing(None, listed([ended(1, A), task_job(2, B)]), None).stage is Stage.RUNNING


def test_newest_running_job_is_named() -> None:
    at = standing(None, listed([ended(1, A), task_job(3, C), task_job(2, B)]), graph_of(FORK))
    assert at.running is not None
    assert at.running.task_id == C


def test_job_that_nothing_led_to_is_not_explained() -> None:
    jobs = listed([ended(1, A), task_job(2, B), task_job(3, C)])
    assert not standing(None, jobs, graph_of(CHAIN)).is_explained
    assert standing(None, jobs[:2], graph_of(CHAIN)).is_explained


def test_missing_tasks_are_named() -> None:
    assert standing(None, listed([ended(1, A)]), graph_of(FORK)).missing == (B, C)


def test_task_without_the_workflows_id_is_missing() -> None:
    jobs = listed([ended(1, A)])
    assert standing(None, jobs, graph_of(CHAIN)).missing == (B,)


@given(
    st.lists(st.sampled_from(["again", "success", "failure", ""]), max_size=8),
    st.integers(0, 8),
)
def test_it_ends_only_when_nothing_runs_and_nothing_is_missing(events: Any, running: Any) -> None:
    jobs = [ended(number, A, event) for number, event in enumerate(events)]
    if running < len(jobs):
        jobs[running] = task_job(running, A)
    at = standing(None, listed(jobs), graph_of(LOOP))
    if at.stage is Stage.ENDED:
        assert running >= len(jobs)
        assert not at.missing
        assert at.last is not None
    assert (at.running is not None) == (at.stage is Stage.RUNNING)


def test_silence_is_since_the_last_update() -> None:
    jobs = listed([ended(1, A), ended(2, B, last_update=moment(3))])
    assert silent_seconds(jobs, EPOCH + timedelta(seconds=5)) == 2.0


@pytest.mark.parametrize("update", ["", "yesterday", "2026-11-24T13:00:00", None])
def test_silence_is_unknown_where_no_job_tells(update: Any) -> None:
    assert silent_seconds(listed([ended(1, A, last_update=update)]), EPOCH) is None
    assert silent_seconds([], EPOCH) is None


def test_thousands_of_jobs_with_thousands_of_followers_are_counted_at_once() -> None:
    graph = graph_of([(A, "again", f"{number:024x}") for number in range(4000)])
    jobs = listed([ended(number, A, "again") for number in range(3000)])
    began = time.process_time()
    assert len(standing(None, jobs, graph).missing) == 4000
    assert time.process_time() - began < 0.5
