from __future__ import annotations

from gateway.protocols.theeye.job import Job, parse_job
from gateway.sync.looks.lessons import Lessons, task_of
from tests.support.theeye import JOB_ID, finished

TIMES = {
    "creation_date": "2026-11-30T08:00:00.000+00:00",
    "last_update": "2026-11-30T08:00:03.000+00:00",
}


def ended(**members: object) -> Job:
    job = parse_job(finished(**members))
    assert job is not None
    return job


class Told:
    def __init__(self) -> None:
        self.runs: list[tuple[tuple[str, str], str, float]] = []
        self.ends: list[tuple[str, float]] = []

    def learn(self, task: tuple[str, str], job_id: str, seconds: float) -> None:
        self.runs.append((task, job_id, seconds))

    def ended(self, job_id: str, unended_at: float) -> None:
        self.ends.append((job_id, unended_at))


def test_run_time_and_end_of_a_job_are_told() -> None:
    told, job = Told(), ended(task_id="t", **TIMES)
    Lessons(told.learn, told.ended).take(job, 7.0)
    assert told.runs == [(("acme", "t"), JOB_ID, 3.0)]
    assert told.ends == [(JOB_ID, 7.0)]


def test_job_without_a_task_or_times_teaches_nothing() -> None:
    told = Told()
    lessons = Lessons(told.learn)
    lessons.take(ended(task_id="t"), 0.0)
    lessons.take(ended(**TIMES), 0.0)
    assert not told.runs
    assert task_of(ended()) is None
