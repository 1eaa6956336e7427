"""A request for a result, and what the redirect loop answers to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.downstream.exchange import Kind, Outcome
from gateway.errors import INVALID_JOB_ID, TIME_UP, GatewayError, Response
from gateway.protocols.http.fields import value
from gateway.protocols.theeye.cors import cross_origin_fields
from gateway.protocols.theeye.job import INVALID_ID, is_job_id, job_fields
from gateway.sync.held_job import HoldTime, Wanted
from gateway.sync.jobs.access import job_access, secret_access
from gateway.sync.responses import see_other, timed_out
from gateway.sync.result_cache import holder
from gateway.sync.results.formats import result_format
from gateway.sync.wait_parameters import (
    HoldParameters,
    drained_location,
    hold_parameters,
    next_location,
)

if TYPE_CHECKING:
    from gateway.admission.limits.buffers import Buffers
    from gateway.config import SyncConfig
    from gateway.downstream.exchange import Exchange
    from gateway.protocols.theeye.routes import ResultRoute
    from gateway.sync.held_job import JobHold, Unended
    from gateway.sync.jobs.access import JobAccess


class ResultHold:
    """A request whose time is up is sent on to the next of its wait, or told that it was the last.
    A client that follows its redirect at once waits on without another read."""

    def __init__(self, jobs: JobHold, buffers: Buffers, config: SyncConfig) -> None:
        self._jobs = jobs
        self._buffers = buffers
        self._config = config

    async def answer(self, exchange: Exchange, route: ResultRoute) -> Response:
        """
        Raises:
            BadRequest: a parameter of the wait, or the organization, is wrong.
            ResponseTooLarge: the job is larger than may be held here; it is untouched.
            MemoryFull: there is no room for the job, or its result, now.
        """
        exchange.kind = Kind.RESULT
        client = exchange.client
        if not is_job_id(route.job_id):
            exchange.refuse(INVALID_JOB_ID)
            return INVALID_ID.with_fields(*cross_origin_fields(value(client.fields, b"origin")))
        exchange.job_id = route.job_id
        exchange.buffered = self._buffers.of(exchange.identity.key)
        try:
            parameters = hold_parameters(exchange.query, self._config)
            access = self._access(exchange, route)
            wanted = Wanted(
                access,
                result_format(exchange.query, self._config.profile),
                holder(access, exchange.identity),
            )
            try:
                response = await self._held(exchange, wanted, parameters)
            finally:
                heard = access.heard
                exchange.upstream_status, exchange.upstream_seconds = heard.status, heard.seconds
        except GatewayError as error:
            error.fields += job_fields(route.job_id, exchange.job_state)
            raise
        return response.with_fields(*job_fields(route.job_id, exchange.job_state))

    def _access(self, exchange: Exchange, route: ResultRoute) -> JobAccess:
        fields = exchange.client.fields
        if route.secret:
            return secret_access(route.job_id, route.secret, fields, exchange.identity)
        default = self._config.default_customer
        return job_access(route.job_id, exchange.query, fields, exchange.identity, default)

    async def _held(
        self, exchange: Exchange, wanted: Wanted, parameters: HoldParameters
    ) -> Response:
        seconds, snapshot = 0, None
        if parameters.may_wait:
            seconds = parameters.hold_seconds
            snapshot = self._jobs.resumed(exchange, wanted.access)
        time = HoldTime(seconds, parameters.waited_seconds, looks_last=parameters.is_last)
        held = await self._jobs.hold(exchange, wanted, time, snapshot)
        if isinstance(held, Response):
            return held
        if held.was_drained:
            return self._drained(exchange, wanted.access.path, held)
        return self._time_up(exchange, wanted.access, parameters, held)

    def _drained(self, exchange: Exchange, path: str, held: Unended) -> Response:
        """Off to another process, to the same request again."""
        exchange.outcome = Outcome.DRAINED
        return see_other(drained_location(path, exchange.query, self._config), held.carried)

    def _time_up(
        self, exchange: Exchange, access: JobAccess, parameters: HoldParameters, held: Unended
    ) -> Response:
        """On to the next request, or the end where this was the last."""
        if parameters.is_last:
            exchange.reason = TIME_UP
            return timed_out(held.known, held.carried)
        self._jobs.remember(access, held.snapshot)
        counter = parameters.counter + 1
        location = next_location(access.path, exchange.query, counter, self._config)
        return see_other(location, held.carried)
