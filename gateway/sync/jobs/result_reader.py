"""Reads a job for a client: whole, or in parts where it is larger than may be held.

TheEye keeps an output four times in a job, so that one of 600 kB makes a job of 2.7 MB (recording
large). Lists tell how a job ended, and ``GET /job/:id/output`` has its output alone (recording
job_output_routes), which is all that two formats take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from gateway.errors import ResponseTooLarge
from gateway.protocols.theeye.cors import carried_fields
from gateway.protocols.theeye.job import parse_job, with_output
from gateway.sync.jobs.reader import Failing, Found, JobReader, understood

if TYPE_CHECKING:
    from gateway.protocols.theeye.job import Job
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.client_reads import ClientReads
    from gateway.sync.jobs.reader import Read
    from gateway.upstream.messages.messages import UpstreamResponse

_OF_THE_CLIENT = frozenset({401, 409})
"""Statuses of a list that say as much of a read; others only that this token gets no lists."""
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class ResultReader:
    """``orchestrator`` reads whole jobs, ``reads`` what else tells of them."""

    def __init__(self, orchestrator: JobReader, reads: ClientReads) -> None:
        self._orchestrator = orchestrator
        self._reads = reads

    async def read(self, access: JobAccess, output_only: bool) -> Read:
        """The job as it stands; where it is too large, without all but its output.

        ``output_only``: nothing else of it is wanted once it has ended.

        Raises:
            ResponseTooLarge: what is wanted is larger than may be held.
            MemoryFull: there is no room for it now.
        """
        try:
            return await self._orchestrator.read(access)
        except ResponseTooLarge as failure:
            too_large = failure
        if access.secret:
            raise too_large
        return await self._in_parts(access, output_only, too_large)

    async def _in_parts(
        self, access: JobAccess, output_only: bool, too_large: ResponseTooLarge
    ) -> Read:
        listed = await self._reads.get(access, _list_of_one(access))
        if listed is None:
            return Failing()
        if listed.status in _OF_THE_CLIENT:
            return understood(listed, access)
        job = _listed(listed, access)
        if job is None:
            raise too_large
        fields = carried_fields(access.origin, listed.fields)
        if not job.is_finished:
            return Found(job, fields)
        if not output_only:
            raise too_large
        output = await self._reads.get(access, access.with_token(f"/job/{access.job_id}/output"))
        if output is None:
            return Failing()
        if output.status != 200:
            return understood(output, access)
        completed = with_output(job, output.content)
        return Failing() if completed is None else Found(completed, fields)


def _list_of_one(access: JobAccess) -> str:
    path = f"/{quote(access.customer, safe='')}/job"
    return access.with_token(path, f"where%5B_id%5D%5B%24in%5D%5B%5D={access.job_id}")


def _listed(reply: UpstreamResponse, access: JobAccess) -> Job | None:
    """The job as the list has it; None where the list lacks it, or cannot be read."""
    if reply.status != 200:
        return None
    try:
        listed = _list_decoder.decode(reply.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for content in listed:
        job = parse_job(bytes(content))
        is_it = job is not None and job.id.lower() == access.job_id.lower()
        if job is not None and is_it and job.customer_name == access.customer:
            return job
    return None
