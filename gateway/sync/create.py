"""Create a job and send the client to where its result can be waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from gateway.admission.identity.claims import is_customer_name
from gateway.admission.identity.rejection import rejection
from gateway.admission.limits.holds import Place
from gateway.downstream.exchange import Kind
from gateway.errors import ContentTooLarge, MemoryFull, Response, TargetTooLong
from gateway.protocols.http.content_coding import InflatesTooFar, Undecodable, inflated
from gateway.protocols.http.fields import value as field_value
from gateway.protocols.theeye.job import parse_job
from gateway.sync.created_hold import Created
from gateway.sync.jobs.access import result_path
from gateway.sync.jobs.reader import Requester, passed
from gateway.sync.preferred import holding, preferences_of
from gateway.sync.wait_parameters import (
    append,
    asks_to_wait,
    content_asks_to_wait,
    fitted,
    fitted_query,
    hold_parameters,
    result_location,
)
from gateway.tasks import Tasks
from gateway.upstream.messages.messages import Heard, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.admission.identity.identities import Identity
    from gateway.admission.limits.buffers import Buffered, Buffers
    from gateway.config import LimitsConfig, SyncConfig
    from gateway.downstream.exchange import Exchange
    from gateway.errors import Field
    from gateway.protocols.http.query import Query
    from gateway.protocols.theeye.job import Job
    from gateway.protocols.theeye.routes import CreateRoute
    from gateway.sync.created_hold import CreatedHold
    from gateway.upstream.messages.messages import UpstreamResponse

LOCATION_BYTES = 1024
"""What a Location may have besides the query of the request."""
_SPACE = b" \t\r\n"
_FLAG = (b"wait_result", b"\\u")
"""One of these stands in every JSON text that has the flag."""


@dataclass(frozen=True, slots=True)
class Passed:
    """No wait is asked for: the request is to be relayed."""

    prefix: bytes = b""
    """The content that was read already."""
    ended: bool = False
    """There is no more content than the prefix."""


class CreateAndWait:
    """``outbound`` gives the fields to send upstream for a request, all but the framing;
    ``answered`` is told the status with which the upstream answers a client; ``place`` gives a
    place for a wait, or raises; ``hold`` waits with clients that need not be redirected."""

    def __init__(
        self,
        upstream: Requester,
        outbound: Callable[[Exchange], list[Field]],
        answered: Callable[[Identity, int, Response | None], None],
        *,
        place: Callable[[Exchange], Place],
        hold: CreatedHold,
        buffers: Buffers,
        config: SyncConfig,
        limits: LimitsConfig,
    ) -> None:
        self._upstream = upstream
        self._outbound = outbound
        self._answered = answered
        self._place = place
        self._hold = hold
        self._buffers = buffers
        self._config = config
        self._limits = limits
        self._tasks = Tasks()

    async def create(self, exchange: Exchange, route: CreateRoute) -> Response | Passed:
        """
        Raises:
            BadRequest, TargetTooLong: nobody could wait with this query. No job exists then.
            ContentTooLarge: a wait is asked for with more content than can be held. Nor then.
            TooManyRequests, Overloaded: there is no place for another wait. Nor then.
            MemoryFull: there is no room for the content. Nor then.
            BadGateway, GatewayTimeout, Overloaded: as the upstream's failures are mapped.
        """
        query, preferences = exchange.query, preferences_of(exchange.client)
        exchange.buffered = self._buffers.of(exchange.identity.key)
        if preferences.asks_for_waiting or asks_to_wait(query):
            exchange.kind = Kind.CREATE
            self._check(query)
            most = self._limits.result_bytes
            content = await _read(exchange, most)
            if not content.ended:
                raise ContentTooLarge(f"A job to wait for may have {most} bytes of content")
        else:
            content = await self._inspected(exchange)
            if not content.ended or not _flagged(content.prefix, exchange, self._limits):
                return content
            exchange.kind = Kind.CREATE
            self._check(query)
        held_for = holding(
            preferences, self._config, otherwise_seconds=self._config.first_hold_seconds
        )
        with self._place(exchange) if held_for.waits else Place() as place:
            reply = await self._created(exchange, content.prefix)
            job = _job(reply, self._limits.result_bytes) if reply.status in {200, 303} else None
            if job is None or (route.by_secret and not job.secret):
                return passed(reply)
            created = self._known(exchange, route, reply, job)
            place.keep(job.id.lower())
            return await self._hold.respond(exchange, created, held_for, place)

    def _check(self, query: Query) -> None:
        """No job is created that could not be waited for."""
        hold_parameters(query, self._config)
        most = self._limits.target_bytes - LOCATION_BYTES
        if len(query.raw) > most:
            raise TargetTooLong(f"The query of a job to wait for may have {most} bytes")

    async def _inspected(self, exchange: Exchange) -> Passed:
        """The content as far as it must be read to know whether it asks for a wait."""
        client = exchange.client
        if not client.has_content or not _is_json(client.fields):
            return Passed()
        most = self._limits.inspect_bytes
        if (client.content_length or 0) > most:
            return Passed()
        return await _read(exchange, most)

    async def _created(self, exchange: Exchange, content: bytes) -> UpstreamResponse:
        """What the upstream says to the one request that makes the job."""
        buffered, exchange.buffered = exchange.buffered, None
        assert buffered is not None
        try:
            # The answer repeats the arguments. Once the job exists it is too late to refuse it.
            buffered.grow(len(content))
        except MemoryFull:
            buffered.release()
            raise
        # A client that leaves must not leave behind a job that is half created.
        asking = self._asked(exchange, content, buffered)
        reply = await asyncio.shield(self._tasks.spawn(asking, name="create"))
        exchange.buffered = self._buffers.of(exchange.identity.key)
        exchange.buffered.become(len(reply.content))
        said = rejection(reply.status, reply.reason, reply.fields, reply.content)
        self._answered(exchange.identity, reply.status, said)
        return reply

    def _known(
        self, exchange: Exchange, route: CreateRoute, reply: UpstreamResponse, job: Job
    ) -> Created:
        exchange.job_id, exchange.job_state = job.id, job.state
        if route.by_secret:
            path, customer = result_path(job.id, job.secret), job.customer_name
        else:
            path, customer = result_path(job.id), exchange.identity.customer
        parameters = fitted(hold_parameters(exchange.query, self._config), self._config)
        query = fitted_query(exchange.query, parameters)
        location = job_location(path, query, job, customer, self._config)
        return Created(reply, job, location, by_secret=route.by_secret)

    async def _asked(
        self, exchange: Exchange, content: bytes, buffered: Buffered
    ) -> UpstreamResponse:
        heard = Heard()
        with buffered:
            try:
                return await self._upstream.ask(
                    exchange.client.method,
                    exchange.target,
                    self._outbound(exchange),
                    content,
                    purpose=Purpose.CREATE,
                    max_bytes=self._limits.result_bytes,
                    heard=heard,
                )
            finally:
                exchange.upstream_status, exchange.upstream_seconds = heard.status, heard.seconds

    async def aclose(self, grace_seconds: float) -> None:
        """Let the jobs that are being created come to be, for ``grace_seconds`` at most."""
        await self._tasks.aclose(grace_seconds)


def job_location(path: str, query: Query, job: Job, customer: str, config: SyncConfig) -> str:
    """Where the job's result is; ``customer`` is the organization that is known there anyway."""
    location = result_location(path, query, config)
    is_named = customer == job.customer_name or bool(query.values("customer"))
    if not is_named and is_customer_name(job.customer_name):
        location = append(location, f"customer={quote(job.customer_name, safe='')}")
    return location


