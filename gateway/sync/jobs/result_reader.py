"""Reading a job for a client: whole, or what can be had of one that is larger than may be held.

TheEye keeps an output four times in a job, so that one of 4 MB makes a job of 16 MB. Lists tell how
a job ended, and ``GET /job/:id/output`` has its output alone, which is all that two formats take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from gateway.errors import GatewayError, MemoryFull, ResponseTooLarge
from gateway.protocols.theeye.cors import carried_fields
from gateway.protocols.theeye.job import parse_job, with_output
from gateway.sync.jobs.reader import Failing, Orchestrator, Seen, request_fields, understood
from gateway.upstream.messages.messages import Purpose

if TYPE_CHECKING:
    from gateway.admission.limits.buffers import Buffers
    from gateway.protocols.theeye.job import Job
    from gateway.sync.jobs.reader import Read, Reading, Upstream
    from gateway.upstream.messages.messages import Reply

_OF_THE_CLIENT = frozenset({401, 409})
"""Statuses of a list that say as much of a read; others only that this token gets no lists."""
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class Reader:
    """``max_bytes`` bounds each of the upstream's answers, for which ``buffers`` have room."""

    def __init__(
        self, orchestrator: Orchestrator, upstream: Upstream, buffers: Buffers, max_bytes: int
    ) -> None:
        self._orchestrator = orchestrator
        self._upstream = upstream
        self._buffers = buffers
        self._max_bytes = max_bytes

    async def read(self, reading: Reading, output_only: bool) -> Read:
        """The job as it stands; where it is too large, without all but its output.

        ``output_only``: nothing else of it is wanted once it has ended.

        Raises:
            ResponseTooLarge: what is wanted is larger than may be held.
            MemoryFull: there is no room for it now.
        """
        try:
            return await self._orchestrator.read(reading)
        except ResponseTooLarge as failure:
            too_large = failure
        if reading.secret:
            raise too_large
        return await self._in_parts(reading, output_only, too_large)

    async def _in_parts(
        self, reading: Reading, output_only: bool, too_large: ResponseTooLarge
    ) -> Read:
        listed = await self._ask(reading, _list_of_one(reading))
        if listed is None:
            return Failing()
        if listed.status in _OF_THE_CLIENT:
            return understood(listed, reading)
        job = _listed(listed, reading)
        if job is None:
            raise too_large
        fields = carried_fields(reading.origin, listed.fields)
        if not job.is_finished:
            return Seen(job, fields)
        if not output_only:
            raise too_large
        output = await self._ask(reading, _with_token(reading, f"/job/{reading.job_id}/output"))
        if output is None:
            return Failing()
        if output.status != 200:
            return understood(output, reading)
        completed = with_output(job, output.content)
        return Failing() if completed is None else Seen(completed, fields)

    async def _ask(self, reading: Reading, target: str) -> Reply | None:
        with self._buffers.of(reading.client) as held:
            try:
                return await self._upstream.ask(
                    "GET",
                    target,
                    request_fields(reading),
                    purpose=Purpose.READ,
                    max_bytes=self._max_bytes,
                    make_room=held.grow,
                    heard=reading.heard,
                )
            except (ResponseTooLarge, MemoryFull):
                raise
            except GatewayError:
                return None


def _list_of_one(reading: Reading) -> str:
    path = f"/{quote(reading.customer, safe='')}/job"
    return _with_token(reading, path, f"where%5B_id%5D%5B%24in%5D%5B%5D={reading.job_id}")


def _with_token(reading: Reading, path: str, query: str = "") -> str:
    """A target with the client's token where that came in a query."""
    parts = [part for part in (reading.credentials.query, query) if part]
    return f"{path}?{'&'.join(parts)}" if parts else path


def _listed(reply: Reply, reading: Reading) -> Job | None:
    """The job as the list has it; None where it has none, or is no list."""
    if reply.status != 200:
        return None
    try:
        listed = _list_decoder.decode(reply.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for content in listed:
        job = parse_job(bytes(content))
        is_it = job is not None and job.id.lower() == reading.job_id.lower()
        if job is not None and is_it and job.customer_name == reading.customer:
            return job
    return None
