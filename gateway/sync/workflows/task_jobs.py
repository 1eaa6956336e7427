"""The task jobs of workflows, and the workflows' own jobs, as lists have them. Pure.

    GET /:customer/job?where[_id][$in][]=W1&…                the workflows' own jobs
    GET /:customer/job?where[workflow_job_id][$in][]=W1&…    their task jobs, a kilobyte each
    GET /workflows/:workflow/job/:job/jobs                   those of one, in full

Lists have what tells how a job ended, and nothing of what it gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.protocols.theeye.ecma_json import without_lone_surrogates
from gateway.protocols.theeye.job_state import FINISHED
from gateway.sync.jobs.listing import fitting, list_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sync.jobs.access import JobAccess

_OWN = "where%5B_id%5D%5B%24in%5D%5B%5D="
_OF_WORKFLOWS = "where%5Bworkflow_job_id%5D%5B%24in%5D%5B%5D="
_BYTES_PER_WORKFLOW = len(_OF_WORKFLOWS) + 24 + 1


class ListedJob(msgspec.Struct):
    """A job of a list: a workflow's own, or one of its tasks'. Ids are as they came."""

    id: str = ""
    lifecycle: str | None = None
    state: object = None
    """A script's own word, in TheEye 4.4.3."""
    trigger_name: str | None = None
    task_id: str | None = None
    workflow_job_id: str | None = None
    last_update: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.lifecycle in FINISHED


_decoder = msgspec.json.Decoder(list[ListedJob])


def capacity(access: JobAccess) -> int:
    """The number of workflows of which one request with these credentials can list the jobs."""
    return fitting(access, _BYTES_PER_WORKFLOW)


def own_jobs_target(accesses: Sequence[JobAccess]) -> str:
    """The target of a list; all accesses have the same credentials and organization."""
    return list_path(accesses[0]) + "&".join(_OWN + access.job_id for access in accesses)


def task_jobs_target(accesses: Sequence[JobAccess]) -> str:
    """The target of the list of their task jobs."""
    ids = "&".join(_OF_WORKFLOWS + access.job_id for access in accesses)
    return list_path(accesses[0]) + ids


def parse_jobs(content: bytes) -> list[ListedJob] | None:
    """The jobs of a list; None where it is none."""
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def parse_full_jobs(content: bytes) -> list[ListedJob] | None:
    """The same of a list in full, whose outputs may have lone surrogates, with which msgspec takes
    nothing. May take seconds."""
    jobs = parse_jobs(content)
    return jobs if jobs is not None else parse_jobs(without_lone_surrogates(content))
