"""A request that creates a job, on its way upstream: whole, once, and to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.protocols.http.fields import without
from gateway.upstream.messages.messages import Heard, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.limits.buffers import Buffers
    from gateway.downstream.exchange import Exchange
    from gateway.downstream.request import Client
    from gateway.errors import Field
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
        self._heard = Heard()

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
