"""A finished job as it is stored outside of this process: its bytes, from which it is read again.

Pure. What comes from outside may be anything, also after it was opened with a key of ours: a
release of the gateway may have written it that has another form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.protocols.theeye.job import parse_job, with_output
from gateway.protocols.theeye.workflow_job import of_workflow, workflow_job

if TYPE_CHECKING:
    from gateway.protocols.theeye.job import Job
    from gateway.sync.kept.result_key import ResultKey


class _Record(msgspec.Struct, array_like=True):
    raw: bytes
    output: bytes | None = None
    """The output by itself, of a job that was too large to be read as a whole."""
    result_of: str = ""
    """The task job whose result a workflow's job has; ``raw`` is that one where it is not whole."""
    is_presumed: bool = False


_decoder = msgspec.msgpack.Decoder(_Record)


def encoded(job: Job) -> bytes:
    """The record of a job."""
    output = None if job.is_whole else job.output
    return msgspec.msgpack.encode(_Record(job.raw, output, job.result_of, job.is_presumed))


def decoded(content: bytes, key: ResultKey) -> Job | None:
    """The finished job in a record; None where it has none, or another than the key's."""
    try:
        record = _decoder.decode(content)
    except msgspec.DecodeError:
        return None
    job = _workflow(record, key) if record.result_of else _task_job(record)
    return job if job is not None and job.is_finished and job.id.lower() == key.job_id else None


def _task_job(record: _Record) -> Job | None:
    job = parse_job(record.raw)
    if job is None or record.output is None:
        return job
    return with_output(job, record.output)


def _workflow(record: _Record, key: ResultKey) -> Job | None:
    if record.output is None:
        return workflow_job(record.raw, record.result_of, is_presumed=record.is_presumed)
    part = _task_job(record)
    if part is None:
        return None
    return of_workflow(part, key.job_id, is_presumed=record.is_presumed)
