import json
from typing import Any

import pytest

from gateway.protocols.theeye.job import parse_job
from gateway.protocols.theeye.workflow_job import joined, of_workflow, workflow_job
from tests.support.running_workflow import OWN_ID, A, B, ended, own_job

FIRST = ended(1, A, output=['{"a":1}'])
LAST = ended(2, B, "failure", output=["bad"], result={"code": 1})


def content(own: Any = None, jobs: Any = (FIRST, LAST)) -> Any:
    made = joined(json.dumps(own or own_job()).encode(), json.dumps(jobs).encode())
    assert made is not None
    return made


def test_full_is_the_own_job_with_its_task_jobs() -> None:
    body = json.loads(content())
    assert body == own_job() | {"jobs": [FIRST, LAST]}


def test_output_result_and_state_are_of_the_last_job() -> None:
    job = workflow_job(content(), LAST["id"])
    assert job is not None
    assert (job.id, job.is_finished, job.state, job.shown_state) == (
        OWN_ID,
        True,
        "failure",
        "failure",
    )
    assert (json.loads(job.output), json.loads(job.result)) == (["bad"], {"code": 1})
    assert job.result_of == LAST["id"]
    assert job.task_id == ""


def test_own_state_counts_where_the_workflow_was_cut_short() -> None:
    own = own_job(lifecycle="terminated", state="canceled")
    job = workflow_job(content(own), FIRST["id"])
    assert job is not None
    assert (job.lifecycle, job.state, json.loads(job.output)) == (
        "terminated",
        "canceled",
        ['{"a":1}'],
    )


def test_lifecycle_that_never_ends_counts_as_finished() -> None:
    job = workflow_job(content(own_job(lifecycle="started")), FIRST["id"])
    assert job is not None
    assert (job.lifecycle, job.state) == ("finished", "success")


def test_workflow_that_ended_without_any_job_has_its_own_state() -> None:
    own = own_job(lifecycle="terminated", state="canceled")
    job = workflow_job(content(own, jobs=()), "")
    assert job is not None
    assert (job.state, json.loads(job.output), job.result_of) == ("canceled", [], "")


def test_presumed_end_is_told_and_keeps_the_state() -> None:
    job = workflow_job(content(), FIRST["id"], is_presumed=True)
    assert job is not None
    assert (job.state, job.shown_state) == ("success", "presumed")


def test_lone_surrogates_are_read() -> None:
    raw = content().replace(b'"bad"', b'"\\ud800"')
    job = workflow_job(raw, LAST["id"])
    assert job is not None
    assert job.raw == raw
    assert "\ufffd" in json.loads(job.output)[0]


@pytest.mark.parametrize("job_id", ["6b058e9a5b008b5bdfdf1009"])
def test_job_that_is_not_there_is_none(job_id: Any) -> None:
    assert workflow_job(content(), job_id) is None


@pytest.mark.parametrize(
    ("own", "jobs"),
    [(b"[]", b"[]"), (b"{}", b"[]"), (b'{"a":1}', b"{}"), (b"", b""), (b'{"a":1}', b"")],
)
def test_what_is_no_object_and_array_is_not_joined(own: Any, jobs: Any) -> None:
    assert joined(own, jobs) is None


@pytest.mark.parametrize("raw", [b"{}", b"x", b'{"id":"6b058e9a5b008b5bdfdf03b5","jobs":1}'])
def test_content_without_a_workflow_is_none(raw: Any) -> None:
    assert workflow_job(raw, LAST["id"]) is None


def test_of_a_workflow_too_large_only_the_output_is_known() -> None:
    part = parse_job(json.dumps(FIRST).encode())
    assert part is not None
    job = of_workflow(part, OWN_ID, is_presumed=False)
    assert (job.id, job.is_whole, job.result_of, json.loads(job.output)) == (
        OWN_ID,
        False,
        FIRST["id"],
        ['{"a":1}'],
    )
