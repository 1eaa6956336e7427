"""Pass-through: the request goes upstream and the answer back, both streamed, both untouched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.upstream import Outbound, Purpose

if TYPE_CHECKING:
    from gateway.exchange import Exchange
    from gateway.forwarding import Forwarding
    from gateway.upstream import Content, Upstream


class Resumed:
    """A client's content of which the beginning was read already."""

    def __init__(self, prefix: bytes, rest: Content) -> None:
        self._prefix = prefix
        self._rest = rest

    async def read(self) -> bytes:
        prefix, self._prefix = self._prefix, b""
        return prefix or await self._rest.read()


class Relay:
    """Forwards one request after the other; keeps nothing between them."""

    def __init__(self, upstream: Upstream, forwarding: Forwarding) -> None:
        self._upstream = upstream
        self._forwarding = forwarding

    async def relay(self, exchange: Exchange, content: Content | None = None) -> None:
        """Forward the request and write the answer to the client.

        ``content`` replaces the client's where a part of that was read already.

        Raises:
            GatewayError: there is no answer; nothing was written.
            ContentCut: the answer broke off after it had begun.
        """
        client = exchange.client
        outbound = Outbound(
            client.method,
            exchange.target,
            self._forwarding.outbound(client, exchange.request_id),
            Purpose.RELAY,
        )
        sent = (content or client) if client.has_content else b""
        async with self._upstream.exchange(outbound, sent) as answer:
            head = answer.head
            exchange.status = head.status
            exchange.upstream_answered(head.status)
            sized = head.length is not None
            client.begin(head.status, head.reason, head.passed_on(), is_sized=sized)
            while (chunk := answer.take()) != b"":
                if chunk is None:
                    client.flush()
                    await answer.arrived()
                else:
                    client.write(chunk)
                    if client.is_full:
                        await client.drain()
        client.finish()
