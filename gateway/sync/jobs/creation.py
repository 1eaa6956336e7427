"""A request that creates a job, on its way upstream: whole, once, and to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.protocols.http.content_coding import InflatesTooFar, Undecodable, inflated
from gateway.protocols.http.fields import without
from gateway.protocols.theeye.job import parse_job
from gateway.upstream.messages.messages import Heard, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.admission.limits.buffers import Buffers
    from gateway.downstream.exchange import Exchange
    from gateway.downstream.request import Client
    from gateway.errors import Field
    from gateway.protocols.theeye.job import Job
    from gateway.sync.jobs.reader import Requester
    from gateway.upstream.messages.messages import UpstreamResponse


class Creator:
    """``outbound`` gives the fields to send upstream for a client's request, by its id; a reply may
    have ``max_bytes``."""

    def __init__(
        self,
        upstream: Requester,
        outbound: Callable[[Client, str], list[Field]],
        buffers: Buffers,
        max_bytes: int,
    ) -> None:
        self.upstream = upstream
        self.outbound = outbound
        self.buffers = buffers
        self.max_bytes = max_bytes

    def reconfigure(self, max_bytes: int) -> None:
        """Take longer replies. Not shorter ones only: by then the jobs exist that they tell of."""
        self.max_bytes = max(self.max_bytes, max_bytes)


class CreationSending:
    """Of one request, all of whose content has come; ``replied`` is told of the reply, whether the
    client is still there or not."""

    def __init__(
        self,
        creator: Creator,
        exchange: Exchange,
        content: bytes,
        replied: Callable[[UpstreamResponse], None] = lambda _: None,
    ) -> None:
        self._creator = creator
        self._exchange = exchange
        self._content = content
        self._replied = replied
        self._heard = Heard(exchange.trace)

    @property
    def was_sent(self) -> bool:
        """Something of it has gone out to the upstream."""
        return self._heard.was_sent

    async def reply(self) -> UpstreamResponse:
        """Send it and read the whole reply.

        The memory that the request has taken is released then, whether its client is still there or
        not.

        Raises:
            BadGateway, GatewayTimeout, Overloaded: as the upstream's failures are mapped.
        """
        creator, exchange, heard = self._creator, self._exchange, self._heard
        buffered, exchange.buffered = exchange.buffered, None
        if buffered is None:
            buffered = creator.buffers.of(exchange.identity.key)
        # It is sent whole, with a length, however it came.
        outbound = creator.outbound(exchange.client, exchange.request_id)
        fields = without(outbound, b"transfer-encoding")
        # The reply repeats the arguments. Once the job exists it is too late to refuse it.
        buffered.become(2 * len(self._content))
        with buffered:
            try:
                reply = await creator.upstream.request(
                    exchange.client.method,
                    exchange.target,
                    fields,
                    self._content,
                    purpose=Purpose.CREATE,
                    max_bytes=creator.max_bytes,
                    heard=heard,
                )
            finally:
                exchange.upstream_status, exchange.upstream_seconds = heard.status, heard.seconds
        self._replied(reply)
        return reply


def created_job(reply: UpstreamResponse, max_bytes: int) -> Job | None:
    """The job that a reply says was created; None where it says so of none, or in more than
    ``max_bytes`` once inflated."""
    if reply.status not in {200, 303}:
        return None
    plain = plain_content(reply.content, reply.fields, max_bytes)
    return None if plain is None else parse_job(plain)


def plain_content(content: bytes, fields: Iterable[Field], max_bytes: int) -> bytes | None:
    """The content without its coding, None where it cannot be had within ``max_bytes``."""
    try:
        return inflated(content, fields, max_bytes)
    except (Undecodable, InflatesTooFar):
        return None
