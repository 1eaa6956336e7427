"""Reading a job upstream with the client's own credentials, and what the answer means."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from gateway.admission.identity.claims import is_customer_name
from gateway.errors import (
    BadRequest,
    GatewayError,
    MemoryFull,
    Overloaded,
    Response,
    ResponseTooLarge,
)
from gateway.protocols.http.fields import value as field_value
from gateway.protocols.theeye.cors import carried_fields
from gateway.protocols.theeye.ecma_json import has_surrogates
from gateway.protocols.theeye.job import NOT_FOUND, Job, parse_job
from gateway.sync.jobs.access import Credentials, credentials
from gateway.sync.jobs.listing import Listing, Unlisted, list_target, max_response_bytes
from gateway.sync.jobs.listing import understood as list_understood
from gateway.sync.jobs.outcome import Look
from gateway.sync.jobs.refusal import is_gone, is_refusal
from gateway.upstream.messages.messages import Heard, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.admission.identity.identities import Identity
    from gateway.admission.limits.buffers import Buffers
    from gateway.errors import Field
    from gateway.protocols.http.query import Query
    from gateway.sync.results.parsing import ParsingThread
    from gateway.upstream.messages.messages import Reply

NO_CUSTOMER = "-"
"""Asked for where no organization is known: the upstream then checks the token and answers 401,
or 404 "organization not found"."""
AT_ONCE_BYTES = 256 * 1024
"""A larger job with surrogates is read in a thread. Others are read at once, in 2 ms for each MiB;
no other thread could go on meanwhile."""
_ACCEPT: Field = (b"Accept", b"application/json")
_NOT_YET = frozenset({303, 408})
_SECRET_READ_SECONDS = 1.0
"""By secret the upstream has no other route than its own hold, which answers at once only where
the job has ended, and else after ten seconds."""
_OTHER_ORGANIZATION = 409


class Upstream(Protocol):
    """What the sync mode needs of the way upstream."""

    async def ask(
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
    ) -> Reply:
        """Send a request and read the whole answer, making room for it; raises GatewayError."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Reading:
    """One client's way to read one job: by its token, or by the job's own secret."""

    job_id: str
    customer: str
    credentials: Credentials
    origin: bytes | None = None
    """The client's, so that the upstream's Access-Control fields fit it."""
    secret: str = field(default="", repr=False)
    """As it stands in the path; empty without one."""
    client: bytes = field(default=b"", repr=False)
    """In whose share of memory the job is read."""
    heard: Heard = field(default_factory=Heard, repr=False, compare=False)
    """What the upstream said to reads for the client."""

    @property
    def group(self) -> bytes:
        """A hash, equal for readings that differ in nothing but the job: they can be asked for in
        one request."""
        asker = (self.customer, self.credentials.query, self.credentials.fields, self.secret)
        return blake2b(repr(asker).encode(), digest_size=16).digest()

    @property
    def path(self) -> str:
        """Where the client finds the result."""
        return result_path(self.job_id, self.secret)

    @property
    def target(self) -> str:
        """What to ask upstream."""
        if self.secret:
            return f"{self.path}?full&counter=0&limit=1"
        target = f"/{quote(self.customer, safe='')}/job/{self.job_id}"
        return f"{target}?{self.credentials.query}" if self.credentials.query else target


@dataclass(frozen=True, slots=True)
class Seen:
    """The job, and what is carried on of the fields that came with it."""

    job: Job
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The client may not see the job, or there is none: what to answer."""

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


Read = Seen | Refused | Unfinished | Failing


def result_path(job_id: str, secret: str = "") -> str:
    return f"/job/{job_id}/secret/{secret}/result" if secret else f"/job/{job_id}/result"


def reading(
    job_id: str, query: Query, fields: Sequence[Field], identity: Identity, default_customer: str
) -> Reading:
    """How this client reads the job: the organization is the query's, else the token's, else
    the default.

    Raises:
        BadRequest: ``customer`` is no name of an organization.
    """
    given = query.values("customer")
    if len(given) > 1 or not all(map(is_customer_name, given)):
        raise BadRequest("customer must be the name of one organization")
    customer = next(iter(given), "") or identity.customer or default_customer or NO_CUSTOMER
    origin = field_value(fields, b"origin")
    asker = credentials(query, fields)
    return Reading(job_id, customer, asker, origin, client=identity.key)


def secret_reading(
    job_id: str, secret: str, fields: Sequence[Field], identity: Identity
) -> Reading:
    """The same for a client that has no token but the job's secret."""
    origin = field_value(fields, b"origin")
    return Reading(job_id, "", Credentials("", ()), origin, secret, identity.key)


