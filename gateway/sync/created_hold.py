"""The response to a request that has created a job: held for the result, or sent on at once.

From here on the job exists. Whoever is told of a failure may repeat the request, and make another
one; so what can be told at the result's address is told there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.downstream.exchange import Outcome
from gateway.errors import NO_STORE, GatewayError, Response
from gateway.protocols.http.fields import without
from gateway.protocols.http.query import split
from gateway.protocols.theeye.job import Job, job_fields
from gateway.sync.following.leaver import Leaver
from gateway.sync.held_job import HoldTime, JobHold, Unended, Wanted
from gateway.sync.jobs.access import JobAccess, credentials, job_access, secret_access
from gateway.sync.jobs.reader import Refused
from gateway.sync.kept.result_key import holder
from gateway.sync.looks.lessons import task_of
from gateway.sync.responses import accepted
from gateway.sync.results.formats import result_format
from gateway.sync.watch.state import LastSeen
from gateway.upstream.messages.messages import UpstreamResponse

if TYPE_CHECKING:
    from gateway.admission.limits.holds import Place
    from gateway.config import SyncConfig
    from gateway.downstream.exchange import Exchange
    from gateway.errors import Field
    from gateway.protocols.theeye.routes import CreateRoute
    from gateway.sync.following.following import Following
    from gateway.sync.idempotency.first_request import Sending
    from gateway.sync.preferred import Holding
    from gateway.sync.watch.watcher import Watcher


@dataclass(frozen=True, slots=True)
class Created:
    """A job that was just created."""

    reply: UpstreamResponse
    """The upstream's response, which is the job."""
    job: Job
    location: str
    """Where its result is."""
    by_secret: bool
    workflow_id: str = ""
    """The workflow whose job it is; empty for a task's."""


class CreatedHold:
    """Holds creating requests, each for its job."""

    def __init__(
        self, jobs: JobHold, following: Following, watcher: Watcher, config: SyncConfig
    ) -> None:
        self._jobs = jobs
        self._following = following
        self._watcher = watcher
        self._config = config

    def reconfigure(self, config: SyncConfig) -> None:
        self._config = config

    async def respond(
        self, exchange: Exchange, created: Created, holding: Holding, place: Place
    ) -> Response:
        """The result, if it comes within the time; else the job, and where its result will be."""
        leaver = self._leaver(
            exchange, created.job, by_secret=created.by_secret, workflow_id=created.workflow_id
        )
        last_seen = _last_seen(exchange, created.job)
        if holding.seconds <= 0:
            self._following.follow(leaver, last_seen)
            return self._response(exchange, created, holding, place, None)
        with self._following.attend(leaver) as attendance:
            attendance.last_seen = last_seen
            held = await self._held(exchange, created, holding)
            if isinstance(held, (Response, Refused)):
                attendance.last_seen = None
        return self._response(exchange, created, holding, place, held)

    def follow(
        self, exchange: Exchange, job: Job, *, by_secret: bool, workflow_id: str = ""
    ) -> None:
        """Have the result kept of a job that was just created, whether its client waits or not."""
        leaver = self._leaver(exchange, job, by_secret=by_secret, workflow_id=workflow_id)
        self._following.follow(leaver, _last_seen(exchange, job))

    def _response(
        self,
        exchange: Exchange,
        created: Created,
        holding: Holding,
        place: Place,
        held: Response | Refused | Unended | None,
    ) -> Response:
        job = created.job
        match held:
            case Response():
                place.leave()
                where = (b"Content-Location", created.location.encode("ascii"))
                made = held.with_fields(where, *holding.fields(has_result=True))
                return made.with_fields(*job_fields(job.id, exchange.job_state))
            case Refused():
                place.leave()
                return held.response.with_fields(*job_fields(job.id, exchange.job_state))
        if held is not None and held.was_drained:
            exchange.outcome = Outcome.DRAINED
        response = self._unended(exchange, created, holding)
        return response.with_fields(*job_fields(job.id, job.state), NO_STORE)

    async def _held(
        self, exchange: Exchange, created: Created, holding: Holding
    ) -> Response | Refused | Unended | None:
        """None where a failure is to be told at the result's address."""
        try:
            access = self._access(exchange, created)
            access.heard.trace = exchange.trace
            format_ = result_format(exchange.query, self._config.profile)
            wanted = Wanted(access, format_, holder(access, exchange.identity))
            time = HoldTime(holding.seconds, looks_last=not holding.redirects)
            try:
                return await self._jobs.hold(exchange, wanted, time)
            finally:
                exchange.upstream_status = access.heard.status or exchange.upstream_status
                exchange.upstream_seconds += access.heard.seconds
        except GatewayError as failure:
            exchange.reason = failure.code
            return None

    def _leaver(self, exchange: Exchange, job: Job, *, by_secret: bool, workflow_id: str) -> Leaver:
        """As who may read the job, whatever the query says of it."""
        fields, identity = exchange.client.fields, exchange.identity
        if by_secret:
            access = secret_access(job.id, job.secret, fields, identity)
        else:
            token = credentials(exchange.query, fields)
            access = JobAccess(
                job.id, job.customer_name, token, workflow_id=workflow_id, client=identity.key
            )
        output_only = result_format(exchange.query, self._config.profile).is_of_output
        is_readable = by_secret or job.customer_name
        return Leaver(access, holder(access, identity) if is_readable else None, output_only)

    def _access(self, exchange: Exchange, created: Created) -> JobAccess:
        """As the client has it at the result's address."""
        job, fields, identity = created.job, exchange.client.fields, exchange.identity
        if created.by_secret:
            return secret_access(job.id, job.secret, fields, identity)
        _, query = split(created.location)
        default = self._config.default_customer
        workflow = created.workflow_id
        return job_access(job.id, query, fields, identity, default, workflow_id=workflow)

    def _unended(self, exchange: Exchange, created: Created, holding: Holding) -> Response:
        reply, location = created.reply, created.location
        kept = without(reply.fields, b"location", b"cache-control")
        if holding.redirects:
            field: Field = (b"Location", location.encode("ascii"))
            return Response(303, reply.content, (*kept, field))
        return accepted(
            reply.content,
            kept,
            location=location,
            retry_seconds=self._watcher.retry_seconds(task_of(created.job), exchange.held_seconds),
            preferred=holding.fields(has_result=False),
        )


def _last_seen(exchange: Exchange, job: Job) -> LastSeen:
    """Of a job that the exchange has created: it was there at the earliest when that began."""
    return LastSeen(exchange.started, task_of(job))


class Tying(Protocol):
    """Ties jobs that are waited for to the clients that create them."""

    def check(self, exchange: Exchange, route: CreateRoute) -> None:
        """Refuse a request whose job could not be tied as it asks for; raises GatewayError."""
        raise NotImplementedError

    def sending(self, exchange: Exchange, route: CreateRoute, sending: Sending) -> Sending:
        """The request, which ties the job that comes of it."""
        raise NotImplementedError

    async def respond(
        self, exchange: Exchange, created: Created, holding: Holding, place: Place
    ) -> Response:
        """As ``CreatedHold`` responds."""
        raise NotImplementedError
