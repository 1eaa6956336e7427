"""Pass-through: the request goes upstream and the response back, both streamed, both untouched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.admission.identity.rejection import MOST_BYTES, rejection
from gateway.upstream import Outbound, Purpose

if TYPE_CHECKING:
    from gateway.admission.identity.identities import Identities
    from gateway.downstream.exchange import Exchange
    from gateway.proxy.forwarding import Forwarding
    from gateway.upstream import Content, Head, Upstream, UpstreamExchange


_RELAY: Final = Purpose.RELAY


class Resumed:
    """A client's content of which the beginning was read already."""

    def __init__(self, prefix: bytes, rest: Content) -> None:
        self._prefix = prefix
        self._rest = rest

    async def read(self) -> bytes:
        prefix, self._prefix = self._prefix, b""
        return prefix or await self._rest.read()


class Relay:
    """Forwards one request after the other; keeps nothing between them.

    ``identities`` learn from the upstream's responses, and say whose share of its connections a
    request takes.
    """

    def __init__(
        self,
        upstream: Upstream,
        forwarding: Forwarding,
        identities: Identities,
    ) -> None:
        self._upstream = upstream
        self._forwarding = forwarding
        self._identities = identities

    def forwarded(self, exchange: Exchange, content: Content | None = None) -> UpstreamExchange:
        """The request as it goes upstream, not sent yet.

        ``content`` replaces the client's where a part of that was read already.
        """
        client = exchange.client
        accountable = self._identities.accountable(exchange.identity, exchange.address)
        outbound = Outbound(
            client.method,
            exchange.target,
            self._forwarding.outbound(client, exchange.request_id),
            _RELAY,
            holder=accountable.key,
        )
        forwarded = self._upstream.exchange(
            outbound, (content or client) if client.has_content else b""
        )
        if exchange.trace is not None:
            exchange.trace.relays(outbound, forwarded)
        return forwarded

    def pass_whole(self, exchange: Exchange, forwarded: UpstreamExchange) -> bool:
        """Write the response to the client if it is complete; else nothing was done.

        Raises:
            ClientGone: there is nobody to write to.
        """
        content = forwarded.take_whole()
        if content is None:
            return False
        head = forwarded.head
        self._begin(exchange, forwarded)
        if head.status == 401:
            self._rejected(exchange, head, content)
        exchange.client.finish_with(content, self._upstream.write_batch)
        return True

    async def relay(self, exchange: Exchange, forwarded: UpstreamExchange) -> None:
        """Forward the request, if it was not sent, and write the response to the client.

        Raises:
            GatewayError: there is no response; nothing was written.
            ContentCut: the response broke off after it had begun.
        """
        client = exchange.client
        try:
            async with forwarded as response:
                head = response.head
                self._begin(exchange, response)
                beginning = b""
                while (chunk := response.take()) != b"":
                    if chunk is None:
                        client.flush()
                        await response.arrived()
                    else:
                        client.write(chunk)
                        if head.status == 401 and len(beginning) <= MOST_BYTES:
                            beginning += chunk
                        if client.is_full:
                            await client.drain()
        finally:
            exchange.upstream_seconds = forwarded.seconds
        if head.status == 401:
            self._rejected(exchange, head, beginning)
        client.finish()

    def _begin(self, exchange: Exchange, response: UpstreamExchange) -> None:
        head = response.head
        exchange.status = exchange.upstream_status = head.status
        exchange.upstream_seconds = response.seconds
        if head.status != 401:
            self._identities.answered(exchange.identity, head.status, None)
        exchange.client.begin(
            head.status, head.reason, head.passed_on(), is_sized=head.length is not None
        )

    def _rejected(self, exchange: Exchange, head: Head, content: bytes) -> None:
        said = rejection(401, head.reason, head.fields, content)
        self._identities.answered(exchange.identity, 401, said)
