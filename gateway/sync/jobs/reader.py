"""Reads a job upstream with the client's own credentials, and tells what the response means."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.errors import (
    JSON_CONTENT,
    Field,
    GatewayError,
    MemoryFull,
    Overloaded,
    Response,
    ResponseTooLarge,
)
from gateway.protocols.theeye.cors import carried_fields
from gateway.protocols.theeye.ecma_json import has_surrogates
from gateway.protocols.theeye.job import NOT_FOUND, Job, parse_job
from gateway.sync.jobs.listing import Listing, Unlisted, list_target, max_response_bytes
from gateway.sync.jobs.listing import understood as list_understood
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.jobs.ranges import (
    MAX_RANGE_BYTES,
    Ended,
    Unranged,
    range_target,
    range_understood,
)
from gateway.sync.jobs.refusal import is_gone, is_refusal
from gateway.upstream.messages.messages import Heard, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.admission.limits.buffers import Buffers
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.ranges import IdRange
    from gateway.sync.results.parsing import ParsingThread
    from gateway.tracing.waits import TracedWaits
    from gateway.upstream.messages.messages import UpstreamResponse

AT_ONCE_BYTES = 256 * 1024
"""A larger job with surrogates is read in a thread. Others are read at once, in 2 ms for each MiB;
no other thread could go on meanwhile."""
_NOT_YET = frozenset({303, 408})
_SECRET_READ_SECONDS = 1.0
"""Time limit of a read by secret: TheEye has no other route for it than its own hold, which
responds at once only where the job has ended, else after ten seconds (recordings secret_result,
wait_timeout_408)."""
_OTHER_ORGANIZATION = 409


class Requester(Protocol):
    """Sends requests of the gateway's own upstream."""

    async def request(
        self,
        method: str,
        target: str,
        fields: Sequence[Field],
        content: bytes = b"",
        *,
        purpose: Purpose,
        max_bytes: int,
        make_room: Callable[[int], None] | None = None,
        heard: Heard | None = None,
    ) -> UpstreamResponse:
        """Send a request and read the whole response, making room for it; raises GatewayError."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Pending:
    """What a workflow that has not ended waits for."""

    job_id: str = ""
    """A task's job that has not ended; empty where the next one is still to come."""
    task_id: str = ""
    """The task of that job."""


@dataclass(frozen=True, slots=True)
class Found:
    """The job, and what is carried on of the fields that came with it."""

    job: Job
    fields: tuple[Field, ...]
    pending: Pending | None = None
    """None but for a workflow that has not ended."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A job that the client may not see, or that does not exist, with the response that says so."""

    response: Response
    is_gone: bool = False
    """The upstream lets the client in, and has no such job."""
    is_ours: bool = False
    """The upstream would give the job, to a client of another organization."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The job has not ended, and the upstream tells no more of it."""


@dataclass(frozen=True, slots=True)
class Failing:
    """The upstream did not say; it may later."""


Read = Found | Refused | Unfinished | Failing


def passed(reply: UpstreamResponse) -> Response:
    """The upstream's response as it came."""
    return Response(reply.status, reply.content, tuple(reply.fields), reply.reason)


