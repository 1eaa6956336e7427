from typing import Any
from urllib.parse import unquote

import pytest

from gateway.sync.jobs.listing import MAX_REQUEST_BYTES
from gateway.sync.workflows.task_jobs import (
    capacity,
    own_jobs_target,
    parse_jobs,
    task_jobs_target,
)
from tests.support.running_workflow import OWN_ID, access

OTHER_ID = "6b058e9a5b008b5bdfdf03b6"


def test_targets_name_each_workflow_once() -> None:
    both = [access(), access(job_id=OTHER_ID)]
    assert unquote(own_jobs_target(both)) == (
        f"/acme/job?where[_id][$in][]={OWN_ID}&where[_id][$in][]={OTHER_ID}"
    )
    assert unquote(task_jobs_target(both)) == (
        f"/acme/job?where[workflow_job_id][$in][]={OWN_ID}&where[workflow_job_id][$in][]={OTHER_ID}"
    )


@pytest.mark.parametrize("bearer", ["t", "t" * 4000, "t" * 13_950])
def test_full_list_stays_within_what_the_upstream_takes(bearer: Any) -> None:
    one = access(bearer=bearer)
    most = capacity(one)
    assert most >= 1
    target = task_jobs_target([one] * most)
    fields = sum(len(name) + len(value) + 4 for name, value in one.credentials.fields)
    assert len(target) + fields < MAX_REQUEST_BYTES or most == 1


def test_job_of_a_list_tells_what_ends_it() -> None:
    (job,) = (
        parse_jobs(b'[{"id":"1","lifecycle":"finished","trigger_name":"x","output":[1]}]') or []
    )
    assert (job.has_ended, job.trigger_name, job.task_id) == (True, "x", None)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'[{"id":1}]', b"\xff"])
def test_what_is_no_list_of_jobs_is_none(content: Any) -> None:
    assert parse_jobs(content) is None
