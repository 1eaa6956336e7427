"""A request for a result, held open until the job ends or the client's time is up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gateway.cross_origin import cross_origin_fields
from gateway.errors import JSON_CONTENT, NO_STORE, Answer, GatewayError
from gateway.exchange import Kind, Outcome
from gateway.fields import value
from gateway.query import query_of
from gateway.sync.job import INVALID_ID, is_job_id, job_fields
from gateway.sync.orchestrator import Reading, Refused, Seen, reading, secret_reading
from gateway.sync.parameters import HoldParameters, hold_parameters, next_location, result_location
from gateway.sync.result import result_answer
from gateway.sync.results import Results, holder
from gateway.sync.watcher import Verdict, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.identity import Identity
    from gateway.config import SyncConfig
    from gateway.exchange import Exchange
    from gateway.routes import ResultRoute
    from gateway.sync.job import Job
    from gateway.sync.orchestrator import Read


AT_ONCE_BYTES = 32 * 1024
"""A larger output is parsed in a thread, so that the others need not wait."""


class _JobOf408(msgspec.Struct):
    id: str
    lifecycle: str | None
    state: str | None


class _BodyOf408(msgspec.Struct, rename="camel", kw_only=True):
    status_code: int = 408
    message: str = "Request Timeout"
    job: _JobOf408


@dataclass(frozen=True, slots=True)
class _Wait:
    """What one result request asks for."""

    query: str
    parameters: HoldParameters
    reading: Reading
    holder: bytes | None
    """For whom the result is kept, None for nobody."""


class ResultHold:
    """All in all a request takes its hold time and one time limit of the upstream at most:
    no read begins after the hold has ended, but for one last look before a 408.

    ``answered`` is told the status with which the upstream answers a client.
    """

    def __init__(
        self,
        results: Results,
        watcher: Watcher,
        answered: Callable[[Identity, int], None],
        clock: Callable[[], float],
        config: SyncConfig,
    ) -> None:
        self._results = results
        self._watcher = watcher
        self._answered = answered
        self._clock = clock
        self._config = config

    async def answer(self, exchange: Exchange, route: ResultRoute) -> Answer:
        """
        Raises:
            BadRequest: a parameter of the wait, or the organization, is wrong.
            AnswerTooLarge: the job is larger than may be held here; it is untouched.
        """
        exchange.kind = Kind.RESULT
        client = exchange.client
        if not is_job_id(route.job_id):
            return INVALID_ID.with_fields(*cross_origin_fields(value(client.fields, b"origin")))
        exchange.job_id = route.job_id
        query = query_of(exchange.target)
        try:
            parameters = hold_parameters(query, self._config)
            reading = self._reading(exchange, route, query)
            wait = _Wait(query, parameters, reading, holder(reading, exchange.identity))
            answer = await self._held(exchange, wait)
        except GatewayError as error:
            error.fields += job_fields(route.job_id, exchange.job_state)
            raise
        return answer.with_fields(*job_fields(route.job_id, exchange.job_state))

    def _reading(self, exchange: Exchange, route: ResultRoute, query: str) -> Reading:
        fields = exchange.client.fields
        if route.secret:
            return secret_reading(route.job_id, route.secret, fields)
        default = self._config.default_customer
        return reading(route.job_id, query, fields, exchange.identity, default)

    async def _held(self, exchange: Exchange, wait: _Wait) -> Answer:
        deadline = self._clock() + wait.parameters.hold_seconds
        seen: Seen | None = None
        verdict: Verdict | None = None
        while True:
            read = await self._read(wait, has_ended=verdict is Verdict.ENDED)
            if isinstance(read, Refused):
                self._answered(exchange.identity, read.answer.status)
                exchange.job_state = ""
                return read.answer
            if isinstance(read, Seen):
                seen = read
                self._answered(exchange.identity, 200)
                exchange.job_state = read.job.state
                if read.job.is_finished:
                    return _ours(await self._formatted(read.job, wait), read.access_control)
            allowed = seen.access_control if seen else cross_origin_fields(wait.reading.origin)
            job = seen.job if seen else None
            if read is None:
                return _ours(self._drained(exchange, wait), allowed)
            remaining = deadline - self._clock()
            if remaining <= 0 or not wait.parameters.may_wait:
                return _ours(self._time_up(wait, job), allowed)
            verdict = await self._wait(exchange, wait, remaining, apart=seen is None)
            if verdict is Verdict.DRAINED:
                return _ours(self._drained(exchange, wait), allowed)
            if verdict is Verdict.TIME_UP and not wait.parameters.is_last:
                return _ours(self._time_up(wait, job), allowed)

    async def _read(self, wait: _Wait, *, has_ended: bool) -> Read | None:
        """The job; None where this process is to stop before it is there."""
        reading = self._results.read(wait.reading, wait.holder, has_ended=has_ended)
        return await self._watcher.unless_drained(reading)

    async def _formatted(self, job: Job, wait: _Wait) -> Answer:
        profile, parse_bytes = self._config.profile, self._config.parse_bytes
        if len(job.output) < AT_ONCE_BYTES:
            return result_answer(job, wait.query, profile, parse_bytes)
        return await asyncio.to_thread(result_answer, job, wait.query, profile, parse_bytes)

    async def _wait(
        self, exchange: Exchange, wait: _Wait, seconds: float, *, apart: bool
    ) -> Verdict:
        began = self._clock()
        try:
            return await self._watcher.wait(
                wait.reading,
                seconds,
                waited_seconds=wait.parameters.waited_seconds,
                apart=apart,
            )
        finally:
            exchange.held_seconds += self._clock() - began

    def _drained(self, exchange: Exchange, wait: _Wait) -> Answer:
        """Off to another process, to the same request again."""
        exchange.outcome = Outcome.DRAINED
        return _see_other(result_location(wait.reading.path, wait.query, self._config))

    def _time_up(self, wait: _Wait, job: Job | None) -> Answer:
        """On to the next request, or the end where this was the last."""
        parameters = wait.parameters
        if parameters.is_last:
            return _request_timeout(wait.reading.job_id, job)
        counter = parameters.counter + 1
        return _see_other(next_location(wait.reading.path, wait.query, counter, self._config))


def _ours(answer: Answer, allowed: tuple[tuple[bytes, bytes], ...]) -> Answer:
    """An answer that no cache may keep, with the upstream's Access-Control fields."""
    return Answer(answer.status, answer.content, (*allowed, *answer.fields, NO_STORE))


def _see_other(location: str) -> Answer:
    return Answer(303, b"{}", ((b"Location", location.encode("ascii")), JSON_CONTENT))


def _request_timeout(job_id: str, job: Job | None) -> Answer:
    known = _JobOf408(job_id, None, None)
    if job is not None:
        known = _JobOf408(job.id, job.lifecycle or None, job.state or None)
    return Answer(408, msgspec.json.encode(_BodyOf408(job=known)))
