"""The ways of requests that create or wait for jobs, with what ties those to their creators."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from gateway.downstream.exchange import Kind, Outcome
from gateway.errors import TIME_UP, GatewayError
from gateway.protocols.http.fields import has, value
from gateway.protocols.http.idempotency_key import FIELD as KEY_FIELD
from gateway.protocols.theeye.job import is_job_id
from gateway.sync.tethers.tether import Departure
from gateway.sync.tethers.wish import check_wish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.admission.limits.holds import Place
    from gateway.downstream.exchange import Exchange
    from gateway.errors import Response
    from gateway.protocols.theeye.job import Job
    from gateway.protocols.theeye.routes import CreateRoute, ResultRoute
    from gateway.sync.created_hold import Created
    from gateway.sync.idempotency.first_request import Sending
    from gateway.sync.preferred import Holding
    from gateway.sync.tethers.tether import Presence
    from gateway.sync.tethers.tethers import Tethers
    from gateway.sync.tethers.wish import Wish
    from gateway.upstream.messages.messages import UpstreamResponse

_TOLD_THAT_IT_GOES_ON = 202


class ResultsHold(Protocol):
    async def respond(self, exchange: Exchange, route: ResultRoute) -> Response:
        """The response; raises GatewayError where there is none."""
        raise NotImplementedError


class CreationHold(Protocol):
    async def respond(
        self, exchange: Exchange, created: Created, holding: Holding, place: Place
    ) -> Response:
        """The response to a request that has created a job."""
        raise NotImplementedError


class TetheredHold:
    """Requests for results, as ``hold`` responds to them."""

    def __init__(self, hold: ResultsHold, tethers: Tethers) -> None:
        self._hold = hold
        self._tethers = tethers

    async def respond(self, exchange: Exchange, route: ResultRoute) -> Response:
        """
        Raises:
            BadRequest: what it says of its job's end is malformed.
            GatewayError: as ``hold`` raises.
        """
        exchange.kind = Kind.RESULT
        check_wish(exchange.client)
        presence = None
        if not route.secret and is_job_id(route.job_id):
            presence = self._tethers.enter(exchange, route.job_id, workflow_id=route.workflow_id)
        responding = self._hold.respond(exchange, route)
        return await _attended(self._tethers, presence, responding)


class TetheredCreation:
    """Requests that have created a job, as ``hold`` responds to them; and what ties their jobs."""

    def __init__(
        self,
        hold: CreationHold,
        tethers: Tethers,
        job_of: Callable[[UpstreamResponse], Job | None],
    ) -> None:
        self._hold = hold
        self._tethers = tethers
        self._job_of = job_of

    def check(self, exchange: Exchange, route: CreateRoute) -> None:
        """
        Raises:
            BadRequest, Overloaded: as ``Tethers.wish`` raises. No job is created then.
        """
        self._tethers.wish(exchange, by_secret=route.by_secret)

    def sending(self, exchange: Exchange, route: CreateRoute, sending: Sending) -> Sending:
        """The request, which ties the job that comes of it."""
        wish = self._tethers.wish(exchange, by_secret=route.by_secret)
        if not wish.is_any:
            return sending
        return TyingSending(sending, partial(self._tie, exchange, route, wish))

    async def _tie(
        self, exchange: Exchange, route: CreateRoute, wish: Wish, reply: UpstreamResponse
    ) -> None:
        """Tie the job that a reply tells of."""
        job = self._job_of(reply)
        if job is not None:
            await self._tethers.tie(exchange, job, wish, workflow_id=route.workflow_id)

    async def respond(
        self, exchange: Exchange, created: Created, holding: Holding, place: Place
    ) -> Response:
        presence = None
        if not created.by_secret:
            is_first = not has(exchange.client.names, KEY_FIELD)
            presence = self._tethers.enter(
                exchange,
                created.job.id,
                workflow_id=created.workflow_id,
                is_first=is_first,
            )
        responding = self._hold.respond(exchange, created, holding, place)
        return await _attended(self._tethers, presence, responding)


class TyingSending:
    """A request that creates a job, which ``tie`` ties before its creator learns of it, and also if
    that has left meanwhile."""

    def __init__(
        self, sending: Sending, tie: Callable[[UpstreamResponse], Awaitable[None]]
    ) -> None:
        self._sending = sending
        self._tie = tie

    @property
    def was_sent(self) -> bool:
        """Something of it has gone out to the upstream."""
        return self._sending.was_sent

    async def reply(self) -> UpstreamResponse:
        """Send it, once, and read the whole reply; raises GatewayError."""
        reply = await self._sending.reply()
        await self._tie(reply)
        return reply


async def _attended(
    tethers: Tethers, presence: Presence | None, responding: Awaitable[Response]
) -> Response:
    if presence is None:
        return await responding
    departure = Departure.LOST
    try:
        response = await responding
        departure = departure_of(presence.exchange, response)
    except GatewayError:
        departure = Departure.SENT_ON
        raise
    finally:
        tethers.leave(presence, departure)
    return response


def departure_of(exchange: Exchange, response: Response) -> Departure:
    """How a client leaves that gets the response."""
    if exchange.outcome is Outcome.DRAINED:
        return Departure.DRAINED
    if exchange.reason == TIME_UP:
        return Departure.TIMED_OUT
    if value(response.fields, b"location") is not None:
        is_told = response.status == _TOLD_THAT_IT_GOES_ON
        return Departure.TOLD if is_told else Departure.SENT_ON
    # Of a job that the client was refused nothing is known.
    return Departure.ENDED if exchange.job_state else Departure.SENT_ON
