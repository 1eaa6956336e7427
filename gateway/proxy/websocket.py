"""WebSocket: the upgrade is asked for upstream; once granted, bytes pass both ways as they are.

Subprotocol, extensions, masks and close codes are the two ends' own business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.admission.identity.rejection import MOST_BYTES, rejection
from gateway.errors import BadGateway
from gateway.protocols.http.fields import connection_options, list_members, value, values
from gateway.proxy.tunnels.tunnel import Tunnel
from gateway.upstream import Outbound, Purpose

if TYPE_CHECKING:
    from gateway.admission.identity.identities import Identities
    from gateway.downstream.exchange import Exchange
    from gateway.downstream.request import Client
    from gateway.proxy.forwarding import Forwarding
    from gateway.upstream import Head, Upstream, UpstreamExchange

_UPGRADE = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))


def asks_for_websocket(client: Client) -> bool:
    """RFC 6455, 4.1. No other protocol is switched to: h2c would pass us by."""
    return (
        client.method == "GET"
        and client.is_http_1_1
        and not client.has_content
        and (value(client.fields, b"upgrade") or b"").lower() == b"websocket"
        and b"upgrade" in connection_options(client.fields)
    )


class WebSocketRelay:
    """Opens one tunnel per request; ``identities`` as for ``Relay``."""

    def __init__(
        self,
        upstream: Upstream,
        forwarding: Forwarding,
        identities: Identities,
        tunnel_idle_seconds: float,
    ) -> None:
        self._upstream = upstream
        self._forwarding = forwarding
        self._identities = identities
        self._idle_seconds = tunnel_idle_seconds
        self._tunnels: set[Tunnel] = set()
        self._is_draining = False

    def drain(self) -> None:
        """Close every WebSocket with 1001 (RFC 6455, 7.4.1)."""
        self._is_draining = True
        for tunnel in list(self._tunnels):
            tunnel.go_away()

    async def relay(self, exchange: Exchange) -> None:
        """Ask upstream for the upgrade, pass its response on, then the bytes of both sides.

        Raises:
            GatewayError, ContentCut: as ``Relay.relay``.
        """
        client = exchange.client
        fields = self._forwarding.outbound(client, exchange.request_id)
        accountable = self._identities.accountable(exchange.identity, exchange.address)
        outbound = Outbound(
            "GET",
            exchange.target,
            [*fields, *_UPGRADE],
            Purpose.RELAY,
            upgrade=True,
            holder=accountable.key,
        )
        forwarded = self._upstream.exchange(outbound)
        if exchange.trace is not None:
            exchange.trace.relays(outbound, forwarded)
        try:
            await self._pass(exchange, forwarded)
        finally:
            exchange.upstream_seconds = forwarded.seconds

    async def _pass(self, exchange: Exchange, forwarded: UpstreamExchange) -> None:
        client = exchange.client
        async with forwarded as response:
            head = response.head
            if head.status == 101 and not _grants(head):
                raise BadGateway("The upstream changed to a protocol that was not asked for")
            exchange.status = exchange.upstream_status = head.status
            if head.status != 401:
                self._identities.answered(exchange.identity, head.status, None)
            passed = head.passed_on()
            if head.status == 101:
                client.begin(101, head.reason, [*passed, *_UPGRADE], is_sized=False)
                client.flush()
                await self._splice(client, response)
            else:
                sized = head.length is not None
                client.begin(head.status, head.reason, passed, is_sized=sized)
                beginning = b""
                while chunk := await response.read():
                    if head.status == 401 and len(beginning) <= MOST_BYTES:
                        beginning += chunk
                    client.write(chunk)
                    await client.drain()
                client.finish()
                if head.status == 401:
                    said = rejection(401, head.reason, head.fields, beginning)
                    self._identities.answered(exchange.identity, 401, said)

    async def _splice(self, client: Client, response: UpstreamExchange) -> None:
        tunnel = Tunnel(client, response.connection, self._idle_seconds)
        self._tunnels.add(tunnel)
        try:
            if self._is_draining:
                tunnel.go_away()
            await tunnel.run()
        finally:
            self._tunnels.discard(tunnel)


def _grants(head: Head) -> bool:
    """Tell whether the protocol is the one that was asked for (RFC 9110, 7.8)."""
    protocols = list_members(values(head.fields, b"upgrade"))
    return [protocol.lower() for protocol in protocols] == [b"websocket"]
