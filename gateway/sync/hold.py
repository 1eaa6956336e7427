"""A request for a result: held, and then sent on, or told that the job goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.downstream.exchange import Kind, Outcome
from gateway.errors import INVALID_JOB_ID, JSON_CONTENT, TIME_UP, GatewayError
from gateway.protocols.http.fields import value
from gateway.protocols.theeye.cors import cross_origin_fields
from gateway.protocols.theeye.job import INVALID_ID, is_job_id, job_fields
from gateway.sync.held_job import HoldTime, Unended, Wanted
from gateway.sync.jobs.access import job_access, secret_access
from gateway.sync.jobs.reader import Refused
from gateway.sync.kept.result_key import holder
from gateway.sync.preferred import Holding, holding, preferences_of
from gateway.sync.responses import accepted, made_here, see_other, shortened, timed_out
from gateway.sync.results.formats import result_format
from gateway.sync.wait_parameters import (
    HoldParameters,
    drained_location,
    fitted,
    fitted_query,
    hold_parameters,
    next_location,
    result_location,
    with_rid,
)

if TYPE_CHECKING:
    from gateway.admission.limits.buffers import Buffers
    from gateway.config import SyncConfig
    from gateway.downstream.exchange import Exchange
    from gateway.errors import Response
    from gateway.protocols.http.query import Query
    from gateway.protocols.theeye.routes import ResultRoute
    from gateway.sync.held_job import JobHold
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.snapshots import Snapshots
    from gateway.sync.watch.watcher import Watcher


TIMEOUT_AS_ACCEPTED = 202
"""The ``timeout_status`` that says that the job goes on."""
MARGIN_SHARE = 0.1
"""The part of a hold by which it may end early."""


class ResultHold:
    """A request whose time is up is sent on to the next of its wait, or told that it was the last.
    A client that follows its redirect at once waits on without another read."""

    def __init__(
        self,
        jobs: JobHold,
        snapshots: Snapshots,
        watcher: Watcher,
        buffers: Buffers,
        config: SyncConfig,
    ) -> None:
        self._jobs = jobs
        self._snapshots = snapshots
        self._watcher = watcher
        self._buffers = buffers
        self._config = config

    def reconfigure(self, config: SyncConfig) -> None:
        """Hold by other settings. A wait that has begun keeps what its address says, a request the
        time that it is held for."""
        self._config = config

    async def respond(self, exchange: Exchange, route: ResultRoute) -> Response:
        """
        Raises:
            BadRequest: a parameter of the wait, a preference or the organization is wrong.
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
            parameters = fitted(hold_parameters(exchange.query, self._config), self._config)
            held_for = holding(
                preferences_of(client), self._config, otherwise_seconds=parameters.hold_seconds
            )
            access = self._access(exchange, route)
            access.heard.trace = exchange.trace
            wanted = Wanted(
                access,
                result_format(exchange.query, self._config.profile),
                holder(access, exchange.identity),
            )
            try:
                response = await self._held(exchange, wanted, parameters, held_for)
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
        return job_access(
            route.job_id,
            exchange.query,
            fields,
            exchange.identity,
            default,
            workflow_id=route.workflow_id,
        )

    async def _held(
        self, exchange: Exchange, wanted: Wanted, parameters: HoldParameters, holding: Holding
    ) -> Response:
        """The result, or where to ask for it again."""
        seconds, snapshot = holding.seconds, None
        if holding.redirects:
            if parameters.may_wait:
                # Who comes for the first time was not sent on with one.
                snapshot = self._snapshots.of(wanted.access) if parameters.counter else None
                if snapshot is not None:
                    exchange.job_state = snapshot.known.state or ""
                seconds -= min(self._config.hold_margin_seconds, seconds * MARGIN_SHARE)
            else:
                seconds = 0.0
        looks_last = parameters.is_last or not holding.redirects
        time = HoldTime(
            seconds, parameters.waited_seconds, looks_last=looks_last, hop=parameters.counter
        )
        held = await self._jobs.hold(exchange, wanted, time, snapshot)
        match held:
            case Refused():
                return held.response
            case Unended() if holding.redirects:
                return self._sent_on(exchange, wanted.access, parameters, held)
            case Unended():
                return self._accepted(exchange, wanted.access, parameters, holding, held)
        return held.with_fields(*holding.fields(has_result=True))

    def _sent_on(
        self, exchange: Exchange, access: JobAccess, parameters: HoldParameters, held: Unended
    ) -> Response:
        """On to the next request, or the end where this was the last."""
        query = fitted_query(exchange.query, parameters)
        if held.was_drained:
            # Off to another process, to the same request again.
            exchange.outcome = Outcome.DRAINED
            location = drained_location(access.path, query, self._config)
            return see_other(with_rid(location, exchange.wait_id), held.carried)
        if parameters.is_last:
            exchange.reason = TIME_UP
            return self._timed_out(exchange, access, parameters, query, held)
        if held.snapshot is not None:
            self._snapshots.keep(access, held.snapshot)
        counter = parameters.counter + 1
        location = next_location(access.path, query, counter, self._config)
        return see_other(with_rid(location, exchange.wait_id), held.carried)

    def _timed_out(
        self,
        exchange: Exchange,
        access: JobAccess,
        parameters: HoldParameters,
        query: Query,
        held: Unended,
    ) -> Response:
        """The end of a wait; the job goes on."""
        status = self._config.timeout_status
        if status != TIMEOUT_AS_ACCEPTED:
            return timed_out(status, held.known, held.carried)
        age_seconds = parameters.waited_seconds + parameters.hold_seconds
        location = next_location(access.path, query, 0, self._config)
        response = accepted(
            shortened(held.known),
            (JSON_CONTENT,),
            location=with_rid(location, exchange.wait_id),
            retry_seconds=self._watcher.retry_seconds(held.task, age_seconds),
        )
        return made_here(response, held.carried)

    def _accepted(
        self,
        exchange: Exchange,
        access: JobAccess,
        parameters: HoldParameters,
        holding: Holding,
        held: Unended,
    ) -> Response:
        """The job as it stands, and when to come again."""
        if held.was_drained:
            exchange.outcome = Outcome.DRAINED
        content = shortened(held.known) if held.job is None else held.job.raw
        buffered = exchange.buffered
        assert buffered is not None, "there is room for what is read"
        buffered.become(0)
        buffered.grow(len(content))
        age_seconds = parameters.waited_seconds + exchange.held_seconds
        location = result_location(access.path, exchange.query, self._config)
        response = accepted(
            content,
            (JSON_CONTENT,),
            location=with_rid(location, exchange.wait_id),
            retry_seconds=self._watcher.retry_seconds(held.task, age_seconds),
            preferred=holding.fields(has_result=False),
        )
        return made_here(response, held.carried)