class JobReader:
    """Reads jobs; raises ResponseTooLarge where one has more than ``max_bytes``, MemoryFull where
    ``buffers`` have no room for it, and Overloaded where too much is waiting for ``thread``.
    ``waits``: the traced ones, None where nothing is traced."""

    def __init__(
        self,
        upstream: Requester,
        buffers: Buffers,
        thread: ParsingThread,
        max_bytes: int,
        waits: TracedWaits | None = None,
    ) -> None:
        self._upstream = upstream
        self._buffers = buffers
        self._parsing = thread
        self._max_bytes = max_bytes
        self._waits = waits

    def reconfigure(self, max_bytes: int) -> None:
        """Have another bound, for reads to come."""
        self._max_bytes = max_bytes

    async def read(self, access: JobAccess) -> Read:
        """The job as it stands, at once."""
        return await self._at_once(access, Purpose.READ)

    async def poll(self, access: JobAccess) -> PollOutcome:
        """Tell whether something changed, and nothing else."""
        try:
            read = await self._at_once(access, Purpose.POLL)
        except ResponseTooLarge:
            return PollOutcome.CHANGED
        except Overloaded:
            return PollOutcome.FAILING
        match read:
            case Found(job=job):
                return PollOutcome.CHANGED if job.is_finished else PollOutcome.RUNNING
            case Refused(response=response):
                return (
                    PollOutcome.CHANGED
                    if response.status == NOT_FOUND.status
                    else PollOutcome.REFUSED
                )
            case Unfinished():
                return PollOutcome.RUNNING
            case Failing():
                return PollOutcome.FAILING

    async def poll_many(self, accesses: Sequence[JobAccess], *, only_ended: bool) -> Listing:
        """Poll jobs of one organization, with the same credentials, in one request.

        ``only_ended``: the list has only those that have ended.
        """
        with self._buffers.of(accesses[0].client) as held:
            try:
                reply = await self._upstream.request(
                    "GET",
                    list_target(accesses, only_ended=only_ended),
                    accesses[0].poll_fields,
                    purpose=Purpose.POLL,
                    max_bytes=max_response_bytes(len(accesses)),
                    make_room=held.grow,
                    heard=polling(self._waits, accesses),
                )
            except ResponseTooLarge:
                return Unlisted.TOO_MUCH
            except GatewayError:
                return Unlisted.FAILING
            return list_understood(reply.status, reply.content)

    async def poll_range(self, access: JobAccess, ids: IdRange) -> Ended:
        """Poll the jobs of a range in one request; of ``access`` its job does not count."""
        with self._buffers.of(access.client) as held:
            try:
                reply = await self._upstream.request(
                    "GET",
                    range_target(access, ids),
                    access.poll_fields,
                    purpose=Purpose.POLL,
                    max_bytes=MAX_RANGE_BYTES,
                    make_room=held.grow,
                    heard=self._polling_within(ids),
                )
            except ResponseTooLarge:
                return Unranged.TOO_MUCH
            except GatewayError:
                return Unranged.FAILING
            return range_understood(reply.status, reply.content, ids)

    def _polling_within(self, ids: IdRange) -> Heard | None:
        waits = self._waits
        return None if waits is None else Heard(waits.look_within(ids.oldest, ids.newest))

    async def _at_once(self, access: JobAccess, purpose: Purpose) -> Read:
        if not access.secret:
            return await self._ask(access, purpose)
        try:
            async with asyncio.timeout(_SECRET_READ_SECONDS):
                return await self._ask(access, purpose)
        except TimeoutError:
            return Unfinished()

    async def _ask(self, access: JobAccess, purpose: Purpose) -> Read:
        with self._buffers.of(access.client) as held:
            try:
                reply = await self._upstream.request(
                    "GET",
                    access.target,
                    access.request_fields,
                    purpose=purpose,
                    max_bytes=self._max_bytes,
                    make_room=held.grow,
                    heard=(
                        access.heard if purpose is Purpose.READ else polling(self._waits, [access])
                    ),
                )
            except (ResponseTooLarge, MemoryFull):
                raise
            except GatewayError:
                return Failing()
            if len(reply.content) < AT_ONCE_BYTES or not has_surrogates(reply.content):
                return understood(reply, access)
            return await self._parsing.run(access.client, understood, reply, access)


def polling(waits: TracedWaits | None, accesses: Sequence[JobAccess]) -> Heard | None:
    """What a poll of these jobs tells of itself, to the traces of those who wait."""
    if waits is None:
        return None
    return Heard(waits.look(access.job_id.lower() for access in accesses))


def understood(reply: UpstreamResponse, access: JobAccess) -> Read:
    """The meaning of the upstream's response to a read.

    TheEye gives any organization's job to any token (recording job_cross_organization), so the job
    must name the organization that was asked for.
    """
    fields = carried_fields(access.origin, reply.fields)
    job = parse_job(reply.content) if reply.status in {200, 500} else None
    if job is not None and job.id.lower() == access.job_id.lower():
        # By secret the status is that of the result, and the secret is proof enough.
        if access.secret or (reply.status == 200 and job.customer_name == access.customer):
            return Found(job, fields)
        return _other_organizations(reply, fields) if reply.status == 200 else Failing()
    if access.secret and reply.status in _NOT_YET:
        return Unfinished()
    if not is_refusal(reply.status, reply.content):
        return Failing()
    if reply.status == _OTHER_ORGANIZATION:
        return _other_organizations(reply, fields)
    return Refused(passed(reply), is_gone(reply.status, reply.content))


def _other_organizations(reply: UpstreamResponse, fields: tuple[Field, ...]) -> Refused:
    """What the upstream says of a job that is not there, field by field (recording
    job_read_errors): nobody may learn from it that the job is another organization's."""
    framed = (
        JSON_CONTENT,
        (b"Content-Length", b"%d" % len(NOT_FOUND.content)),
        *(field for field in reply.fields if field[0].lower() == b"date"),
    )
    return Refused(Response(404, NOT_FOUND.content, (*fields, *framed)), is_ours=True)
