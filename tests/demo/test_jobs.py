from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.jobs import Ending, Jobs, TooManyJobsError
from gateway.demo.sessions import GLOBEX, Sessions
from gateway.demo.tasks import Task

TASK = Task("pruned", "64ac0b46c06feba9b89ad700")
OTHER = Task("other", "64ac0b46c06feba9b89ad701", GLOBEX)
DONE = Ending("success")


class _Clock:
    def __init__(self) -> None:
        self.moment = datetime(2023, 7, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment


def test_job_lives_from_ready_to_its_first_ending() -> None:
    jobs = Jobs(_Clock())
    job = jobs.create(TASK, None, ())
    assert (job.lifecycle, job.state) == ("ready", "in_progress")
    jobs.assign(job)
    assert (job.lifecycle, job.state) == ("assigned", "in_progress")
    jobs.end(job, Ending("timeout", lifecycle="terminated"))
    jobs.end(job, DONE)
    assert (job.lifecycle, job.state) == ("terminated", "timeout")
    assert job.updated > job.created


@given(st.lists(st.booleans(), max_size=30))
def test_only_the_newest_and_unfinished_jobs_of_a_task_survive(finished: list[bool]) -> None:
    jobs = Jobs(_Clock())
    other = jobs.create(OTHER, None, ())
    jobs.end(other, DONE)
    created = []
    for is_finished in finished:
        job = jobs.create(TASK, None, ())
        created.append(job)
        if is_finished:
            jobs.end(job, DONE)
    older, newest = created[:-5], created[-5:]
    expected = [other, *(job for job in older if job.ending is None), *newest]
    assert list(jobs) == expected


def test_job_ids_are_24_hex_digits_and_never_twice() -> None:
    jobs = Jobs(_Clock())
    ids = [jobs.create(TASK, None, ()).id for _ in range(50)]
    assert len(set(ids)) == 50
    assert all(len(bytes.fromhex(job_id)) == 12 for job_id in ids)


def test_jobs_are_refused_when_too_many_are_unfinished() -> None:
    jobs = Jobs(_Clock(), max_jobs=2)
    first = jobs.create(TASK, None, ())
    jobs.create(TASK, None, ())
    with pytest.raises(TooManyJobsError):
        jobs.create(TASK, None, ())
    jobs.remove(first.id)
    assert jobs.get(first.id) is None
    assert jobs.create(TASK, None, ()) in list(jobs)


def test_job_is_of_its_creators_organization_else_of_its_tasks() -> None:
    jobs = Jobs(_Clock())
    assert jobs.create(OTHER, Sessions().named("acme-user"), ()).organization.name == "acme"
    assert jobs.create(OTHER, None, ()).organization.name == "globex"
