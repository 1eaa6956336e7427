"""A request for a result, held open until the job ends or the client's time is up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachetools import TTLCache

from gateway.admission.identity.rejection import rejection
from gateway.downstream.exchange import Kind, Outcome
from gateway.errors import (
    INVALID_JOB_ID,
    OTHER_ORGANIZATION,
    TIME_UP,
    GatewayError,
    Response,
)
from gateway.protocols.http.fields import value
from gateway.protocols.theeye.cors import cross_origin_fields
from gateway.protocols.theeye.job import INVALID_ID, is_job_id, job_fields
from gateway.sync.jobs.access import JobAccess, job_access, secret_access
from gateway.sync.jobs.reader import Found, Refused
from gateway.sync.responses import JobOf408, made_here, see_other, timed_out
from gateway.sync.result_cache import Results, holder
from gateway.sync.results.formats import Format, result_format
from gateway.sync.wait_parameters import (
    HoldParameters,
    drained_location,
    hold_parameters,
    next_location,
)
from gateway.sync.watch.state import LastSeen, WaitVerdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.identity.identities import Identity
    from gateway.admission.limits.buffers import Buffers
    from gateway.config import SyncConfig
    from gateway.downstream.exchange import Exchange
    from gateway.errors import Field
    from gateway.protocols.http.query import Query
    from gateway.protocols.theeye.job import Job
    from gateway.protocols.theeye.routes import ResultRoute
    from gateway.sync.jobs.reader import Read
    from gateway.sync.results.formatter import Formatter
    from gateway.sync.watch.watcher import Watcher


MAX_RESUMED = 20_000
RESUME_SECONDS = 4.0
"""How long after a redirect the client may come to wait on without the job being read again.
Shorter than hints are remembered."""


@dataclass(frozen=True, slots=True)
class _Wait:
    """What one result request asks for."""

    query: Query
    parameters: HoldParameters
    format: Format
    access: JobAccess
    holder: bytes | None
    """For whom the result is kept, None for nobody."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What is kept of a job that had not ended when it was read, while the request is held and
    until the client's next comes. No token, and nothing of the job's content."""

    known: JobOf408
    last_seen: LastSeen
    fields: tuple[Field, ...]
    """What answers about the job carry of those that came with it."""


class ResultHold:
    """All in all a request takes its hold time and one time limit of the upstream at most:
    no read begins after the hold has ended, but for one last look before a 408.

    A client that follows its redirect at once waits on without another read: the watch goes on
    where it was, and will notice if its credentials are good no more.

    ``answered`` is told the status with which the upstream answers a client, ``ended`` of each job
    that was waited for and has ended: its id, and when the last request began, in the clock's
    seconds, that did not find it ended.
    """

    def __init__(
        self,
        results: Results,
        watcher: Watcher,
        answered: Callable[[Identity, int, Response | None], None],
        clock: Callable[[], float],
        config: SyncConfig,
        *,
        buffers: Buffers,
        formatter: Formatter,
        ended: Callable[[str, float], None] | None = None,
    ) -> None:
        self._results = results
        self._watcher = watcher
        self._answered = answered
        self._buffers = buffers
        self._formatter = formatter
        self._ended = ended
        self._clock = clock
        self._config = config
        self._snapshots: TTLCache[tuple[bytes, str, bytes | None], _Snapshot] = TTLCache(
            MAX_RESUMED, RESUME_SECONDS, clock
        )

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
        query = exchange.query
        try:
            parameters = hold_parameters(query, self._config)
            access = self._access(exchange, route, query)
            wait = _Wait(
                query,
                parameters,
                result_format(query, self._config.profile),
                access,
                holder(access, exchange.identity),
            )
            try:
                response = await self._held(exchange, wait)
            finally:
                heard = access.heard
                exchange.upstream_status, exchange.upstream_seconds = heard.status, heard.seconds
        except GatewayError as error:
            error.fields += job_fields(route.job_id, exchange.job_state)
            raise
        return response.with_fields(*job_fields(route.job_id, exchange.job_state))

    def _access(self, exchange: Exchange, route: ResultRoute, query: Query) -> JobAccess:
        fields = exchange.client.fields
        if route.secret:
            return secret_access(route.job_id, route.secret, fields, exchange.identity)
        default = self._config.default_customer
        return job_access(route.job_id, query, fields, exchange.identity, default)

    async def _held(self, exchange: Exchange, wait: _Wait) -> Response:
        deadline = self._clock() + wait.parameters.hold_seconds
        snapshot = self._resumed(exchange, wait)
        needs_read = snapshot is None
        verdict: WaitVerdict | None = None
        false_alarms = 0
        while True:
            if needs_read:
                read_at = self._clock()
                read = await self._read(wait, has_ended=verdict is WaitVerdict.ENDED)
                response = await self._final(exchange, wait, read, snapshot)
                if response is not None:
                    return response
                # The job may be large; while the request is held nothing keeps it.
                snapshot = _snapshot(read, read_at) if isinstance(read, Found) else snapshot
                del read
            needs_read = True
            false_alarms += verdict is WaitVerdict.ENDED
            remaining = deadline - self._clock()
            if remaining <= 0 or not wait.parameters.may_wait:
                return self._time_up(exchange, wait, snapshot)
            verdict = await self._wait(exchange, wait, remaining, snapshot, false_alarms)
            if verdict is WaitVerdict.DRAINED:
                return self._drained(exchange, wait, _carried(wait, snapshot))
            if verdict is WaitVerdict.TIME_UP and not wait.parameters.is_last:
                return self._time_up(exchange, wait, snapshot)

    def _resumed(self, exchange: Exchange, wait: _Wait) -> _Snapshot | None:
        """What the client saw in the request before, if that is enough to wait on at once."""
        if not wait.parameters.may_wait:
            return None
        snapshot = self._snapshots.get(_client(wait.access))
        if snapshot is None or not self._watcher.may_resume(snapshot.last_seen):
            return None
        exchange.job_state = snapshot.known.state or ""
        return snapshot

    async def _final(
        self, exchange: Exchange, wait: _Wait, read: Read | None, snapshot: _Snapshot | None
    ) -> Response | None:
        """The answer that a read leads to, None where the job goes on or nothing was said."""
        match read:
            case None:
                return self._drained(exchange, wait, _carried(wait, snapshot))
            case Refused():
                refused = read.response
                said = rejection(refused.status, refused.reason, refused.fields, refused.content)
                self._answered(exchange.identity, refused.status, said)
                exchange.job_state = ""
                if read.is_ours:
                    exchange.refuse(OTHER_ORGANIZATION)
                return read.response
            case Found():
                self._answered(exchange.identity, 200, None)
                exchange.job_state = read.job.state
                if read.job.is_finished:
                    if snapshot is not None:
                        self._learn(read.job, snapshot.last_seen)
                    made = await self._formatter.result(exchange, read.job, wait.format)
                    return made_here(made, read.fields)
        return None

    def _learn(self, job: Job, last_seen: LastSeen) -> None:
        """Of a job that was waited for; one that had ended before says nothing about waits."""
        if self._ended is not None:
            self._ended(job.id, last_seen.unended_at)
        seconds = job.run_seconds
        if job.task_id and seconds is not None:
            self._watcher.learn((job.customer_name, job.task_id), job.id, seconds)

    async def _read(self, wait: _Wait, *, has_ended: bool) -> Read | None:
        """The job; None where this process is to stop before it is there."""
        reading = self._results.read(
            wait.access, wait.holder, has_ended=has_ended, output_only=wait.format.is_of_output
        )
        return await self._watcher.unless_drained(reading)

    async def _wait(
        self,
        exchange: Exchange,
        wait: _Wait,
        seconds: float,
        snapshot: _Snapshot | None,
        false_alarms: int,
    ) -> WaitVerdict:
        began = self._clock()
        parameters = wait.parameters
        try:
            return await self._watcher.wait(
                wait.access,
                seconds,
                waited_seconds=parameters.waited_seconds + parameters.hold_seconds - seconds,
                private=snapshot is None,
                last_seen=snapshot.last_seen if snapshot else None,
                false_alarms=false_alarms,
            )
        finally:
            exchange.held_seconds += self._clock() - began

    def _drained(self, exchange: Exchange, wait: _Wait, carried: tuple[Field, ...]) -> Response:
        """Off to another process, to the same request again."""
        exchange.outcome = Outcome.DRAINED
        location = drained_location(wait.access.path, wait.query, self._config)
        return see_other(location, carried)

    def _time_up(self, exchange: Exchange, wait: _Wait, snapshot: _Snapshot | None) -> Response:
        """On to the next request, or the end where this was the last."""
        parameters = wait.parameters
        carried = _carried(wait, snapshot)
        if parameters.is_last:
            exchange.reason = TIME_UP
            known = snapshot.known if snapshot else JobOf408(wait.access.job_id, None, None)
            return timed_out(known, carried)
        if snapshot is not None:
            self._snapshots[_client(wait.access)] = snapshot
        counter = parameters.counter + 1
        location = next_location(wait.access.path, wait.query, counter, self._config)
        return see_other(location, carried)


def _snapshot(found: Found, read_at: float) -> _Snapshot:
    job = found.job
    known = JobOf408(job.id, job.lifecycle or None, job.state or None)
    task = (job.customer_name, job.task_id) if job.task_id else None
    return _Snapshot(known, LastSeen(read_at, task), found.fields)


def _client(access: JobAccess) -> tuple[bytes, str, bytes | None]:
    """Equal for requests of one client, or of others with the same credentials, for one job."""
    return access.batch_key, access.job_id.lower(), access.origin


def _carried(wait: _Wait, snapshot: _Snapshot | None) -> tuple[Field, ...]:
    return snapshot.fields if snapshot else cross_origin_fields(wait.access.origin)
