"""Create a job and send the client to where its result can be waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from gateway.admission.identity.claims import is_customer_name
from gateway.admission.identity.rejection import rejection
from gateway.admission.limits.holds import Place
from gateway.downstream.exchange import Kind
from gateway.errors import ContentTooLarge, Field, Response, TargetTooLong
from gateway.protocols.http.fields import has, values
from gateway.protocols.http.fields import value as field_value
from gateway.protocols.http.idempotency_key import FIELD as KEY_FIELD
from gateway.protocols.http.idempotency_key import idempotency_key
from gateway.sync.created_hold import Created
from gateway.sync.idempotency.creations import Made
from gateway.sync.jobs.access import result_path
from gateway.sync.jobs.creation import CreationSending, created_job, plain_content
from gateway.sync.jobs.reader import passed
from gateway.sync.preferred import holding, preferences_of
from gateway.sync.wait_parameters import (
    append,
    asks_to_wait,
    content_asks_to_wait,
    fitted,
    fitted_query,
    hold_parameters,
    result_location,
    with_rid,
    without_rid,
)
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.admission.identity.identities import Identity
    from gateway.config import LimitsConfig, SyncConfig
    from gateway.downstream.exchange import Exchange
    from gateway.protocols.http.query import Query
    from gateway.protocols.theeye.job import Job
    from gateway.protocols.theeye.routes import CreateRoute
    from gateway.sync.created_hold import CreatedHold, Tying
    from gateway.sync.idempotency.creations import KeyedCreations
    from gateway.sync.idempotency.first_request import Sending
    from gateway.sync.jobs.creation import Creator
    from gateway.upstream.messages.messages import UpstreamResponse

LOCATION_BYTES = 1024
"""What a Location may have besides the query of the request."""
REPLAYED: Field = (b"Idempotent-Replayed", b"true")
"""Of responses that are made of the reply to an earlier request with the same key."""
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
    """``answered`` is told the status with which the upstream answers a client; ``place`` gives a
    place for a wait, or raises; ``hold`` waits with clients that need not be redirected; ``keyed``
    takes requests with an ``Idempotency-Key``, which is looked at only with it and where the
    settings have keys kept; ``tying`` those whose jobs are to be cancelled when their clients stop
    waiting."""

    def __init__(
        self,
        creator: Creator,
        answered: Callable[[Identity, int, Response | None], None],
        *,
        place: Callable[[Exchange], Place],
        hold: CreatedHold,
        config: SyncConfig,
        limits: LimitsConfig,
        keyed: KeyedCreations | None = None,
        tying: Tying | None = None,
    ) -> None:
        self._creator = creator
        self._answered = answered
        self._place = place
        self._hold = hold
        self._tying = tying
        self._keyed = keyed
        self._config = config
        self._limits = limits
        self._tasks = Tasks()

    def reconfigure(self, config: SyncConfig, limits: LimitsConfig) -> None:
        """Take requests by other settings; those under way keep the wait that was agreed on."""
        self._config = config
        self._limits = limits

    async def create(self, exchange: Exchange, route: CreateRoute) -> Response | Passed:
        """
        Raises:
            BadRequest, TargetTooLong: nobody could wait with this query. No job exists then.
            ContentTooLarge: a wait is asked for with more content than can be held. Nor then.
            TooManyRequests, Overloaded: there is no place for another wait. Nor then.
            MemoryFull: there is no room for the content. Nor then.
            IdempotencyMismatch, IdempotencyUnknown, IdempotencyInProgress, IdempotencyGone,
            IdempotencyUnavailable: as ``KeyedCreations.make`` has them, of a request with a key.
            BadGateway, GatewayTimeout, Overloaded: as the upstream's failures are mapped.
        """
        preferences, key = preferences_of(exchange.client), self._key(exchange)
        exchange.buffered = self._creator.buffers.of(exchange.identity.key)
        waits = preferences.asks_for_waiting or asks_to_wait(exchange.query)
        if waits:
            self._check(exchange, route)
        if waits or key is not None:
            content = await self._whole(exchange)
        else:
            content = await self._inspected(exchange)
        if not waits and content.ended and _flagged(content.prefix, exchange, self._limits):
            waits = True
            self._check(exchange, route)
        if not waits and key is None:
            return content
        held_for = holding(
            preferences, self._config, otherwise_seconds=self._config.first_hold_seconds
        )
        with self._place(exchange) if waits and held_for.waits else Place() as place:
            made = await self._made(exchange, route, key, content.prefix, waits=waits)
            reply = made.reply
            job = created_job(reply, self._creator.max_bytes)
            if job is not None:
                exchange.job_id, exchange.job_state = job.id, job.state
            if not waits or job is None or (route.by_secret and not job.secret):
                response = passed(reply)
            else:
                created = self._known(exchange, route, reply, job)
                place.keep(job.id.lower())
                hold = self._tying or self._hold
                response = await hold.respond(exchange, created, held_for, place)
            return response.with_fields(REPLAYED) if made.is_replayed else response

    def _key(self, exchange: Exchange) -> str | None:
        """
        Raises:
            BadRequest: it is malformed.
        """
        client = exchange.client
        keeps_keys = self._keyed is not None and self._config.idempotency_seconds > 0
        if not keeps_keys or not has(client.names, KEY_FIELD):
            return None
        return idempotency_key(values(client.fields, KEY_FIELD))

    def _check(self, exchange: Exchange, route: CreateRoute) -> None:
        """No job is created that could not be waited for."""
        exchange.kind = Kind.CREATE
        query = exchange.query
        hold_parameters(query, self._config)
        if self._tying is not None:
            self._tying.check(exchange, route)
        most = self._limits.target_bytes - LOCATION_BYTES
        if len(query.raw) > most:
            raise TargetTooLong(f"The query of a job to wait for may have {most} bytes")

    async def _whole(self, exchange: Exchange) -> Passed:
        """All of the content, which has to be held before the upstream gets any of it."""
        most = self._limits.result_bytes
        content = await _read(exchange, most)
        if not content.ended:
            raise ContentTooLarge(
                f"A job to wait for, or with an Idempotency-Key, may have {most} bytes of content"
            )
        return content

    async def _inspected(self, exchange: Exchange) -> Passed:
        """The content as far as it must be read to know whether it asks for a wait."""
        client = exchange.client
        if not client.has_content or not _is_json(client.fields):
            return Passed()
        most = self._limits.inspect_bytes
        if (client.content_length or 0) > most:
            return Passed()
        return await _read(exchange, most)

    async def _made(
        self,
        exchange: Exchange,
        route: CreateRoute,
        key: str | None,
        content: bytes,
        *,
        waits: bool,
    ) -> Made:
        """What the upstream says to the one request that makes the job."""
        buffered = exchange.buffered
        assert buffered is not None, "the content was read into it"
        # The response repeats the arguments. Once the job exists it is too late to refuse it.
        buffered.grow(len(content))
        told = () if key is None else (partial(self._follow, exchange, route),)
        sending: Sending = CreationSending(self._creator, exchange, content, *told)
        if waits and self._tying is not None:
            sending = self._tying.sending(exchange, route, sending)
        if key is None or self._keyed is None:
            # A client that leaves must not leave behind a job that is half created.
            made = Made(await asyncio.shield(self._tasks.spawn(sending.reply(), name="create")))
        else:
            made = await self._keyed.make(exchange, route, key, content, sending)
        reply = made.reply
        # Sending has released what the request had taken.
        buffered = exchange.buffered = exchange.buffered or self._creator.buffers.of(
            exchange.identity.key
        )
        buffered.become(len(reply.content))
        said = rejection(reply.status, reply.reason, reply.fields, reply.content)
        self._answered(exchange.identity, reply.status, said)
        return made

    def _follow(self, exchange: Exchange, route: CreateRoute, reply: UpstreamResponse) -> None:
        """Have the result kept of a job with a key: the client may come again, with the key."""
        job = created_job(reply, self._creator.max_bytes)
        if job is not None and (job.secret or not route.by_secret):
            self._hold.follow(
                exchange, job, by_secret=route.by_secret, workflow_id=route.workflow_id
            )

    def _known(
        self, exchange: Exchange, route: CreateRoute, reply: UpstreamResponse, job: Job
    ) -> Created:
        if route.by_secret:
            path, customer = result_path(job.id, job.secret), job.customer_name
        else:
            path = result_path(job.id, workflow_id=route.workflow_id)
            customer = exchange.identity.customer
        parameters = fitted(hold_parameters(exchange.query, self._config), self._config)
        query, _ = without_rid(fitted_query(exchange.query, parameters))
        location = job_location(path, query, job, customer, self._config)
        location = with_rid(location, exchange.wait_id)
        return Created(reply, job, location, route.by_secret, route.workflow_id)

    async def aclose(self, grace_seconds: float) -> None:
        """Let the jobs that are being created come to be, for ``grace_seconds`` at most."""
        await self._tasks.aclose(grace_seconds)
        if self._keyed is not None:
            await self._keyed.aclose(grace_seconds)


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
    fields = exchange.client.fields
    if len(content) > limits.inspect_bytes or not _is_json(fields):
        return False
    plain = plain_content(content, fields, limits.inspect_bytes)
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
