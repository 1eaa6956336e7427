"""The filter of ``GET /:customer/job``: the part of it that API callers use."""

from __future__ import annotations

import re

from gateway.demo import answers
from gateway.demo.arguments import Query
from gateway.demo.jobs import Jobs, StoredJob
from gateway.demo.sessions import Session
from gateway.protocols.theeye.job import ID_PATTERN

OBJECT_ID = re.compile(ID_PATTERN)
_WHERE = re.compile(r"where\[(\w+)\](?:\[\$in\]\[(\d*)\])?")
_MAX_INDEX = 20
"""Arrays with a greater explicit index are objects to the query parser, which fails later on."""


def listed(jobs: Jobs, session: Session, query: Query) -> list[StoredJob]:
    """The session's organization's jobs that the query asks for; missing ones are absent."""
    wanted = _conditions(query)
    limit = int(text) if (text := query.get("limit", [""])[0]).isdecimal() else None
    found = [
        job
        for job in _candidates(jobs, wanted)
        if job.organization == session.organization
        and session.may_use(job.task.access_list)
        and all(_value(job, name) in values for name, values in wanted.items())
    ]
    return found[:limit]


def _candidates(jobs: Jobs, wanted: dict[str, set[str]]) -> list[StoredJob]:
    """Where ids are named only those are looked at, oldest first."""
    if "_id" not in wanted:
        return list(jobs)
    return [job for job_id in sorted(wanted["_id"]) if (job := jobs.get(job_id)) is not None]


def _conditions(query: Query) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = {}
    for name, values in query.items():
        if name.startswith("include[") and "1" in values:
            raise answers.plain(500, "Internal Server Error")
        if not name.startswith("where"):
            continue
        if name == "where":
            wanted[name] = set()
            continue
        match = _WHERE.fullmatch(name)
        if match is None or int(match[2] or 0) > _MAX_INDEX:
            raise answers.plain(500, "Internal Server Error")
        if match[1] == "_id" and not all(OBJECT_ID.fullmatch(value) for value in values):
            raise answers.plain(500, "Internal Server Error")
        wanted.setdefault(match[1], set()).update(values)
    wanted.pop("customer_id", None)
    return wanted


def _value(job: StoredJob, name: str) -> str | None:
    if name == "_id":
        return job.id
    if name == "task_id":
        return job.task.id
    return {"lifecycle": job.lifecycle, "state": job.state}.get(name)
