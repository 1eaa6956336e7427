"""A workflow's own job, joined with its task jobs, as a job with a result."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from gateway.protocols.theeye.ecma_json import without_lone_surrogates
from gateway.protocols.theeye.job import Job, parse_job
from gateway.protocols.theeye.job_state import FINISHED

_CUT_SHORT = frozenset({"terminated", "canceled", "expired"})
"""Lifecycles of a workflow that somebody, or a time limit, ended."""
_ENDED = "finished"


class _Jobs(msgspec.Struct):
    jobs: list[msgspec.Raw]


_decoder = msgspec.json.Decoder(_Jobs)


def joined(own: bytes, jobs: bytes) -> bytes | None:
    """The workflow's own job with its task jobs as the member ``jobs``; None where they are no
    object and no array."""
    own, jobs = own.strip(), jobs.strip()
    if own[:1] + own[-1:] != b"{}" or jobs[:1] + jobs[-1:] != b"[]" or not own[1:-1].strip():
        return None
    return own[:-1] + b',"jobs":' + jobs + b"}"


def workflow_job(content: bytes, result_of: str, is_presumed: bool = False) -> Job | None:
    """A workflow that has ended, from its joined content; None where that holds none.

    ``result_of`` is the task job whose result is the workflow's: output, result and state are of
    that one, unless the workflow was cut short. Empty: no task job has ended.
    """
    own = parse_job(content)
    if own is None:
        return None
    lifecycle = own.lifecycle if own.lifecycle in FINISHED else _ENDED
    ended = replace(own, lifecycle=lifecycle, task_id="", is_presumed=is_presumed)
    if not result_of:
        return ended
    part = _part(content, result_of)
    if part is None:
        return None
    state = own.state if own.lifecycle in _CUT_SHORT and own.state else part.state
    return replace(
        ended,
        state=state,
        output_json=part.output_json,
        result_json=part.result_json,
        held_bytes=own.held_bytes + part.held_bytes,
        result_of=result_of,
    )


def of_workflow(part: Job, job_id: str, *, is_presumed: bool) -> Job:
    """A workflow that has ended, of which nothing was read but a task job, for its output."""
    return replace(
        part,
        id=job_id,
        task_id="",
        is_whole=False,
        result_of=part.id,
        is_presumed=is_presumed,
    )


def _part(content: bytes, job_id: str) -> Job | None:
    for made_readable in (bytes, without_lone_surrogates):
        try:
            jobs = _decoder.decode(made_readable(content)).jobs
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        parsed = (parse_job(bytes(raw)) for raw in jobs)
        of_id = (job for job in parsed if job is not None and job.id.lower() == job_id.lower())
        return next(of_id, None)
    return None