async def _read(exchange: Exchange, max_bytes: int) -> Passed:
    """The content, cut after the piece that is over ``max_bytes``."""
    # Not a list: pieces of a few bytes would take many times their length.
    content = bytearray()
    while len(content) <= max_bytes:
        piece = await exchange.client.read() if exchange.client.has_content else b""
        if not piece:
            return Passed(bytes(content), ended=True)
        if exchange.buffered is not None:
            exchange.buffered.grow(len(piece))
        content += piece
    return Passed(bytes(content))


def _flagged(content: bytes, exchange: Exchange, limits: LimitsConfig) -> bool:
    plain = _plain(content, exchange.client.fields, limits.inspect_bytes)
    if plain is None or plain.lstrip(_SPACE)[:1] != b"{":
        return False
    return any(mark in plain for mark in _FLAG) and content_asks_to_wait(plain)


def _is_json(fields: Iterable[Field]) -> bool:
    """Whether the upstream may take the content for JSON."""
    given = field_value(fields, b"content-type")
    if given is None:
        return True
    media_type = given.partition(b";")[0].strip().lower()
    return media_type == b"application/json" or media_type.endswith(b"+json")


def _job(reply: UpstreamResponse, max_bytes: int) -> Job | None:
    plain = _plain(reply.content, reply.fields, max_bytes)
    return None if plain is None else parse_job(plain)


def _plain(content: bytes, fields: Iterable[Field], max_bytes: int) -> bytes | None:
    """The content without its coding, None where it cannot be had within ``max_bytes``."""
    try:
        return inflated(content, fields, max_bytes)
    except (Undecodable, InflatesTooFar):
        return None