def passed(reply: Reply) -> Response:
    """The upstream's answer as it came."""
    return Response(reply.status, reply.content, tuple(reply.fields), reply.reason)


class Orchestrator:
    """Reads jobs; raises ResponseTooLarge where one has more than ``max_bytes``, MemoryFull where
    ``buffers`` have no room for it, and Overloaded where too much is waiting for ``thread``."""

    def __init__(
        self, upstream: Upstream, buffers: Buffers, thread: ParsingThread, max_bytes: int
    ) -> None:
        self._upstream = upstream
        self._buffers = buffers
        self._thread = thread
        self._max_bytes = max_bytes

    async def read(self, reading: Reading) -> Read:
        """The job as it stands, at once."""
        return await self._at_once(reading, Purpose.READ)

    async def look(self, reading: Reading) -> Look:
        """What the watcher needs to know: nothing but that something changed."""
        try:
            read = await self._at_once(reading, Purpose.POLL)
        except ResponseTooLarge:
            return Look.CHANGED
        except Overloaded:
            return Look.FAILING
        match read:
            case Seen(job=job):
                return Look.CHANGED if job.is_finished else Look.RUNNING
            case Refused(response=response):
                return Look.CHANGED if response.status == NOT_FOUND.status else Look.REFUSED
            case Unfinished():
                return Look.RUNNING
            case Failing():
                return Look.FAILING

    async def look_at_all(self, readings: Sequence[Reading], *, only_ended: bool) -> Listing:
        """The same for jobs of one organization, with the same credentials, in one request.

        ``only_ended``: what it lists are only those that have ended.
        """
        with self._buffers.of(readings[0].client) as held:
            try:
                reply = await self._upstream.ask(
                    "GET",
                    list_target(readings, only_ended=only_ended),
                    [_ACCEPT, *readings[0].credentials.fields],
                    purpose=Purpose.POLL,
                    max_bytes=max_response_bytes(len(readings)),
                    make_room=held.grow,
                )
            except ResponseTooLarge:
                return Unlisted.TOO_MUCH
            except GatewayError:
                return Unlisted.FAILING
            return list_understood(reply.status, reply.content)

    async def _at_once(self, reading: Reading, purpose: Purpose) -> Read:
        if not reading.secret:
            return await self._ask(reading, purpose)
        try:
            async with asyncio.timeout(_SECRET_READ_SECONDS):
                return await self._ask(reading, purpose)
        except TimeoutError:
            return Unfinished()

    async def _ask(self, reading: Reading, purpose: Purpose) -> Read:
        with self._buffers.of(reading.client) as held:
            try:
                reply = await self._upstream.ask(
                    "GET",
                    reading.target,
                    request_fields(reading),
                    purpose=purpose,
                    max_bytes=self._max_bytes,
                    make_room=held.grow,
                    heard=reading.heard if purpose is Purpose.READ else None,
                )
            except (ResponseTooLarge, MemoryFull):
                raise
            except GatewayError:
                return Failing()
            if len(reply.content) < AT_ONCE_BYTES or not has_surrogates(reply.content):
                return understood(reply, reading)
            return await self._thread.run(reading.client, understood, reply, reading)


def request_fields(reading: Reading) -> list[Field]:
    """What the upstream is told with a read."""
    fields = [_ACCEPT, *reading.credentials.fields]
    if reading.origin is not None:
        fields.append((b"Origin", reading.origin))
    return fields


def understood(reply: Reply, reading: Reading) -> Read:
    """What the upstream's answer to a read means.

    It gives any organization's job to any token, so the job must name the organization asked for.
    """
    fields = carried_fields(reading.origin, reply.fields)
    job = parse_job(reply.content) if reply.status in {200, 500} else None
    if job is not None and job.id.lower() == reading.job_id.lower():
        # By secret the status is that of the result, and the secret is proof enough.
        if reading.secret or (reply.status == 200 and job.customer_name == reading.customer):
            return Seen(job, fields)
        return _other_organizations(fields) if reply.status == 200 else Failing()
    if reading.secret and reply.status in _NOT_YET:
        return Unfinished()
    if not is_refusal(reply.status, reply.content):
        return Failing()
    if reply.status == _OTHER_ORGANIZATION:
        return _other_organizations(fields)
    return Refused(passed(reply), is_gone(reply.status, reply.content))


def _other_organizations(fields: tuple[Field, ...]) -> Refused:
    return Refused(NOT_FOUND.with_fields(*fields), is_ours=True)
