"""A finished job as it is stored outside of this process: its bytes, from which it is read again.

Pure. What comes from outside may be anything, also after it was opened with a key of ours: a
release of the gateway may have written it that has another form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.protocols.theeye.job import parse_job, with_output

if TYPE_CHECKING:
    from gateway.protocols.theeye.job import Job
    from gateway.sync.kept.result_key import ResultKey


class _Record(msgspec.Struct, array_like=True):
    raw: bytes
    output: bytes | None = None
    """The output by itself, of a job that was too large to be read as a whole."""


_decoder = msgspec.msgpack.Decoder(_Record)


def encoded(job: Job) -> bytes:
    """The record of a job."""
    return msgspec.msgpack.encode(_Record(job.raw, None if job.is_whole else job.output))


def decoded(content: bytes, key: ResultKey) -> Job | None:
    """The finished job in a record; None where it has none, or another than the key's."""
    try:
        record = _decoder.decode(content)
    except msgspec.DecodeError:
        return None
    job = parse_job(record.raw)
    if job is not None and record.output is not None:
        job = with_output(job, record.output)
    return job if job is not None and job.is_finished and job.id.lower() == key.job_id else None
