"""A request to delete a result that is still to come: its job is cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.admission.identity.rejection import rejection
from gateway.downstream.exchange import Kind
from gateway.errors import INVALID_JOB_ID, JSON_CONTENT, OTHER_ORGANIZATION, GatewayError, JobEnded
from gateway.protocols.http.fields import value
from gateway.protocols.theeye.cors import cross_origin_fields
from gateway.protocols.theeye.job import INVALID_ID, is_job_id, job_fields
from gateway.sync.cancellation.canceller import (
    Cancelled,
    CancelReason,
    HasEnded,
    Unread,
    Withdrawn,
)
from gateway.sync.jobs.access import job_access
from gateway.sync.jobs.reader import Refused
from gateway.sync.kept.result_key import holder
from gateway.sync.responses import KnownJob, accepted, made_here, shortened
from gateway.sync.wait_parameters import hold_parameters, next_location, with_rid

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.identity.identities import Identity
    from gateway.config import SyncConfig
    from gateway.downstream.exchange import Exchange
    from gateway.errors import Response
    from gateway.protocols.theeye.routes import CancelRoute
    from gateway.sync.cancellation.canceller import Canceller, Ending
    from gateway.sync.cancellation.job_cancel import JobCancels
    from gateway.sync.jobs.access import JobAccess

RETRY_SECONDS: Final = 1
"""When a client should ask for the result of a job that was cancelled a moment ago."""


class ResultDeletion:
    """``answered`` is told the response with which the upstream answers a client."""

    def __init__(
        self,
        canceller: Canceller,
        cancels: JobCancels,
        answered: Callable[[Identity, int, Response | None], None],
        config: SyncConfig,
    ) -> None:
        self._canceller = canceller
        self._cancels = cancels
        self._answered = answered
        self._config = config

    def reconfigure(self, config: SyncConfig) -> None:
        self._config = config

    async def respond(self, exchange: Exchange, route: CancelRoute) -> Response:
        """Cancel the job, if it has not ended: 202 then, with the job as it stood, and where its
        result is. What the upstream refuses passes as it is.

        Raises:
            BadRequest: a parameter of the query, or the organization, is wrong.
            JobEnded: nothing was cancelled.
            BadGateway, GatewayTimeout, Overloaded: the upstream did not say.
            ResponseTooLarge, MemoryFull: the job cannot be read; it is untouched.
        """
        exchange.kind = Kind.CANCEL
        client = exchange.client
        if not is_job_id(route.job_id):
            exchange.refuse(INVALID_JOB_ID)
            return INVALID_ID.with_fields(*cross_origin_fields(value(client.fields, b"origin")))
        exchange.job_id = route.job_id
        try:
            hold_parameters(exchange.query, self._config)
            access = job_access(
                route.job_id,
                exchange.query,
                client.fields,
                exchange.identity,
                self._config.default_customer,
                workflow_id=route.workflow_id,
            )
            access.heard.trace = exchange.trace
            location = next_location(access.path, exchange.query, 0, self._config)
            location = with_rid(location, exchange.wait_id)
            response = self._response(exchange, await self._ending(exchange, access), location)
        except GatewayError as error:
            error.fields += job_fields(route.job_id, exchange.job_state)
            raise
        return response.with_fields(*job_fields(route.job_id, exchange.job_state))

    async def _ending(self, exchange: Exchange, access: JobAccess) -> Ending:
        way = self._cancels.way(access, holder(access, exchange.identity))
        try:
            return await self._canceller.cancel(way, CancelReason.REQUEST)
        finally:
            heard = access.heard
            exchange.upstream_status, exchange.upstream_seconds = heard.status, heard.seconds

    def _response(self, exchange: Exchange, ending: Ending, location: str) -> Response:
        if isinstance(ending, Unread):
            raise ending.failure
        assert not isinstance(ending, Withdrawn), "its client has not withdrawn it"
        if isinstance(ending, Refused):
            if ending.is_ours:
                exchange.refuse(OTHER_ORGANIZATION)
            return self._refused(exchange, ending.response)
        job = ending.job
        exchange.job_state = job.shown_state
        match ending:
            case HasEnded():
                self._answered(exchange.identity, 200, None)
                raise JobEnded(
                    "The job has ended, so it is not cancelled: Location has its result",
                    fields=((b"Location", location.encode("ascii")),),
                )
            case Cancelled():
                self._answered(exchange.identity, 200, None)
                known = KnownJob(job.id, job.lifecycle or None, job.state or None)
                response = accepted(
                    shortened(known),
                    (JSON_CONTENT,),
                    location=location,
                    retry_seconds=RETRY_SECONDS,
                )
                return made_here(response, ending.fields)
        return self._refused(exchange, ending.response)

    def _refused(self, exchange: Exchange, said: Response) -> Response:
        found = rejection(said.status, said.reason, said.fields, said.content)
        self._answered(exchange.identity, said.status, found)
        return said
