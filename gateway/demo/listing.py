"""The filter of ``GET /:customer/job``: the part of it that API callers use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.demo import answers
from gateway.demo.arguments import Query
from gateway.demo.jobs import Jobs, StoredJob, WorkflowJob
from gateway.demo.sessions import Session
from gateway.protocols.theeye.job import ID_PATTERN

OBJECT_ID = re.compile(ID_PATTERN)
_WHERE = re.compile(r"where\[(\w+)\](?:\[\$in\]\[(\d*)\])?")
_BOUND = re.compile(r"where\[_id\]\[\$([gl])te\]")
_MAX_INDEX = 20
"""Arrays with a greater explicit index are objects to the query parser, which fails later on."""


class Ranges(StrEnum):
    """What becomes of ``where[_id][$gte]`` and ``[$lte]``."""

    KNOWN = "known"
    """They bound the list, as in all recorded versions."""
    REFUSED = "refused"
    """The answer is 500."""
    IGNORED = "ignored"
    """The list is that of the other conditions."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The jobs of a list, and how many were looked at to find them."""

    jobs: list[StoredJob]
    scanned: int


@dataclass(slots=True)
class _Conditions:
    values: dict[str, set[str]] = field(default_factory=dict)
    """Wanted values by field; all of these fields must have one of theirs."""
    oldest: str = ""
    newest: str = "g"
    """Bounds of the id; at first such as every id keeps to."""
    is_newest_first: bool = False

    def admit(self, job: StoredJob) -> bool:
        return all(_value(job, name) in values for name, values in self.values.items())

    def candidates(self, jobs: Jobs) -> list[StoredJob]:
        """Those that the index of ids leads to, oldest first."""
        ids, runs = self.values.get("_id"), self.values.get("workflow_job_id")
        found: Iterable[StoredJob] = jobs
        if ids is not None:
            found = (job for job_id in sorted(ids) if (job := jobs.get(job_id)) is not None)
        elif runs is not None:
            found = sorted(
                (job for run_id in runs for job in jobs.family(run_id)), key=lambda job: job.id
            )
        return [job for job in found if self.oldest <= job.id <= self.newest]


def listed(jobs: Jobs, session: Session, query: Query, ranges: Ranges = Ranges.KNOWN) -> Listed:
    """The session's organization's jobs that the query asks for and it may see; missing ones are
    absent."""
    wanted = _conditions(query, ranges)
    limit = int(text) if (text := query.get("limit", [""])[0]).isdecimal() else None
    candidates = wanted.candidates(jobs)
    found = [
        job
        for job in candidates
        if job.organization == session.organization
        and session.may_use(job.access_list)
        and wanted.admit(job)
    ]
    if wanted.is_newest_first:
        found.reverse()
    return Listed(found[:limit], len(candidates))


def _conditions(query: Query, ranges: Ranges) -> _Conditions:
    wanted = _Conditions()
    for name, values in query.items():
        if name.startswith("include[") and "1" in values:
            raise answers.plain(500, "Internal Server Error")
        if name == "sort[_id]":
            wanted.is_newest_first = "-1" in values
        if not name.startswith("where"):
            continue
        if name == "where":
            wanted.values[name] = set()
        elif (bound := _BOUND.fullmatch(name)) is not None:
            _bound(wanted, bound[1], values, ranges)
        else:
            _add(wanted, name, values)
    wanted.values.pop("customer_id", None)
    return wanted


def _bound(wanted: _Conditions, side: str, values: list[str], ranges: Ranges) -> None:
    if ranges is Ranges.REFUSED or not _are_ids(values):
        raise answers.plain(500, "Internal Server Error")
    if ranges is Ranges.IGNORED:
        return
    if side == "g":
        wanted.oldest = values[-1].lower()
    else:
        wanted.newest = values[-1].lower()


def _add(wanted: _Conditions, name: str, values: list[str]) -> None:
    match = _WHERE.fullmatch(name)
    if match is None or int(match[2] or 0) > _MAX_INDEX:
        raise answers.plain(500, "Internal Server Error")
    if match[1] == "_id" and not _are_ids(values):
        raise answers.plain(500, "Internal Server Error")
    wanted.values.setdefault(match[1], set()).update(values)


def _are_ids(values: Iterable[str]) -> bool:
    return all(OBJECT_ID.fullmatch(value) for value in values)


def _value(job: StoredJob, name: str) -> str | None:
    values = {
        "_id": job.id,
        "_type": job.type_name,
        "lifecycle": job.lifecycle or None,
        "state": job.state,
    }
    if isinstance(job, WorkflowJob):
        values["workflow_id"] = job.workflow.id
    else:
        values["task_id"] = job.task.id
        if job.run is not None:
            values["workflow_id"], values["workflow_job_id"] = job.run.workflow.id, job.run.id
    return values.get(name)
